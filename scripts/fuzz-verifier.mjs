/**
 * `npm run fuzz:verifier`: 10,000 random nearly valid programs before the verifier and before the kernel of a virtual machine, 6.18 unless
 * `--kernel NAME` says another (as `npm run test:vm` does). `FUZZ_RUNS` and `FUZZ_SEED` change how many and which; without a seed there are other
 * programs each time, and the seed is printed. What they disagree on is reduced, and printed as a case for test/verifier/cases.
 */
import { parseArgs } from 'node:util'
import { checkUsage } from './setup/usage.mjs'

if (checkUsage(import.meta.url, ['--kernel'])) await main()

async function main() {
  const { values } = parseArgs({ options: { kernel: { type: 'string', default: '6.18' } } })
  process.env['FUZZ_RUNS'] ??= '10000'
  process.env['FUZZ_SEED'] ??= String(Math.floor(Math.random() * 2 ** 31))
  process.env['FUZZ_KERNEL'] ??= values.kernel
  console.log(`FUZZ_RUNS=${process.env['FUZZ_RUNS']} FUZZ_SEED=${process.env['FUZZ_SEED']}`)
  process.argv.splice(2, Infinity, 'test/fuzz/verifier.test.ts')
  await import('./test.mjs')
}
