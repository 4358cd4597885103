/** Random programs before two verifiers, ours and a kernel's, and in their engines. Where they disagree, the program is reduced to what the disagreement needs. */
import { verifyProgram, type Verdict } from '../../lib/fallback/verifier/index.js'
import type { Privileges } from '../../lib/linux/capabilities.js'
import { expectationText, parseCases, type Case } from '../verifier/case-file.js'
import { programOf, verifierProgram, type CaseProgram } from '../verifier/case-program.js'
import type { BatchJudge, Judgement } from './batch-judge.js'
import { hasObject } from './case-object.js'
import { inputOf, OUT_OF_FUEL, runHere, type RunInput, type RunOutcome } from './case-run.js'
import type { KernelVerdict } from './kernel-calls.js'
import { randomProgramText, type RandomProgramText } from './random-verifier-program.js'

/** What two kernels differ in. */
export type Disagreement =
  | 'accepted here only'
  | 'accepted by Linux only'
  | 'reason'
  | 'instructions processed'
  /** An accepted program that an engine here stopped. */
  | 'trap'
  /** Engines here give different results. */
  | 'engines'
  /** Linux gives another result. */
  | 'result'

export interface Finding {
  readonly run: number
  readonly what: Disagreement
  readonly here: string
  readonly linux: string
  /** Reduced, in the format of the cases. */
  readonly text: string
}

export interface CampaignResult {
  /** Compared ones. */
  readonly programs: number
  /** That weren't asked. */
  readonly tooLarge: number
  readonly accepted: number
  /** Whose results were compared with Linux's. */
  readonly ran: number
  readonly findings: readonly Finding[]
  /** By kind, those that weren't reduced included. */
  readonly counts: Readonly<Record<string, number>>
  /** Known ones. */
  readonly known: number
}

/** A disagreement that is known. */
export interface KnownDisagreement {
  readonly what: string
  /** Of both texts, `here | Linux`. */
  readonly pattern: RegExp
  /** Of a line of the program. */
  readonly code?: RegExp
}

export interface CampaignOptions {
  readonly runs: number
  readonly seed: number
  readonly first?: number
  readonly prelude: string
  /** Of who loads them; without all of them programs aren't run. */
  readonly privileges?: Privileges
  /** Reduced ones of a kind and wording; more are counted. */
  readonly perKind?: number
  /** Whether the kernel has our words and counts. */
  readonly exact: boolean
  /** Milliseconds after which no new program is begun. */
  readonly timeLimit?: number
  readonly known?: readonly KnownDisagreement[]
  readonly onProgress?: (done: number) => void
  /** As soon as one is reduced. */
  readonly onFinding?: (finding: Finding) => void
}

/** What takes longer here would take an emulated processor minutes: it isn't asked. */
const TIME_LIMIT_MS = 800
const LARGEST = 12_000
/** So many instructions more or less say nothing. */
const FEW = 10
/** Programs on their way at once. */
const WINDOW = 48

export function caseOf(text: RandomProgramText, prelude: string): Case {
  const [one] = parseCases('random', [...caseText(text), 'accepted'].join('\n'), prelude)
  if (one === undefined) throw new Error('no case')
  return one
}

function caseText({ head, lines }: RandomProgramText): readonly string[] {
  return ['## found by fuzz:verifier', ...head, ...lines]
}

/** @throws Error for what is no program */
export function judgeHere(text: RandomProgramText, prelude: string): Verdict {
  return verdictHere(programOf(caseOf(text, prelude)))
}

const verdictHere = (program: CaseProgram, privileges: Privileges = 'all'): Verdict =>
  verifyProgram(verifierProgram(program), { timeout: TIME_LIMIT_MS, privileges })

/** Helpers whose results nobody foresees. */
const UNFORESEEN = /call bpf_(?:get_prandom_u32|ktime_get_ns|get_hash_recalc)/

/**
 * Whether a program that is accepted gives the same wherever it runs: it asks for nothing that nobody foresees, and neither addresses nor what the stack held
 * before get into its numbers. The latter is what Linux demands of those without CAP_PERFMON.
 */
export function isForeseen({ lines }: RandomProgramText, program: CaseProgram): boolean {
  return !lines.some((line) => UNFORESEEN.test(line)) && verdictHere(program, 'bpf').accepted
}

