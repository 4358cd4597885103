/**
 * A reporter of Vitest: tells of each test file as soon as it is done, for a run that may not live to its end, and of the end. JSON lines, appended
 * to the files that TEST_RESULTS names, with colons between them; scripts/setup/test-results.mjs reads them.
 *
 * Unlike Vitest's numbers, its lines have a failed test for each suite whose hooks fail: Vitest calls the suite's tests skipped then.
 */
import { appendFileSync } from 'node:fs'
import { relative } from 'node:path'
import { root } from './project.mjs'

/** Of Vitest's words, those that aren't ours: of a run that was cut short. */
const STATES = { pending: 'skipped' }

export default class FileReporter {
  /** @param module a TestModule of Vitest's reporters */
  onTestModuleEnd(module) {
    const tests = [...module.children.allTests()].map((test) => {
      const { state } = test.result()
      return [STATES[state] ?? state, ...titlesOf(test)]
    })
    const suites = [...module.children.allSuites()]
      .filter(failsByItself)
      .map((suite) => ['failed', ...titlesOf(suite), '(before or after its tests)'])
    const ofFile = failsByItself(module) ? [['failed', '(the file)']] : []
    append({ file: relative(root, module.moduleId), tests: [...tests, ...suites, ...ofFile] })
  }

  /** @param reason  how it ended: `passed`, `failed`, `interrupted` */
  onTestRunEnd(_modules, unhandledErrors, reason) {
    append({ end: reason, errors: unhandledErrors.length })
  }
}

function append(line) {
  for (const file of process.env.TEST_RESULTS.split(':')) appendFileSync(file, `${JSON.stringify(line)}\n`)
}

/** Whether a suite or file has failed, and not by a test or suite in it. */
function failsByItself(suite) {
  if (suite.errors().length > 0) return true
  if (suite.state() !== 'failed') return false
  return suite.children
    .array()
    .every((child) => (child.type === 'suite' ? child.state() : child.result().state) !== 'failed')
}

/** From the outermost suite to the test or suite itself. */
function titlesOf(entity) {
  const titles = [entity.name]
  for (let { parent } = entity; parent.type === 'suite'; parent = parent.parent) titles.unshift(parent.name)
  return titles
}
