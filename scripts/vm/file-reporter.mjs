/** Tells of each test file as soon as it is done, for a machine that may not live to the end: a JSON line, appended to the file that VM_RESULTS names. */
import { appendFileSync } from 'node:fs'
import { relative } from 'node:path'
import { root } from '../setup/project.mjs'

export default class FileReporter {
  /** @param module a TestModule of Vitest's reporters */
  onTestModuleEnd(module) {
    const tests = [...module.children.allTests()].map((test) => [test.result().state, ...titlesOf(test)])
    const isBroken = module.state() === 'failed' && tests.every(([state]) => state !== 'failed')
    const file = relative(root, module.moduleId)
    const line = { file, tests: isBroken ? [...tests, ['failed', '(the file)']] : tests }
    appendFileSync(process.env.VM_RESULTS, `${JSON.stringify(line)}\n`)
  }
}

/** From the outermost suite to the test itself. */
function titlesOf(test) {
  const titles = [test.name]
  for (let { parent } = test; parent.type === 'suite'; parent = parent.parent) titles.unshift(parent.name)
  return titles
}
