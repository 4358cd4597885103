/** Running vitest on the checkout, with its arguments. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root } from './project.mjs'

/** What depends on the kernel, or on the addon. */
export const KERNEL_TESTS = ['test/contract', 'test/native']

/** Of those, what compares verifiers and engines with the kernel: another addon makes no difference to them. */
const COMPARISONS = [
  'arena-objects',
  'kernel-functions',
  'kernel-objects',
  'local-objects',
  'packet-runs',
  'verifier-cases',
].map((name) => `test/native/${name}.test.ts`)

/** The arguments, with `tests` before them if they name none. */
export function withTests(args, tests) {
  return args.some((argument) => argument.startsWith('test/')) ? args : [...tests, ...args]
}

/** The arguments for a run on another addon than the one of `npm test`: what depends on it, and `more`, if they name no tests. */
export function withAddonTests(args, more = []) {
  return withTests(args, [...KERNEL_TESTS, ...more, ...COMPARISONS.flatMap((path) => ['--exclude', path])])
}

/**
 * One run of vitest, in a process of its own.
 *
 * @param env      added to this process's environment
 * @param isPiped  whether its output comes through pipes: to a terminal vitest draws its progress again and again
 * @returns its exit code
 */
export function runVitest(args, { env = {}, isPiped = false } = {}) {
  const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: isPiped ? ['ignore', 'pipe', 'pipe'] : 'inherit',
  })
  child.stdout?.pipe(process.stdout, { end: false })
  child.stderr?.pipe(process.stderr, { end: false })
  // A terminal's Ctrl-C reaches vitest by itself; a signal to this process alone must be passed on.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)))
  })
}