const isTooLarge = ({ insnsProcessed, reason = '' }: Verdict): boolean =>
  insnsProcessed > LARGEST || reason.startsWith('verification took more than')

/** What is known here of a program. */
interface Here {
  readonly text: RandomProgramText
  readonly program: CaseProgram
  readonly verdict: Verdict
  /** By engine; none if it wasn't run. */
  readonly runs: readonly RunOutcome[]
  /** What Linux is to run it on. */
  readonly input: RunInput | undefined
}

function look(text: RandomProgramText, { prelude, privileges = 'all' }: CampaignOptions): Here {
  const program = programOf(caseOf(text, prelude))
  const verdict = verdictHere(program, privileges)
  const input = privileges === 'all' ? inputOf(program) : undefined
  if (!verdict.accepted || input === undefined || !hasObject(program))
    return { text, program, verdict, runs: [], input: undefined }
  const runs = [
    runHere(program, input, { verify: false, engine: 'interpreter' }),
    runHere(program, input, { engine: 'wasm' }),
    runHere(program, input, { engine: 'interpreter' }),
  ]
  // may_goto bounds loops at eight million rounds, for which nobody has time.
  if (!verdict.terminates && runs.some(isTooLong))
    return { text, program, verdict, runs: [], input: undefined }
  return { text, program, verdict, runs, input: isForeseen(text, program) ? input : undefined }
}

const isTooLong = (run: RunOutcome): boolean => 'failed' in run && run.failed === OUT_OF_FUEL

interface Difference {
  readonly what: Disagreement
  readonly here: string
  readonly linux: string
}

/** What a look at our own engines tells. They agree where the program gives the same wherever it runs. */
function ownDifference({ runs, input }: Here): Difference | undefined {
  const [first, ...others] = runs
  if (first === undefined) return undefined
  const trap = runs.find((run) => 'failed' in run)
  if (trap !== undefined && 'failed' in trap) return { what: 'trap', here: trap.failed, linux: 'accepted' }
  if (input === undefined) return undefined
  const other = others.find((run) => JSON.stringify(run) !== JSON.stringify(first))
  return other === undefined
    ? undefined
    : { what: 'engines', here: JSON.stringify(first), linux: JSON.stringify(other) }
}

function difference(look: Here, { verdict: linux, run }: Judgement, exact: boolean): Difference | undefined {
  const here = look.verdict
  const both = { here: expectationText(here), linux: expectationText(linux) }
  if (here.accepted !== linux.accepted)
    return { what: here.accepted ? 'accepted here only' : 'accepted by Linux only', ...both }
  const own = ownDifference(look)
  if (own !== undefined) return own
  const result = run === undefined ? undefined : JSON.stringify(run)
  const ours = JSON.stringify(look.runs[0])
  if (result !== undefined && result !== ours) return { what: 'result', here: ours, linux: result }
  if (!exact) return undefined
  if (!here.accepted) return isSameRefusal(here, linux) ? undefined : { what: 'reason', ...both }
  const [processed, theirs] = [here.insnsProcessed, linux.insnsProcessed ?? 0]
  return Math.abs(processed - theirs) <= Math.max(FEW, theirs / 10)
    ? undefined
    : { what: 'instructions processed', here: String(processed), linux: String(theirs) }
}

/** What all paths come to has no instruction in a log of level 1. */
function isSameRefusal(here: Verdict, linux: KernelVerdict): boolean {
  return linux.insn === undefined
    ? here.reason === linux.reason
    : expectationText(here) === expectationText(linux)
}

