/**
 * Linux on the cases of test/verifier: the judge of what they expect. Under 6.18, whose semantics the verifier here has, reason, instruction and
 * instructions processed must be the same too; under others (`CASES=others`, until all their differences are known) the verdict, save for the
 * differences that test/verifier/differences.ts explains. Builds of one version differ, too: a few other words than those that are known don't fail
 * (`CASES=strict`: they do); that Linux refuses what is expected to be accepted always does.
 *
 * `CASES=update` writes reasons and instructions into the cases, as this kernel words them; a verdict that isn't the expected one fails, and
 * changes only with `CASES=overwrite`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseBtf } from '../../lib/btf/parse.js'
import { KernelTypes } from '../../lib/fallback/verifier/kernel-types.js'
import { verifyProgram } from '../../lib/fallback/verifier/index.js'
import { isOlderThan } from '../../lib/linux/release.js'
import type { KernelVerdict } from '../support/kernel-calls.js'
import { KernelJudge } from '../support/kernel-judge.js'
import { describeNative } from '../support/require-kernel.js'
import { isVirtual, linuxIsAtLeast } from '../support/this-machine.js'
import { casesOf, expectationText, pathOf, titleOf, topics, type Case } from '../verifier/case-file.js'
import { programOf, verifierProgram } from '../verifier/case-program.js'
import {
  BUILD_DIFFERENCES,
  COUNTED_OTHERWISE,
  DIFFERENCES_HERE,
  differenceIn,
  isIn,
  KERNEL_DIFFERENCES,
  needsKernelTypes,
} from '../verifier/differences.js'

/** Whose words and counts the cases have. */
const isJudge = linuxIsAtLeast('6.18') && isOlderThan(release(), '6.19')
const overwrites = process.env['CASES'] === 'overwrite'
const updates = overwrites || process.env['CASES'] === 'update'
/** Other words, counts or acceptances than any list has: of a build that nobody has seen yet. One in a hundred. */
const UNKNOWN_AT_MOST = process.env['CASES'] === 'strict' ? 0 : 20

const isOnlyVirtual = ({ settings }: Case): boolean => settings.get('only') === 'vm'

/** Why a case isn't asked here. */
function leftOut(one: Case): string | undefined {
  if (!isJudge && process.env['CASES'] !== 'others') return 'runs on Linux 6.18'
  const since = one.settings.get('since')
  if (since !== undefined && !linuxIsAtLeast(since)) return `needs Linux ${since}`
  if (one.replaces !== undefined && !isVirtual) return 'extends programs, in virtual machines: npm run test:vm'
  if (one.settings.get('only') === 'here') return 'Linux has a bug there'
  return isOnlyVirtual(one) && !isVirtual ? 'runs in virtual machines: npm run test:vm' : undefined
}

/** Differences of this kernel. */
const differences = KERNEL_DIFFERENCES.filter((one) => isIn(release(), one))

/** What is compared of a verdict. */
interface Said {
  readonly accepted: boolean
  /** Instruction and reason, where the kernel has the words of the cases. */
  readonly text?: string
  /** Of an accepted program, there as well. */
  readonly insnsProcessed?: number | undefined
}

function expected(one: Case): Said {
  const { accepted } = one.expected
  if (differenceIn(differences, one) !== undefined) return { accepted: !accepted }
  if (!isJudge || updates) return { accepted }
  const text = expectationText(one.expected)
  if (!accepted || differenceIn([...DIFFERENCES_HERE, ...COUNTED_OTHERWISE], one) !== undefined)
    return { accepted, text }
  const { insnsProcessed } = verifyProgram(verifierProgram(programOf(one)))
  return { accepted, text, insnsProcessed }
}

const isBuild = (one: Case, verdict: KernelVerdict): boolean =>
  isJudge && differenceIn(BUILD_DIFFERENCES, one)?.said === expectationText(verdict)

describeNative('Linux says the same of the cases', () => {
  const unknown: string[] = []
  let judge: KernelJudge
  beforeAll(() => {
    judge = new KernelJudge()
  })
  afterAll(() => judge[Symbol.asyncDispose]())

  describe.each(topics())('%s', (topic) => {
    const found = new Map<Case, string>()
    const cases = casesOf(topic).map((one) => [titleOf(one), one] as const)

    it.for(cases)('%s', async ([, one], { skip }) => {
      const why = leftOut(one)
      skip(why !== undefined, why)
      // What takes a million instructions has no log of all its paths.
      const verdict = await judge.judge(programOf(one), { logLevel: isOnlyVirtual(one) ? 1 : 2 })
      if (overwrites || verdict.accepted === one.expected.accepted) found.set(one, expectationText(verdict))
      const wanted = expected(one)
      const said: Said = {
        accepted: verdict.accepted,
        ...('text' in wanted && { text: expectationText(verdict) }),
        ...('insnsProcessed' in wanted && { insnsProcessed: verdict.insnsProcessed }),
      }
      if (isBuild(one, verdict)) return
      const isRefused = wanted.accepted && !said.accepted
      const isUnknown = isJudge && !isRefused && !isDeepStrictEqual(said, wanted)
      if (isUnknown)
        unknown.push(`${topic}: ${titleOf(one)}: ${JSON.stringify(said)} instead of ${JSON.stringify(wanted)}`)
      expect(isUnknown ? wanted : said).toEqual(wanted)
    })

    afterAll(() => {
      if (updates && isJudge) update(topic, found)
    })
  })

  it('says else what is known of a build', () => {
    for (const difference of unknown) console.warn(difference)
    expect(unknown.slice(UNKNOWN_AT_MOST)).toEqual([])
  })
})

// As 6.18 lays its maps out.
describeNative('with the types of this kernel', () => {
  const cases = topics()
    .flatMap(casesOf)
    .filter((one) => {
      const needsTypes = differenceIn(DIFFERENCES_HERE.filter(needsKernelTypes), one) !== undefined
      return needsTypes || (one.kernel.length > 0 && isVirtual)
    })
    .map((one) => [`${one.topic}: ${titleOf(one)}`, one] as const)

  it.skipIf(!isJudge).for(cases)('the verifier here says the same: %s', ([, one]) => {
    const kernel = new KernelTypes(() => parseBtf(readFileSync('/sys/kernel/btf/vmlinux')), false)
    const verdict = verifyProgram(verifierProgram(programOf(one), kernel))
    expect(expectationText(verdict)).toBe(expectationText(one.expected))
  })
})

function update(topic: string, found: ReadonlyMap<Case, string>): void {
  const lines = readFileSync(pathOf(topic), 'utf8').split('\n')
  for (const [{ line, variant }, outcome] of found) {
    const filling = variant === undefined ? '' : ` ${variant}`
    lines[line - 1] = outcome === 'accepted' ? `accepted${filling}` : `rejected${filling} => ${outcome}`
  }
  writeFileSync(pathOf(topic), lines.join('\n'))
}
