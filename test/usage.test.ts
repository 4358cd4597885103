/** Scripts tell what they take, and refuse what they don't, before they do anything else. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { patience } from './support/patience.js'
import { plainEnvironment } from './support/plain-environment.js'

/** Those whose options are their own, and what of them the usage must name. */
const SCRIPTS = [
  ['test-vm', '--kernel NAME'],
  ['fuzz-vm', 'FUZZ_RUNS'],
  ['fuzz-verifier', '--kernel NAME'],
  ['verify-objects', '[FILE | FOLDER …]'],
  ['build-bpf', '--check'],
] as const

function run(script: string, ...args: readonly string[]) {
  const path = fileURLToPath(new URL(`../scripts/${script}.mjs`, import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], {
    encoding: 'utf8',
    env: plainEnvironment(),
  })
  return { status, stdout, stderr }
}

describe.each(SCRIPTS)('scripts/%s.mjs', { timeout: patience(20_000) }, (script, word) => {
  it('prints its usage, and runs nothing', () => {
    const told = run(script, '--help')
    expect(told).toMatchObject({ status: 0, stderr: '' })
    expect(told.stdout).toContain(word)
    expect(told.stdout).not.toMatch(/^ \*|===/m)
  })

  it('refuses an option that it does not have', () => {
    const told = run(script, '--kernle', 'x')
    expect(told).toMatchObject({ status: 1, stdout: '' })
    expect(told.stderr).toMatch(/unknown option '--kernle': there (?:is|are) .*--help/)
  })
})

describe.each(['test-sanitized', 'test-prebuild'])(
  'scripts/%s.mjs, whose options are those of vitest',
  { timeout: patience(20_000) },
  (script) => {
    it('prints its usage, and runs nothing', () => {
      const told = run(script, '--help')
      expect(told).toMatchObject({ status: 0, stderr: '' })
      expect(told.stdout).toContain('Arguments go to vitest')
    })
  },
)
