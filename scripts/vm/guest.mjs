/**
 * Runs in a virtual machine: vitest, then a look at the kernel's log. Writes a JSON object to /dev/ttyS1:
 * `{ passed, failed, skipped, complaints }`, of which the first three are numbers of tests, and `complaints` lines of the
 * kernel's log that speak of a bug in it.
 *
 * Arguments go to vitest.
 */
import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, copyFileSync, existsSync, readFileSync, readdirSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { root } from '../setup/project.mjs'

const RESULTS = '/dev/ttyS1'
const REPORT = '/tmp/vitest-report.json'
/** What the kernel says when it finds itself at fault. */
const COMPLAINT = /BUG:|WARNING:|Oops|general protection|refcount_t:|unregister_netdevice/

function runVitest(args) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  return new Promise((resolve) => {
    // Through pipes: to a terminal vitest would draw its progress again and again.
    const child = spawn(process.execPath, [vitest, 'run', ...args], {
      cwd: root,
      env: { ...process.env, VITEST_JSON: REPORT, CI: 'true', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.pipe(process.stdout, { end: false })
    child.stderr.pipe(process.stderr, { end: false })
    child.on('close', (code) => resolve(code ?? 1))
  })
}

/** The numbers in vitest's report. A file that doesn't even load counts as one failed test. */
function countTests() {
  try {
    const report = JSON.parse(readFileSync(REPORT, 'utf8'))
    const broken = report.testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
    )
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests + broken.length,
      skipped: report.numPendingTests + report.numTodoTests,
    }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}

function kernelComplaints() {
  const log = spawnSync('dmesg', [], { encoding: 'utf8' }).stdout ?? ''
  return log.split('\n').filter((line) => COMPLAINT.test(line))
}

/** Debian's kernels don't tell their configuration, but a file beside them does, which is looked for in /boot. */
function provideConfiguration() {
  const name = `config-${release()}`
  const machines = join(root, '..')
  const files = readdirSync(machines).map((folder) => join(machines, folder, 'boot', name))
  const file = files.find((path) => existsSync(path))
  if (file !== undefined) copyFileSync(file, join('/boot', name))
}

provideConfiguration()
const code = await runVitest(process.argv.slice(2))
appendFileSync(RESULTS, `${JSON.stringify({ ...countTests(), complaints: kernelComplaints() })}\n`)
process.exitCode = code
