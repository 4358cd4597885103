/**
 * Results of tests, by kernel: what a machine tells of its run, and what is remembered of it. Kept in .cache/vm/results, a file
 * for each kernel, so that a table can be made of the last runs.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { vmFolder } from './cache.mjs'

const folder = join(vmFolder, 'results')

/** Of vitest's words for the end of a test, those that aren't ours. */
const STATES = { pending: 'skipped', todo: 'skipped', disabled: 'skipped' }

/**
 * What is worth keeping of vitest's JSON report.
 *
 * @param report  undefined if there is none
 * @param base    the folder that files are named from
 * @returns an array for each file, by its name: `[state, …titles]` of each test. A file that doesn't even load, and a report that
 *   isn't there, count as one failed test
 */
export function condense(report, base) {
  if (report === undefined) return { '(no report)': [['failed']] }
  return Object.fromEntries(
    report.testResults.map(({ name, status, assertionResults }) => {
      const tests = assertionResults.map((test) => [
        STATES[test.status] ?? test.status,
        ...test.ancestorTitles,
        test.title,
      ])
      const isBroken = status === 'failed' && tests.every(([state]) => state !== 'failed')
      return [relative(base, name), isBroken ? [...tests, ['failed', '(the file)']] : tests]
    }),
  )
}

/** Numbers of tests by state. */
export function count(files) {
  const numbers = { passed: 0, failed: 0, skipped: 0 }
  for (const [state] of Object.values(files).flat()) numbers[state]++
  return numbers
}

/** `N passed, N failed, N skipped`. */
export function numbersOf({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/**
 * What is remembered of a kernel.
 *
 * @param name  as `--kernel` takes it
 * @returns `{ release, version, files }`, files as of {@link condense}, each with the `day` of its run; undefined if nothing is
 */
export function recall(name) {
  try {
    return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
  } catch {
    return undefined
  }
}

/**
 * Remembers a run.
 *
 * @param kernel   its `name`, `release` and `version`
 * @param isWhole  whether that was every test; if not, files that were run before on the same kernel, and now weren't, stay
 */
export function remember({ name, release, version }, files, isWhole) {
  const before = recall(name)
  const stays = !isWhole && before?.release === release && before.version === version
  const day = new Date().toISOString().slice(0, 10)
  const now = Object.fromEntries(Object.entries(files).map(([file, tests]) => [file, { day, tests }]))
  const all = { release, version, files: { ...(stays ? before.files : {}), ...now } }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(all))
}
