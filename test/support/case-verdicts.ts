/** Verdicts of a machine's kernel on all cases of test/verifier, beside those that are expected. */
import { verifyProgram, type Verdict } from '../../lib/fallback/verifier/index.js'
import type { Privileges } from '../../lib/linux/capabilities.js'
import { isOlderThan } from '../../lib/linux/release.js'
import { casesOf, expectationText, titleOf, topics, type Case } from '../verifier/case-file.js'
import { programOf, verifierProgram } from '../verifier/case-program.js'
import {
  BUILD_DIFFERENCES,
  COUNTED_OTHERWISE,
  DIFFERENCES_HERE,
  differenceIn,
  isIn,
  KERNEL_DIFFERENCES,
} from '../verifier/differences.js'
import type { BatchJudge } from './batch-judge.js'
import { NotInKernel, type KernelVerdict } from './kernel-calls.js'

export interface CaseDisagreement {
  readonly topic: string
  readonly title: string
  readonly expected: string
  readonly linux: string
  /** Whether it is one of verdicts; or of words and counts. */
  readonly isVerdict: boolean
}

export interface CaseVerdicts {
  readonly judged: number
  /** That name functions which the kernel doesn't have: not judged. */
  readonly without: number
  /** That took the kernel too long: not judged. */
  readonly tooLong: number
  /** Of which this build of 6.18 says what another doesn't. */
  readonly builds: number
  readonly accepted: number
  /** Refused, and for the same reason at the same instruction. */
  readonly reasons: { readonly same: number; readonly of: number }
  readonly disagreements: readonly CaseDisagreement[]
  /** Known differences that aren't there. */
  readonly gone: readonly string[]
}

export interface CaseOptions {
  /** `uname -r` of the machine. */
  readonly release: string
  /** Who loads them. Without all capabilities the verifier here says what is expected. */
  readonly privileges: Privileges
  /** Whether words and counts are compared, too. */
  readonly exact: boolean
  /** After each topic. */
  readonly onProgress?: (topic: string, judged: number) => void
}

/** A verification that was given up. */
const EAGAIN = 11
/** Cases on their way at once. */
const WINDOW = 16
/** So many instructions more or less say nothing. */
const FEW = 10

function isAsked({ settings }: Case, release: string): boolean {
  const since = settings.get('since')
  return settings.get('only') !== 'here' && (since === undefined || !isOlderThan(release, since))
}

export async function judgeCases(judge: BatchJudge, options: CaseOptions): Promise<CaseVerdicts> {
  const { release, privileges, exact, onProgress } = options
  const known = KERNEL_DIFFERENCES.filter((one) => isIn(release, one))
  const met = new Set<(typeof known)[number]>()
  const disagreements: CaseDisagreement[] = []
  const sums = { judged: 0, without: 0, tooLong: 0, builds: 0, accepted: 0, same: 0, refused: 0 }
  const one = async (each: Case): Promise<void> => {
    const program = programOf(each)
    const linux = await judge.judge(program).then(
      ({ verdict }) => verdict,
      (error: unknown) => error as Error,
    )
    if (linux instanceof NotInKernel) {
      sums.without++
      return
    }
    if (linux instanceof Error) {
      // A map or types that this kernel doesn't make.
      const { topic, expected } = each
      disagreements.push({
        topic,
        title: titleOf(each),
        expected: expectationText(expected),
        linux: linux.message,
        isVerdict: true,
      })
      return
    }
    if (!exact && linux.errno === EAGAIN) {
      sums.tooLong++
      return
    }
    const ours = (): Verdict => verifyProgram(verifierProgram(program), { privileges, timeout: 60_000 })
    sums.judged++
    if (linux.accepted) sums.accepted++
    const expected = privileges === 'all' ? each.expected : ours()
    const found = (
      isVerdict: boolean,
      told = expectationText(expected),
      said = expectationText(linux),
    ): void => {
      disagreements.push({ topic: each.topic, title: titleOf(each), expected: told, linux: said, isVerdict })
    }
    if (exact && differenceIn(BUILD_DIFFERENCES, each)?.said === expectationText(linux)) {
      sums.builds++
      return
    }
    const difference = privileges === 'all' ? differenceIn(known, each) : undefined
    if (difference !== undefined && linux.accepted !== expected.accepted) met.add(difference)
    else if (linux.accepted !== expected.accepted) found(true)
    else if (!linux.accepted) {
      sums.refused++
      if (isSame(expected, linux)) sums.same++
      else if (exact) found(false)
    } else if (exact && differenceIn([...DIFFERENCES_HERE, ...COUNTED_OTHERWISE], each) === undefined) {
      const [processed, theirs] = [ours().insnsProcessed, linux.insnsProcessed ?? 0]
      if (Math.abs(processed - theirs) > Math.max(FEW, theirs / 10))
        found(false, String(processed), String(theirs))
    }
  }
  for (const topic of topics()) {
    const asked = casesOf(topic).filter((each) => isAsked(each, release))
    for (let at = 0; at < asked.length; at += WINDOW) await Promise.all(asked.slice(at, at + WINDOW).map(one))
    onProgress?.(topic, sums.judged)
  }
  return {
    judged: sums.judged,
    without: sums.without,
    tooLong: sums.tooLong,
    builds: sums.builds,
    accepted: sums.accepted,
    reasons: { same: sums.same, of: sums.refused },
    disagreements,
    gone:
      privileges === 'all'
        ? known.filter((each) => !met.has(each)).map(({ topic, rule }) => `${topic}: ${rule}`)
        : [],
  }
}

/** What all paths come to has no instruction in a short log. */
function isSame(expected: Case['expected'] | Verdict, linux: KernelVerdict): boolean {
  return linux.insn === undefined
    ? expected.reason === linux.reason
    : expectationText(expected) === expectationText(linux)
}
