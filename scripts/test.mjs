/** `npm test`: sets up, then runs vitest once. Arguments go to vitest: `npm test -- test/codec -t 'per-CPU'`. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setUp } from './setup.mjs'
import { root } from './setup/project.mjs'

if (await setUp()) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const child = spawn(process.execPath, [vitest, 'run', ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  })
  // A terminal's Ctrl-C reaches vitest by itself; a signal to this process alone must be passed on.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1)
  })
} else {
  process.exitCode = 1
}
