/**
 * `npm run fuzz:verifier`: 10,000 random nearly valid programs before the verifier and before the kernel of a virtual machine, 6.18 unless
 * `--kernel NAME` says another (as `npm run test:vm` does). Accepted ones run in both kernels, and must give and leave the same. What they disagree on is
 * reduced, and printed as a case for test/verifier/cases.
 *
 *   --runs N, --seed N     how many, and which: other ones each time by default, and the seed is printed
 *   --first N              number of the first one, to go on with a seed
 *   --minutes N            none is begun after that
 *   --privileges NAME      bpf or none: as whoever has CAP_BPF and CAP_NET_ADMIN only, or nothing, loads them
 *   --cases                no random ones: all cases of test/verifier/cases
 */
import { parseArgs } from 'node:util'
import { checkUsage } from './setup/usage.mjs'

const FLAGS = ['--kernel', '--runs', '--seed', '--first', '--minutes', '--privileges', '--cases']

if (checkUsage(import.meta.url, FLAGS)) await main()

async function main() {
  const string = { type: 'string' }
  const { values } = parseArgs({
    options: {
      kernel: { ...string, default: '6.18' },
      runs: { ...string, default: process.env['FUZZ_RUNS'] ?? '10000' },
      seed: { ...string, default: process.env['FUZZ_SEED'] ?? String(Math.floor(Math.random() * 2 ** 31)) },
      first: string,
      minutes: string,
      privileges: string,
      cases: { type: 'boolean', default: false },
    },
  })
  const { cases, ...settings } = values
  for (const [name, value] of Object.entries(settings))
    if (value !== undefined) process.env[`FUZZ_${name.toUpperCase()}`] = value
  if (!cases) console.log('--seed', settings.seed, '--runs', settings.runs)
  process.argv.splice(2, Infinity, cases ? 'test/fuzz/verifier-cases.test.ts' : 'test/fuzz/verifier.test.ts')
  await import('./test.mjs')
}