export async function runCampaign(judge: BatchJudge, options: CampaignOptions): Promise<CampaignResult> {
  const { runs, seed, first = 0, privileges, perKind = 3, exact, timeLimit = Infinity, known = [] } = options
  const { onProgress, onFinding } = options
  const counts: Record<string, number> = {}
  const findings: Finding[] = []
  const sums = { programs: 0, tooLarge: 0, accepted: 0, ran: 0, known: 0 }
  const one = async (run: number): Promise<void> => {
    const text = randomProgramText(seed, run, privileges)
    const here = look(text, options)
    if (isTooLarge(here.verdict)) {
      sums.tooLarge++
      return
    }
    const judgement = await judge.judge(here.program, here.input)
    sums.programs++
    if (judgement.verdict.accepted) sums.accepted++
    if (judgement.run !== undefined) sums.ran++
    const found = difference(here, judgement, exact)
    if (found === undefined) return
    if (isKnown(found, text, known)) {
      sums.known++
      return
    }
    const kind = kindOf(found)
    counts[kind] = (counts[kind] ?? 0) + 1
    if (counts[kind] > perKind) return
    const finding = await reduce(judge, { run, found, kind, text, options })
    onFinding?.(finding)
    findings.push(finding)
  }
  const start = performance.now()
  const underway = new Set<Promise<void>>()
  const failures: Error[] = []
  for (let i = 0; i < runs && performance.now() - start < timeLimit && failures.length === 0; i++) {
    const promise = one(first + i).catch((error: unknown) => {
      failures.push(new Error(`program ${first + i}`, { cause: error }))
    })
    const ended = promise.finally(() => underway.delete(ended))
    underway.add(ended)
    // Not without a turn for what has come back.
    await (underway.size >= WINDOW ? Promise.race(underway) : new Promise(setImmediate))
    onProgress?.(i + 1)
  }
  await Promise.all(underway)
  if (failures[0] !== undefined) throw failures[0]
  return { ...sums, findings, counts }
}

/** What makes two disagreements the same. */
function kindOf({ what, here, linux }: Difference): string {
  if (what === 'instructions processed' || what === 'result' || what === 'engines') return what
  return `${what}: ${general(here)} | ${general(linux)}`
}

const isKnown = (
  found: Difference,
  { lines }: RandomProgramText,
  known: readonly KnownDisagreement[],
): boolean =>
  known.some(
    ({ what, pattern, code = /^/ }) =>
      what === found.what && pattern.test(kindOf(found)) && lines.some((line) => code.test(line)),
  )

/** Without numbers: the kind of a reason. */
const general = (text: string): string => text.replaceAll(/\b(?:0x[0-9a-f]+|\d+)\b/g, 'N')

interface Reducible {
  readonly run: number
  readonly found: Difference
  readonly kind: string
  readonly text: RandomProgramText
  readonly options: CampaignOptions
}

/** Takes lines away, fewer and fewer at once, as long as the kernels go on to differ in the same way. */
async function reduce(judge: BatchJudge, { run, found, kind, text, options }: Reducible): Promise<Finding> {
  let best = text
  let says = found
  for (let size = Math.ceil(best.lines.length / 2); size >= 1;) {
    let shrunk = false
    for (let at = 0; at < best.lines.length; at += size) {
      const lines = best.lines.filter(
        (line, i) => i < at || i >= at + size || (/^\w+:$/.test(line) && isUsed(line, best.lines)),
      )
      if (lines.length === best.lines.length) continue
      const smaller = { head: headFor(best.head, lines), lines }
      const still = await compare(judge, smaller, { kind, options })
      if (still === undefined) continue
      best = smaller
      says = still
      shrunk = true
      at -= size
    }
    if (!shrunk) size = size === 1 ? 0 : Math.ceil(size / 2)
    if (size === 0) break
  }
  const { what, here, linux } = says
  const isRefused = what === 'reason' || what === 'accepted here only'
  const expectation = isRefused ? `rejected => ${linux}` : 'accepted'
  return { run, what, here, linux, text: [...caseText(best), expectation].join('\n') }
}

const isUsed = (label: string, lines: readonly string[]): boolean =>
  lines.some((line) => line.endsWith(` ${label.slice(0, -1)}`) || line.includes(`[${label.slice(0, -1)}]`))

/** Without the types of functions that have gone. */
const headFor = (head: readonly string[], lines: readonly string[]): readonly string[] =>
  head.filter((line) => {
    const name = /^func (\w+) =/.exec(line)?.[1]
    return name === undefined || lines.includes(`${name}:`)
  })

async function compare(
  judge: BatchJudge,
  text: RandomProgramText,
  { kind, options }: Pick<Reducible, 'kind' | 'options'>,
): Promise<Difference | undefined> {
  let here: Here
  try {
    here = look(text, options)
  } catch {
    // Not even a program.
    return undefined
  }
  if (isTooLarge(here.verdict)) return undefined
  const found = difference(here, await judge.judge(here.program, here.input), options.exact)
  return found !== undefined && kindOf(found) === kind ? found : undefined
}
