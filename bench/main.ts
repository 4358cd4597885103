/** `npm run bench -- SUITE [--json]` */
import { cpus, release, totalmem, type } from 'node:os'
import Table from 'cli-table3'
import { Command, InvalidArgumentError } from 'commander'
import { runCase, type CaseResult, type Suite } from './harness.js'
import { nativeSuite } from './native/suite.js'
import { verifierSuite } from './verifier/suite.js'
import { algorithmsSuite } from './vm/algorithms.js'
import { vmSuite } from './vm/suite.js'

const SUITES: readonly Suite[] = [nativeSuite, vmSuite, algorithmsSuite, verifierSuite]

const command = new Command('bench')
  .description('Measures ours and a reference in turn, and prints how many times as fast ours is.')
  .argument('<suite>', SUITES.map(({ name }) => name).join(', '))
  .option('-c, --case <name...>', 'only these cases')
  .option('-r, --rounds <number>', 'rounds that count', positive, 7)
  .option('-j, --json', 'one JSON object a case')
  .parse()

const options = command.opts<{
  readonly case?: readonly string[]
  readonly rounds: number
  readonly json?: true
}>()
const suite = SUITES.find(({ name }) => name === command.args[0])
if (suite === undefined)
  command.error(`unknown suite '${command.args[0]}'; there are: ${SUITES.map(({ name }) => name).join(', ')}`)
else process.exitCode = (await run(suite)) ? 0 : 1

async function run({ name, prepare }: Suite): Promise<boolean> {
  const { cases, close } = await prepare()
  const results: CaseResult[] = []
  try {
    const wanted = cases.filter((bench) => options.case?.includes(bench.name) ?? true)
    const unknown = options.case?.filter((text) => !cases.some((bench) => bench.name === text)) ?? []
    if (unknown.length > 0)
      command.error(
        `unknown case ${unknown.join(', ')}; there are: ${cases.map((bench) => bench.name).join(', ')}`,
      )
    for (const bench of wanted) {
      process.stderr.write(`${name}: ${bench.name} …\n`)
      const result = await runCase(name, bench, options.rounds)
      results.push(result)
      if (options.json) process.stdout.write(`${JSON.stringify(toJson(result))}\n`)
    }
  } finally {
    close()
  }
  if (!options.json) process.stdout.write(`${table(results)}\n${machine()}\n`)
  return results.every(({ pass }) => pass)
}

/** Flat: medians as plain numbers, their ranges beside them. */
function toJson({ ours, reference, ...rest }: CaseResult): object {
  const { suite: suiteName, case: name, unit, referenceName, ratio, target, pass, ...more } = rest
  return {
    suite: suiteName,
    case: name,
    unit,
    ours: ours.median,
    reference: reference?.median ?? null,
    referenceName,
    ratio,
    target,
    pass,
    oursRange: [ours.min, ours.max],
    referenceRange: reference === null ? null : [reference.min, reference.max],
    ...more,
  }
}

function table(results: readonly CaseResult[]): string {
  const rows = new Table({
    head: [
      'case',
      'unit',
      'ours (min…max)',
      'CPU ns',
      'reference (min…max)',
      'CPU ns',
      'ratio',
      'of CPU',
      'target',
      '',
      'notes',
    ],
    style: { head: [], border: [] },
  })
  for (const result of results) {
    const { ours, reference, referenceName, ratio, cpuRatio, pass, notes, referenceNotes } = result
    rows.push([
      result.case,
      result.unit,
      `${figure(ours.median)} (${figure(ours.min)}…${figure(ours.max)})`,
      figure(result.oursCpuNs),
      reference === null
        ? '-'
        : `${referenceName}: ${figure(reference.median)} (${figure(reference.min)}…${figure(reference.max)})`,
      figure(result.referenceCpuNs),
      figure(ratio),
      figure(cpuRatio),
      result.targetText,
      pass ? 'pass' : 'FAIL',
      Object.entries(notes)
        .map(([note, value]) => {
          const theirs = referenceNotes[note]
          return `${note} ${figure(value)}${theirs === undefined ? '' : ` (${referenceName}: ${figure(theirs)})`}`
        })
        .join(', '),
    ])
    for (const peer of result.peers) {
      const value = `${peer.name}: ${figure(peer.value.median)} (${figure(peer.value.min)}…${figure(peer.value.max)})`
      rows.push(['', '', '', '', value, figure(peer.cpuNs), figure(peer.ratio), '', '', '', ''])
    }
  }
  return rows.toString()
}

function figure(value: number | null): string {
  if (value === null) return '-'
  if (value >= 10_000) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}

function machine(): string {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}, Node ${process.version}`
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 1000)
    throw new InvalidArgumentError('It must be a number from 1 to 1000.')
  return value
}
