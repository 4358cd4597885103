/**
 * `npm run test:vm`: runs the tests of the native kernel under other Linux kernels, each in a virtual machine.
 *
 *   node scripts/test-vm.mjs [--kernel NAME]… [--renew] [--timeout MINUTES] [vitest arguments …]
 *   node scripts/test-vm.mjs --table
 *   node scripts/test-vm.mjs --merge FOLDER
 *
 *   --kernel NAME      5.10, 6.1, 6.12, 6.18 or newest, or host: this machine's own, without a virtual one; may be
 *                      repeated. By default all that are virtual but 6.18
 *   --renew            looks for newer packages of kernels that have been downloaded before
 *   --timeout MINUTES  for each kernel; 40 by default
 *   --append TEXT      for the command line of the kernels: lockdown=confidentiality. Results of such runs aren't kept
 *   --table            runs nothing: writes the tables in docs/kernels.md anew, from what the last runs on each kernel found
 *   --merge FOLDER     runs nothing: takes over the results of another checkout (its .cache/vm/results), of each file the later run
 *
 * Of vitest's options: -t PATTERN, --testNamePattern, --bail, --retry, --testTimeout, --sequence.seed, --sequence.shuffle, --silent, --reporter.
 *
 * Needs root on Debian 12 (x86-64), a C compiler, and the network once: some 150 MB of packages, which are kept in .cache/vm and
 * never installed. For each kernel the last line is `N passed, N failed, N skipped`; after several there is a line for each, and the sum.
 * The exit code is 0 if every test passed or was skipped under every kernel, and no kernel complained.
 *
 * LIBBPF_NODE_ADDON=prebuilds/linux-x64/libbpf-node.glibc.node tests the prebuilt addon, with its newer libbpf.
 *
 * A test below its minimum kernel skips; at or above it, a missing feature fails (REQUIRE_KERNEL=1).
 */
import { rmSync } from 'node:fs'
import { release } from 'node:os'
import { resolve } from 'node:path'
import { setUp } from './setup.mjs'
import { DebianError } from './setup/debian.mjs'
import { seconds } from './setup/run.mjs'
import { KERNEL_TESTS, withTests } from './setup/run-vitest.mjs'
import { count, numbersOf, parseResults } from './setup/test-results.mjs'
import { checkUsage } from './setup/usage.mjs'
import { say } from './vm/cache.mjs'
import { provideEmulator } from './vm/emulator.mjs'
import { provideKernel } from './vm/kernels.mjs'
import { runInMachine } from './vm/machine.mjs'
import { HOST, parseOptions } from './vm/options.mjs'
import { merge, remember } from './vm/results.mjs'
import { runAndCondense } from './vm/run-tests.mjs'
import { takeSnapshot, warmUp } from './vm/snapshot.mjs'
import { writeTables } from './vm/table.mjs'

const ENVIRONMENT = { REQUIRE_KERNEL: '1', LIBBPF_NODE_SETUP: '0' }

/** What all runs of this process share: made when the first virtual machine is wanted. */
function makeLaboratory(tests) {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new DebianError('virtual machines need Linux on x86-64')
  if (process.getuid() !== 0)
    throw new DebianError('virtual machines need root: they share its files, in a mount namespace')
  const emulator = provideEmulator()
  const checkout = takeSnapshot()
  warmUp(checkout, tests, ENVIRONMENT)
  return { emulator, checkout }
}

/** Runs the tests in a virtual machine. @returns as runAndCondense() does, and what the kernel complains of */
async function runVirtually({ emulator, checkout }, kernel, tests, { timeoutMs, append }, signal) {
  const { LIBBPF_NODE_ADDON: addon } = process.env
  const environment = {
    ...ENVIRONMENT,
    VM: '1',
    KERNEL_CONFIG: kernel.config,
    ...(addon === undefined ? {} : { LIBBPF_NODE_ADDON: resolve(addon) }),
  }
  const command = [
    checkout,
    '/usr/bin/env',
    ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    process.execPath,
    'scripts/vm/guest.mjs',
    ...tests,
  ]
  const { code, results } = await runInMachine(emulator, kernel, command, { timeoutMs, append, signal })
  if (code === undefined) {
    const why = signal.aborted ? 'it was interrupted' : 'it panicked, or was too slow'
    console.log(`the machine ended without a result: ${why}`)
  }
  // Without its last line, there are those files that were done, and a failure for the rest.
  const { files, complaints } = parsed(results.at(-1)) ?? {
    files: parseResults(results.join('\n')),
    complaints: [],
  }
  return { code, files, complaints }
}

