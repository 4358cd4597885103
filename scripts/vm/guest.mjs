/**
 * Runs in a virtual machine: vitest, then a look at the kernel's log. Writes JSON objects to /dev/ttyS1, each in a line: of each test file
 * when it is done, see file-reporter.mjs; and in the end `{ files, complaints }`, the tests as of parseResults(), and lines of the kernel's log that
 * speak of a bug in it.
 *
 * Arguments go to vitest. KERNEL_CONFIG names the kernel's configuration, which goes where libbpf looks for it.
 */
import { spawnSync } from 'node:child_process'
import { appendFileSync, copyFileSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { runAndCondense } from './run-tests.mjs'

const RESULTS = '/dev/ttyS1'
/** What the kernel says when it finds itself at fault. */
const COMPLAINT = /BUG:|WARNING:|Oops|general protection|refcount_t:|unregister_netdevice/

function kernelComplaints() {
  const log = spawnSync('dmesg', [], { encoding: 'utf8' }).stdout ?? ''
  return log.split('\n').filter((line) => COMPLAINT.test(line))
}

// To the memory above the host's files: gone with the machine.
copyFileSync(process.env.KERNEL_CONFIG, `/boot/config-${release()}`)
// As in Linux itself: Debian's level 3 keeps perf events from processes with CAP_PERFMON.
writeFileSync('/proc/sys/kernel/perf_event_paranoid', '2')
const { code, files } = await runAndCondense(process.argv.slice(2), RESULTS)
appendFileSync(RESULTS, `${JSON.stringify({ files, complaints: kernelComplaints() })}\n`)
process.exitCode = code
