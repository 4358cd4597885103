/**
 * What became of a run's tests, by the lines of file-reporter.mjs.
 *
 *   node scripts/setup/test-results.mjs FILE    prints `N passed, N failed, N skipped`
 */
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/**
 * @param text  JSON lines; one that was cut off tells nothing
 * @returns an array for each file, by its name: `[state, …titles]` of each test. A suite whose hooks fail, a file that doesn't even load, errors
 *   outside of all tests, and a run without an end count as a failed test each
 */
export function parseResults(text) {
  const lines = text.split(/\r?\n/).flatMap(parsed)
  const files = Object.fromEntries(
    lines.filter(({ file }) => file !== undefined).map(({ file, tests }) => [file, tests]),
  )
  const end = lines.find((line) => line.end !== undefined)
  if (end === undefined) return { ...files, '(the end)': [['failed', '(the run has no end)']] }
  return end.errors === 0 ? files : { ...files, '(errors)': [['failed', '(errors outside of tests)']] }
}

function parsed(line) {
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}

/** As {@link parseResults}, of a file that may not be there. */
export function readResults(path) {
  try {
    return parseResults(readFileSync(path, 'utf8'))
  } catch {
    return parseResults('')
  }
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

const [, script, path] = process.argv
if (script !== undefined && import.meta.url === pathToFileURL(script).href)
  console.log(numbersOf(count(readResults(path))))
