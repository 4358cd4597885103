/**
 * `npm run test:vm`: runs the tests of the native kernel under other Linux kernels, each in a virtual machine.
 *
 *   node scripts/test-vm.mjs [--kernel NAME]… [--renew] [--timeout MINUTES] [vitest arguments …]
 *
 *   --kernel NAME      5.10, 6.1, 6.12 or newest; may be repeated; all of them by default
 *   --renew            looks for newer packages of kernels that have been downloaded before
 *   --timeout MINUTES  for each kernel; 40 by default
 *
 * Needs root on Debian 12 (x86-64), a C compiler, and the network once: some 150 MB of packages, which are kept in .cache/vm and
 * never installed. The last line for each kernel is `Linux <release>: N passed, N failed, N skipped`. The exit code is 0 if every
 * test passed or was skipped under every kernel, and no kernel complained.
 *
 * LIBBPF_NODE_ADDON=prebuilds/linux-x64/libbpf-node.glibc.node tests the prebuilt addon, with its newer libbpf.
 *
 * A test below its minimum kernel skips; at or above it, a missing feature fails (REQUIRE_KERNEL=1).
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { setUp } from './setup.mjs'
import { DebianError } from './setup/debian.mjs'
import { seconds } from './setup/run.mjs'
import { say } from './vm/cache.mjs'
import { provideEmulator } from './vm/emulator.mjs'
import { kernelSuites, provideKernel } from './vm/kernels.mjs'
import { runInMachine } from './vm/machine.mjs'
import { takeSnapshot } from './vm/snapshot.mjs'

/** What depends on the kernel. */
const DEFAULT_TESTS = ['test/contract', 'test/native']

function parseArguments(args) {
  const { values, tokens } = parseArgs({
    args,
    options: {
      kernel: { type: 'string', multiple: true },
      renew: { type: 'boolean', default: false },
      timeout: { type: 'string', default: '40' },
    },
    strict: false,
    tokens: true,
  })
  const names = values.kernel ?? [...kernelSuites.keys()]
  for (const name of names) {
    if (!kernelSuites.has(name))
      throw new DebianError(`no kernel '${name}': there are ${[...kernelSuites.keys()].join(', ')}`)
  }
  const minutes = Number(values.timeout)
  if (!(minutes > 0)) throw new DebianError(`--timeout takes a number of minutes, not '${values.timeout}'`)
  // What isn't ours is vitest's.
  const own = new Set(['kernel', 'renew', 'timeout'])
  const rest = tokens.flatMap((token) => {
    if (token.kind === 'positional') return [token.value]
    if (token.kind !== 'option' || own.has(token.name)) return []
    return token.inlineValue === true ? [`${token.rawName}=${token.value}`] : [token.rawName]
  })
  return { names, renew: values.renew, timeoutMs: minutes * 60_000, rest }
}

/** Runs the tests under one kernel. @returns what is to be said at the end, and whether all is well */
async function test(emulator, kernel, checkout, { rest, timeoutMs }, signal) {
  const start = performance.now()
  console.log(`\n=== Linux ${kernel.release} (${kernel.version})`)
  const tests = rest.some((argument) => argument.startsWith('test/')) ? rest : [...DEFAULT_TESTS, ...rest]
  const environment = ['REQUIRE_KERNEL=1', 'VM=1', 'LIBBPF_NODE_SETUP=0', `KERNEL_CONFIG=${kernel.config}`]
  const { LIBBPF_NODE_ADDON: addon } = process.env
  if (addon !== undefined) environment.push(`LIBBPF_NODE_ADDON=${resolve(addon)}`)
  const command = [
    checkout,
    '/usr/bin/env',
    ...environment,
    process.execPath,
    'scripts/vm/guest.mjs',
    ...tests,
  ]
  const { code, results } = await runInMachine(emulator, kernel, command, { timeoutMs, signal })
  const { passed, failed, skipped, complaints } = JSON.parse(
    results.at(-1) ?? '{"passed":0,"failed":1,"skipped":0,"complaints":[]}',
  )
  for (const line of complaints) console.log(`the kernel complains: ${line}`)
  if (code === undefined)
    console.log(`the machine ended without a result after ${seconds(start)}: it panicked, or was too slow`)
  say(`Linux ${kernel.release} took ${seconds(start)}`)
  return {
    line: `Linux ${kernel.release}: ${passed} passed, ${failed} failed, ${skipped} skipped`,
    isWell: code === 0 && failed === 0 && complaints.length === 0,
  }
}

async function main() {
  const options = parseArguments(process.argv.slice(2))
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new DebianError('virtual machines need Linux on x86-64')
  if (process.getuid() !== 0)
    throw new DebianError('virtual machines need root: they share its files, in a mount namespace')
  if (!(await setUp())) throw new DebianError('the checkout is not ready')
  const emulator = provideEmulator()
  const checkout = takeSnapshot()
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort())
  process.once('SIGTERM', () => interrupted.abort())
  const outcomes = []
  for (const name of options.names) {
    if (interrupted.signal.aborted) break
    const kernel = provideKernel(name, options)
    outcomes.push(await test(emulator, kernel, checkout, options, interrupted.signal))
    console.log(outcomes.at(-1).line)
  }
  if (outcomes.length > 1) console.log(`\n${outcomes.map(({ line }) => line).join('\n')}`)
  return !interrupted.signal.aborted && outcomes.every(({ isWell }) => isWell)
}

try {
  process.exitCode = (await main()) ? 0 : 1
} catch (error) {
  if (!(error instanceof DebianError)) throw error
  console.error(`test-vm: ${error.message}`)
  process.exitCode = 1
}