/** What the machine tells at its end; undefined if that is something else, or cut off. */
function parsed(line = '') {
  try {
    const told = JSON.parse(line)
    return told.complaints === undefined ? undefined : told
  } catch {
    return undefined
  }
}

/** Runs the tests on this machine. @returns as {@link runVirtually} does */
async function runHere(tests) {
  Object.assign(process.env, ENVIRONMENT)
  return { ...(await runAndCondense(tests)), complaints: [] }
}

/** Tells what a run found. @returns the numbers of its tests, and whether all is well */
function tell({ code, files, complaints }, start) {
  const numbers = count(files)
  for (const line of complaints) console.log(`the kernel complains: ${line}`)
  console.log(`took ${seconds(start)}\n${numbersOf(numbers)}`)
  return { numbers, isWell: code === 0 && numbers.failed === 0 && complaints.length === 0 }
}

async function testKernels({ names, rest, ...options }, signal) {
  const tests = withTests(rest, KERNEL_TESTS)
  // What can't be had is known before anything runs.
  const kernels = names.map((name) =>
    name === HOST ? { name, release: release(), version: 'this machine' } : provideKernel(name, options),
  )
  const outcomes = []
  let laboratory
  try {
    for (const kernel of kernels) {
      if (signal.aborted) break
      if (kernel.name !== HOST) laboratory ??= makeLaboratory(tests)
      console.log(`\n=== Linux ${kernel.release} (${kernel.version})`)
      const start = performance.now()
      const run =
        kernel.name === HOST
          ? await runHere(tests)
          : await runVirtually(laboratory, kernel, tests, options, signal)
      // Filters skip tests that would run, and another command line makes another kernel.
      if (options.append === '' && rest.every((argument) => argument.startsWith('test/'))) {
        const done = Object.entries(run.files).filter(([file]) => file.startsWith('test/'))
        if (done.length > 0)
          remember(kernel, Object.fromEntries(done), rest.length === 0 && run.code !== undefined)
      }
      outcomes.push({ kernel, ...tell(run, start) })
    }
  } finally {
    if (laboratory !== undefined) rmSync(laboratory.checkout, { recursive: true, force: true })
  }
  return outcomes
}

async function main() {
  if (!checkUsage(import.meta.url)) return true
  const options = parseOptions(process.argv.slice(2))
  if (options.merge !== undefined) {
    for (const [name, files] of Object.entries(merge(options.merge))) console.log(`${name}: ${files} files`)
    return true
  }
  if (options.table) {
    await writeTables()
    return true
  }
  if (!(await setUp())) throw new DebianError('the checkout is not ready')
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort())
  process.once('SIGTERM', () => interrupted.abort())
  const outcomes = await testKernels(options, interrupted.signal)
  if (outcomes.length > 1) {
    const sum = { passed: 0, failed: 0, skipped: 0 }
    console.log()
    for (const { kernel, numbers } of outcomes) {
      for (const state of Object.keys(sum)) sum[state] += numbers[state]
      console.log(`Linux ${kernel.release}: ${numbersOf(numbers)}`)
    }
    console.log(numbersOf(sum))
  }
  return !interrupted.signal.aborted && outcomes.every(({ isWell }) => isWell)
}

try {
  process.exitCode = (await main()) ? 0 : 1
} catch (error) {
  if (!(error instanceof DebianError)) throw error
  say(error.message)
  process.exitCode = 1
}
