/**
 * `npm run fuzz:vm`: 100,000 random programs on both engines and on this machine's kernel. `FUZZ_RUNS` and `FUZZ_SEED` change how many and which;
 * without a seed there are other programs each time, and the seed is printed.
 */
import { checkUsage } from './setup/usage.mjs'

if (checkUsage(import.meta.url, [])) {
  process.env['FUZZ_RUNS'] ??= '100000'
  process.env['FUZZ_SEED'] ??= String(Math.floor(Math.random() * 2 ** 31))
  console.log(`FUZZ_RUNS=${process.env['FUZZ_RUNS']} FUZZ_SEED=${process.env['FUZZ_SEED']}`)
  process.argv.push('test/fuzz/vm.test.ts')
  await import('./test.mjs')
}
