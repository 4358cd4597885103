/** Runs vitest, here or in a machine, and keeps what is worth keeping of its report. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../setup/project.mjs'
import { runVitest } from '../setup/run-vitest.mjs'
import { condense } from './results.mjs'

/** @returns vitest's exit code, and the tests as of {@link condense} */
export async function runAndCondense(args) {
  const scratch = mkdtempSync(join(tmpdir(), 'vitest-'))
  const report = join(scratch, 'report.json')
  try {
    const env = { VITEST_JSON: report, CI: 'true', NO_COLOR: '1' }
    const code = await runVitest(args, { env, isPiped: true })
    return { code, files: condense(readReport(report), root) }
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
