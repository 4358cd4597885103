/**
 * `npm run fuzz:objects`: mutated object files, each of which must be opened or refused with a BpfError.
 *
 * On this machine they are opened only. `--load` loads them too, which is for kernels that may break: those of virtual machines.
 */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError, Option } from 'commander'
import { runCampaign } from './campaign.js'
import { isDisposableKernel } from './loading.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

interface Options {
  readonly runs: number
  readonly seed: number
  readonly kernel: 'native' | 'fallback'
  readonly load?: true
}

const command = new Command('npm run fuzz:objects --')
  .option('--runs <n>', 'how many mutants', natural, 10_000)
  .option('--seed <n>', 'the same seed makes the same mutants', natural, Date.now() % 1_000_000)
  .addOption(
    new Option('--kernel <name>', 'which one opens them').choices(['native', 'fallback']).default('native'),
  )
  .option('--load', 'also load them: natively in a virtual machine of npm run test:vm only')
  .parse()
const { runs, seed, kernel, load = false } = command.opts<Options>()

if (load && kernel === 'native' && !isDisposableKernel()) {
  command.error(
    'mutants are not loaded into the kernel of this machine: npm run test:vm -- --kernel 6.12 test/vm',
  )
}

const folder = `${ROOT}bpf/test/`
const objects = readdirSync(folder)
  .filter((name) => name.endsWith('.bpf.o'))
  .map((name) => folder + name)
const start = performance.now()
const report = await runCampaign({ runs, seed, kernel, load, objects, keep: `${ROOT}.cache/fuzz` })
const refused = Object.entries(report.refused).map(([code, count]) => `${count} ${code}`)
for (const { run, what, file } of report.casualties)
  console.error(`mutant ${run}: ${what}\n  kept as ${file}`)
console.log(
  `${runs} mutants with seed ${seed}, ${kernel}: ${report.opened} opened, ${load ? `${report.loaded} loaded, ` : ''}` +
    `refused ${refused.join(', ') || 'none'}; ${report.casualties.length} neither; ${((performance.now() - start) / 1000).toFixed(1)} s`,
)
process.exitCode = report.casualties.length === 0 ? 0 : 1

function natural(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new InvalidArgumentError('It must be a whole number above 0.')
}
