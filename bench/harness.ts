/** Benchmarks: ours and a reference in turn, so that what disturbs the machine disturbs both. */

/** One measurement. The unit is the case's; the CPU time is for the same item. */
export interface Measurement {
  readonly value: number
  /** CPU time for an item, in nanoseconds, where it tells more than the value. */
  readonly cpuNs?: number
  /** Anything else worth a column: drops, delivered records. */
  readonly notes?: Readonly<Record<string, number>>
}

export interface Reference {
  readonly name: string
  measure(): Promise<Measurement>
}

/**
 * What a case must reach. `ratio`: how many times as fast as the reference; `cpuRatio`: the same by CPU time, for what never waits: on a
 * machine at rest the two are one, and other work disturbs only the first. `notAbove`: the median of a note is at most the reference's. Others
 * bound a figure of ours.
 */
export type Target =
  | { readonly ratio: number }
  | { readonly cpuRatio: number }
  | { readonly atMost: number; readonly of: 'value' | 'cpuNs' }
  | { readonly all: readonly Target[] }
  | { readonly notAbove: string }

export interface Case {
  readonly name: string
  /** `ns/record`, `records/s`, … */
  readonly unit: string
  /** Whether a smaller value is the faster one. */
  readonly lowerIsBetter: boolean
  readonly target: Target
  /** Undefined where nothing does the same. */
  readonly reference?: Reference
  /** Others that do the same: measured in the same rounds and shown, no target goes by them. */
  readonly peers?: readonly Reference[]
  measure(): Promise<Measurement>
}

export interface Suite {
  readonly name: string
  /** Makes the cases; whatever it opens is closed by `close()`. Throws where the suite can't run here, saying why. */
  prepare(): Promise<{ readonly cases: readonly Case[]; close(): void }>
}

export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface PeerResult {
  readonly name: string
  readonly value: Summary
  readonly cpuNs: number | null
  /** How many times as fast as the peer ours was in the same round: the median. */
  readonly ratio: number
}

export interface CaseResult {
  readonly suite: string
  readonly case: string
  readonly unit: string
  readonly ours: Summary
  readonly oursCpuNs: number | null
  readonly reference: Summary | null
  readonly referenceCpuNs: number | null
  readonly referenceName: string | null
  /** Median, over the rounds, of how many times as fast as the reference ours was in the same round; null without one. */
  readonly ratio: number | null
  /** The same of CPU time; null where one of the two doesn't tell it. */
  readonly cpuRatio: number | null
  /** The figure to reach: the least ratio, or the most of ours. */
  readonly target: number
  /** The same in words, with everything else that must hold. */
  readonly targetText: string
  readonly pass: boolean
  /** The largest of all rounds. */
  readonly notes: Readonly<Record<string, number>>
  readonly referenceNotes: Readonly<Record<string, number>>
  readonly peers: readonly PeerResult[]
}

/** Runs ours and the reference in turn, the one first in even rounds and the other in odd ones, after a round that doesn't count. */
export async function runCase(suite: string, bench: Case, rounds: number): Promise<CaseResult> {
  const ours: Measurement[] = []
  const reference: Measurement[] = []
  const peers = (bench.peers ?? []).map((peer) => ({ peer, measured: [] as Measurement[] }))
  for (let round = -1; round < rounds; round++) {
    const measureOurs = async (): Promise<void> => void ours.push(await bench.measure())
    const measureReference = async (): Promise<void> => {
      if (bench.reference !== undefined) reference.push(await bench.reference.measure())
    }
    for (const measure of round % 2 === 0
      ? [measureOurs, measureReference]
      : [measureReference, measureOurs]) {
      await measure()
    }
    for (const { peer, measured } of peers) measured.push(await peer.measure())
  }
  for (const warmUp of [ours, reference, ...peers.map(({ measured }) => measured)]) warmUp.shift()
  const ratiosTo = (others: readonly Measurement[]): readonly number[] =>
    others.map(({ value }, round) => {
      const own = ours[round]?.value ?? NaN
      return bench.lowerIsBetter ? value / own : own / value
    })
  const ratios = ratiosTo(reference)
  const cpuRatios = ours.flatMap(({ cpuNs: own }, round) => {
    const theirs = reference[round]?.cpuNs
    return own === undefined || theirs === undefined ? [] : [theirs / own]
  })
  const result = {
    suite,
    case: bench.name,
    unit: bench.unit,
    ours: summary(ours.map(({ value }) => value)),
    oursCpuNs: medianCpu(ours),
    reference: reference.length === 0 ? null : summary(reference.map(({ value }) => value)),
    referenceCpuNs: medianCpu(reference),
    referenceName: bench.reference?.name ?? null,
    ratio: ratios.length === 0 ? null : median(ratios),
    cpuRatio: cpuRatios.length === 0 ? null : median(cpuRatios),
    notes: worstNotes(ours),
    referenceNotes: worstNotes(reference),
    peers: peers.map(({ peer, measured }) => ({
      name: peer.name,
      value: summary(measured.map(({ value }) => value)),
      cpuNs: medianCpu(measured),
      ratio: median(ratiosTo(measured)),
    })),
  }
  const above = (note: string): number => medianNote(ours, note) - medianNote(reference, note)
  return {
    ...result,
    target: targetFigure(bench.target),
    targetText: describeTarget(bench.target),
    pass: reached(bench.target, result, above),
  }
}

/** @param above by how much the median of a note is larger than the reference's */
function reached(
  target: Target,
  result: Pick<CaseResult, 'ratio' | 'cpuRatio' | 'ours' | 'oursCpuNs'>,
  above: (note: string) => number,
): boolean {
  if ('all' in target) return target.all.every((part) => reached(part, result, above))
  if ('ratio' in target) return result.ratio !== null && result.ratio >= target.ratio
  if ('cpuRatio' in target) return result.cpuRatio !== null && result.cpuRatio >= target.cpuRatio
  if ('notAbove' in target) return above(target.notAbove) <= 0
  const figure = target.of === 'value' ? result.ours.median : result.oursCpuNs
  return figure !== null && figure <= target.atMost
}

function targetFigure(target: Target): number {
  if ('all' in target) return target.all[0] === undefined ? NaN : targetFigure(target.all[0])
  if ('ratio' in target) return target.ratio
  if ('cpuRatio' in target) return target.cpuRatio
  return 'notAbove' in target ? 0 : target.atMost
}

function describeTarget(target: Target): string {
  if ('all' in target) return target.all.map(describeTarget).join(', ')
  if ('ratio' in target) return `ratio ≥ ${Number(target.ratio.toFixed(3))}`
  if ('cpuRatio' in target) return `CPU ratio ≥ ${target.cpuRatio}`
  if ('notAbove' in target) return `${target.notAbove} ≤ the reference's`
  return target.of === 'value' ? `≤ ${target.atMost}` : `CPU ≤ ${target.atMost} ns`
}

function summary(values: readonly number[]): Summary {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

function medianCpu(measurements: readonly Measurement[]): number | null {
  const values = measurements.flatMap(({ cpuNs }) => cpuNs ?? [])
  return values.length === 0 ? null : median(values)
}

/** The largest of each: a number of drops is of interest where it was worst. */
function worstNotes(measurements: readonly Measurement[]): Record<string, number> {
  const worst: Record<string, number> = {}
  for (const { notes = {} } of measurements) {
    for (const [name, value] of Object.entries(notes)) worst[name] = Math.max(worst[name] ?? -Infinity, value)
  }
  return worst
}

function medianNote(measurements: readonly Measurement[], note: string): number {
  return median(measurements.map(({ notes }) => notes?.[note] ?? NaN))
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2
}
