/** Random programs before two verifiers: ours, and a kernel's. Where they disagree, the program is reduced to what the disagreement needs. */
import { verifyProgram, type Verdict } from '../../lib/fallback/verifier/index.js'
import { expectationText, parseCases, type Case } from '../verifier/case-file.js'
import { programOf, verifierProgram } from '../verifier/case-program.js'
import { SHORT, type KernelJudge, type KernelVerdict } from './kernel-judge.js'
import { randomProgramText, type RandomProgramText } from './random-verifier-program.js'

/** What two verdicts differ in. */
export type Disagreement =
  'accepted here only' | 'accepted by Linux only' | 'reason' | 'instructions processed'

export interface Finding {
  readonly run: number
  readonly what: Disagreement
  readonly here: string
  readonly linux: string
  /** Reduced, in the format of the cases. */
  readonly text: string
}

export interface CampaignResult {
  readonly programs: number
  /** That weren't asked. */
  readonly tooLarge: number
  readonly accepted: number
  readonly findings: readonly Finding[]
  /** By kind, those that weren't reduced included. */
  readonly counts: Readonly<Record<string, number>>
}

export interface CampaignOptions {
  readonly runs: number
  readonly seed: number
  readonly first?: number
  readonly prelude: string
  /** Reduced ones of a kind and wording; more are counted. */
  readonly perKind?: number
  /** Whether the kernel has our words and counts. */
  readonly exact: boolean
  readonly onProgress?: (done: number) => void
  /** As soon as one is reduced. */
  readonly onFinding?: (finding: Finding) => void
}

/** What takes longer here would take an emulated processor minutes: it isn't asked. */
const TIME_LIMIT_MS = 3000
const LARGEST = 60_000
/** So many instructions more or less say nothing. */
const FEW = 10
/** Calls on their way at once. */
const WINDOW = 4

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
  return verifyProgram(verifierProgram(programOf(caseOf(text, prelude))), { timeout: TIME_LIMIT_MS })
}

const linuxSays = (judge: KernelJudge, text: RandomProgramText, prelude: string): Promise<KernelVerdict> =>
  judge.judge(programOf(caseOf(text, prelude)), { logLevel: SHORT, patience: 60 })

function disagreement(here: Verdict, linux: KernelVerdict, exact: boolean): Disagreement | undefined {
  if (here.accepted !== linux.accepted) return here.accepted ? 'accepted here only' : 'accepted by Linux only'
  if (!exact) return undefined
  if (!here.accepted) return isSameRefusal(here, linux) ? undefined : 'reason'
  const [ours, theirs] = [here.insnsProcessed, linux.insnsProcessed ?? 0]
  return Math.abs(ours - theirs) <= Math.max(FEW, theirs / 10) ? undefined : 'instructions processed'
}

/** What all paths come to has no instruction in a log of level 1. */
function isSameRefusal(here: Verdict, linux: KernelVerdict): boolean {
  return linux.insn === undefined
    ? here.reason === linux.reason
    : expectationText(here) === expectationText(linux)
}

function words(what: Disagreement, here: Verdict, linux: KernelVerdict): readonly [string, string] {
  return what === 'instructions processed'
    ? [String(here.insnsProcessed), String(linux.insnsProcessed)]
    : [expectationText(here), expectationText(linux)]
}

export async function runCampaign(judge: KernelJudge, options: CampaignOptions): Promise<CampaignResult> {
  const { runs, seed, first = 0, prelude, perKind = 3, exact, onProgress, onFinding } = options
  const counts: Record<string, number> = {}
  const findings: Finding[] = []
  let accepted = 0
  let tooLarge = 0
  const one = async (run: number): Promise<void> => {
    const text = randomProgramText(seed, run)
    const here = judgeHere(text, prelude)
    if (here.insnsProcessed > LARGEST) {
      tooLarge++
      return
    }
    const linux = await linuxSays(judge, text, prelude)
    if (linux.accepted) accepted++
    const what = disagreement(here, linux, exact)
    if (what === undefined) return
    const [ours, theirs] = words(what, here, linux)
    const kind = kindOf(what, [ours, theirs])
    counts[kind] = (counts[kind] ?? 0) + 1
    if (counts[kind] > perKind) return
    const finding = await reduce(judge, { run, what, kind, text, prelude, exact })
    onFinding?.(finding)
    findings.push(finding)
  }
  for (let start = 0; start < runs; start += WINDOW) {
    const window = Array.from({ length: Math.min(WINDOW, runs - start) }, (_unused, i) =>
      one(first + start + i),
    )
    await Promise.all(window)
    onProgress?.(start + window.length)
  }
  return { programs: runs - tooLarge, tooLarge, accepted, findings, counts }
}

/** What makes two disagreements the same. */
function kindOf(what: Disagreement, [here, linux]: readonly [string, string]): string {
  return what === 'instructions processed' ? what : `${what}: ${general(here)} | ${general(linux)}`
}

/** Without numbers: the kind of a reason. */
const general = (text: string): string => text.replaceAll(/\b(?:0x[0-9a-f]+|\d+)\b/g, 'N')

interface Reducible {
  readonly run: number
  readonly kind: string
  readonly what: Disagreement
  readonly text: RandomProgramText
  readonly prelude: string
  readonly exact: boolean
}

/** Takes lines away, fewer and fewer at once, as long as the verdicts go on to differ in the same way. */
async function reduce(judge: KernelJudge, finding: Reducible): Promise<Finding> {
  const { run, what, kind, prelude, exact } = finding
  let best = finding.text
  let says = await compare(judge, best, { kind, prelude, exact })
  for (let size = Math.ceil(best.lines.length / 2); size >= 1;) {
    let shrunk = false
    for (let at = 0; at < best.lines.length; at += size) {
      const lines = best.lines.filter(
        (line, i) => i < at || i >= at + size || (/^\w+:$/.test(line) && isUsed(line, best.lines)),
      )
      if (lines.length === best.lines.length) continue
      const smaller = { head: headFor(best.head, lines), lines }
      const difference = await compare(judge, smaller, { kind, prelude, exact })
      if (difference === undefined) continue
      best = smaller
      says = difference
      shrunk = true
      at -= size
    }
    if (!shrunk) size = size === 1 ? 0 : Math.ceil(size / 2)
    if (size === 0) break
  }
  const [here, linux] = says ?? ['?', '?']
  const expectation = linux === 'accepted' || /^\d+$/.test(linux) ? 'accepted' : `rejected => ${linux}`
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
  judge: KernelJudge,
  text: RandomProgramText,
  { kind, prelude, exact }: Pick<Reducible, 'kind' | 'prelude' | 'exact'>,
): Promise<readonly [here: string, linux: string] | undefined> {
  try {
    const here = judgeHere(text, prelude)
    const linux = await linuxSays(judge, text, prelude)
    const what = disagreement(here, linux, exact)
    if (what === undefined) return undefined
    const both = words(what, here, linux)
    return kindOf(what, both) === kind ? both : undefined
  } catch {
    // Not even a program.
    return undefined
  }
}
