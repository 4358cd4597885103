/** The fallback's verifier against Linux's: the same programs, verified in turn in the same run. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { verify, type ProgramVerdict } from 'libbpf-node'
import type { Case, Measurement, Suite } from '../harness.js'

const OBJECT = readFileSync(fileURLToPath(new URL('../../../bpf/bench/verifier.bpf.o', import.meta.url)))

/** Linux processes between a thousand and a million instructions of each. */
const PROGRAMS = [
  'branchy_loop',
  'nested_loops',
  'packet_parser',
  'map_heavy',
  'function_calls',
  'joins',
  'text_on_stack',
  'bounded_indices',
  'callbacks',
  'near_the_limit',
] as const
const TOO_LARGE = 'over_the_limit'

/** How many times Linux's time ours may take. */
const MOST = 2.5
const MOST_MS_TO_THE_LIMIT = 3000
/** A measurement takes about so long, and at least so many runs: the fastest counts, since what disturbs makes one slower only. */
const MEASURED_MS = 100
const LEAST_RUNS = 2

type Side = 'native' | 'fallback'

function ask(kernel: Side, program: string): ProgramVerdict {
  const [verdict] = verify(OBJECT, { kernel, program })
  if (verdict === undefined) throw new Error(`the bench's object has no program ${program}`)
  return verdict
}

function milliseconds(kernel: Side, program: string): number {
  let best = Infinity
  const started = performance.now()
  for (let run = 0; run < LEAST_RUNS || performance.now() - started < MEASURED_MS; run++) {
    const { accepted, reason, milliseconds: took = NaN } = ask(kernel, program)
    if (!accepted) throw new Error(`${program}: ${reason}`)
    best = Math.min(best, took)
  }
  return best
}

/** Milliseconds; of several programs, the geometric mean. */
function measure(kernel: Side, programs: readonly string[]): Measurement {
  const logarithms = programs.map((program) => Math.log(milliseconds(kernel, program)))
  return { value: Math.exp(logarithms.reduce((sum, one) => sum + one, 0) / logarithms.length) }
}

function versus(name: string, programs: readonly string[]): Case {
  return {
    name,
    unit: 'ms',
    lowerIsBetter: true,
    target: { ratio: 1 / MOST },
    measure: async () => measure('fallback', programs),
    reference: { name: 'Linux', measure: async () => measure('native', programs) },
  }
}

function toTheLimit(kernel: Side): Measurement {
  const { errno, milliseconds: took = NaN, insnsProcessed = 0 } = ask(kernel, TOO_LARGE)
  return { value: took, notes: { errno, insns: insnsProcessed } }
}

/** A walk that never comes to an end on its own. */
const limitCase: Case = {
  name: 'over_the_limit',
  unit: 'ms',
  lowerIsBetter: true,
  target: { atMost: MOST_MS_TO_THE_LIMIT, of: 'value' },
  measure: async () => toTheLimit('fallback'),
  reference: { name: 'Linux', measure: async () => toTheLimit('native') },
}

export const verifierSuite: Suite = {
  name: 'verifier',
  async prepare() {
    for (const program of PROGRAMS) assertAlike(program)
    return {
      cases: [
        ...PROGRAMS.map((program) => versus(program, [program])),
        versus('geomean', PROGRAMS),
        limitCase,
      ],
      close: () => undefined,
    }
  },
}

/** What is compared must do the same work. */
function assertAlike(program: string): void {
  const ours = ask('fallback', program)
  const theirs = ask('native', program)
  const counts = [ours.insnsProcessed ?? 0, theirs.insnsProcessed ?? 0]
  if (!ours.accepted || !theirs.accepted || Math.max(...counts) > 1.1 * Math.min(...counts))
    throw new Error(`${program}: ours processes ${counts[0]} instructions, Linux ${counts[1]}`)
}
