/**
 * `npm run check:generated`: everything generated that is committed must be what its generator makes today.
 *
 * A generator is scripts/build-bpf.mjs or any scripts/generate-*.mjs; each takes `--check` and then exits with 1 if its
 * output differs from what is committed.
 */
import { spawnSync } from 'node:child_process'
import { basename, join } from 'node:path'
import { filesUnder, root } from './setup/project.mjs'

const generators = [
  join(root, 'scripts/build-bpf.mjs'),
  ...filesUnder('scripts', (name) => /^generate-.*\.mjs$/.test(name)),
]

const failed = generators.filter((script) => {
  console.log(`${basename(script)} --check`)
  return spawnSync(process.execPath, [script, '--check'], { cwd: root, stdio: 'inherit' }).status !== 0
})

if (failed.length > 0) console.error(`out of date: ${failed.map((script) => basename(script)).join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
