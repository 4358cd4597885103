/** Runs vitest, here or in a machine, and keeps what is worth keeping of it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runVitest } from '../setup/run-vitest.mjs'
import { readResults } from '../setup/test-results.mjs'

/**
 * @param also  another file to which each test file's results go when it is done
 * @returns vitest's exit code, and the tests as of parseResults()
 */
export async function runAndCondense(args, also) {
  const scratch = mkdtempSync(join(tmpdir(), 'vitest-'))
  const results = join(scratch, 'results')
  try {
    const env = { TEST_RESULTS: [results, also].filter(Boolean).join(':'), CI: 'true', NO_COLOR: '1' }
    const code = await runVitest(args, { env, isPiped: true })
    return { code, files: readResults(results) }
  } finally {
    rmSync(scratch, { recursive: true })
  }
}
