/**
 * Linux's log of all paths (level 2) beside that of the verifier here, on the cases of test/verifier: line by line the same remarks on precision, and
 * but for a few words the same states, calls, loops and live registers. What of the stack is alive Linux alone tells.
 */
import { release } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyProgram } from '../../lib/fallback/verifier/index.js'
import { isOlderThan } from '../../lib/linux/release.js'
import { KernelJudge } from '../support/kernel-judge.js'
import { describeNative } from '../support/require-kernel.js'
import { isVirtual, linuxIsAtLeast } from '../support/this-machine.js'
import { casesOf, titleOf, topics, type Case } from '../verifier/case-file.js'
import { programOf, verifierProgram } from '../verifier/case-program.js'
import {
  BUILD_DIFFERENCES,
  COUNTED_OTHERWISE,
  DIFFERENCES_HERE,
  differenceIn,
  REMARKS_BY_BUILD,
} from '../verifier/differences.js'

const LEVEL = 2
/** Whose log has the format of the one here. */
const isJudge = linuxIsAtLeast('6.18') && isOlderThan(release(), '6.19')
/** Cases in which another line differs: numbers of processors, names of inner maps, registers that helpers read which a program may not call … */
const OTHER_LINES_AT_MOST = 50

const STACK_LIVENESS = /^\(\d+(?:,\d+)*\) (?:frame|live) /
const TOLD_BY_LINUX_ALONE = /^arg#\d+ reference type/
/** What a kernel numbers for itself: maps, and functions of its own. */
const OWN_NUMBERS: readonly (readonly [RegExp, string])[] = [
  [/(\(18\) r\d+ = )\S+\s*/, '$1… '],
  [/(call \w+)#\d+\s*/, '$1 '],
]

/** Whether this kernel may be asked, and its log compared. */
function isAsked(one: Case): boolean {
  const only = one.settings.get('only')
  if (!isVirtual && (only !== undefined || one.replaces !== undefined)) return false
  return (
    only !== 'here' &&
    differenceIn([...DIFFERENCES_HERE, ...COUNTED_OTHERWISE, ...BUILD_DIFFERENCES], one) === undefined
  )
}

const withoutNumbers = (line: string): string =>
  OWN_NUMBERS.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), line)

const linesOf = (log: string): readonly string[] =>
  log
    .split('\n')
    .filter((line) => !STACK_LIVENESS.test(line) && !TOLD_BY_LINUX_ALONE.test(line))
    .map(withoutNumbers)

const isRemark = (line: string): boolean => line.startsWith('mark_precise: ')

/** The first line that differs, of both. */
function difference(linux: readonly string[], here: readonly string[]): string | undefined {
  const at = linux.findIndex((line, i) => line !== here[i])
  if (at < 0 && linux.length >= here.length) return undefined
  const place = at < 0 ? linux.length : at
  return `line ${place}: ${linux[place] ?? '(nothing)'}\n  instead: ${here[place] ?? '(nothing)'}`
}

interface Logs {
  readonly title: string
  readonly linux: readonly string[]
  readonly here: readonly string[]
  readonly isKnown: boolean
}

describeNative('the log of all paths', () => {
  let judge: KernelJudge
  const otherLines: string[] = []
  let compared = 0
  beforeAll(() => {
    judge = new KernelJudge()
  })
  afterAll(() => judge[Symbol.asyncDispose]())

  async function logsOf(one: Case): Promise<Logs | undefined> {
    const program = programOf(one)
    const { log } = await judge.judge(program, { logLevel: LEVEL })
    // It was too long, and has been asked for again without all paths.
    if (!log.startsWith('func#0 ')) return undefined
    const here = verifyProgram(verifierProgram(program), { log: { level: LEVEL, lines: [] } })
    return {
      title: `${one.topic}: ${titleOf(one)}`,
      linux: linesOf(log),
      here: linesOf(here.log),
      isKnown: differenceIn(REMARKS_BY_BUILD, one) !== undefined,
    }
  }

  describe.skipIf(!isJudge)('has the remarks of Linux on precision', () => {
    it.each(topics())('%s', async (topic) => {
      const differences: string[] = []
      for (const one of casesOf(topic).filter(isAsked)) {
        const logs = await logsOf(one)
        if (logs === undefined) continue
        compared++
        const { title, linux, here, isKnown } = logs
        const other = difference(linux, here)
        if (other !== undefined && !isKnown) otherLines.push(`${title}\n  ${other}`)
        const remark = difference(linux.filter(isRemark), here.filter(isRemark))
        if (remark !== undefined && !isKnown) differences.push(`${title}\n  ${remark}`)
      }
      expect(differences).toEqual([])
    })
  })

  it.skipIf(!isJudge)('is else the same, but for a few words', () => {
    expect(compared).toBeGreaterThan(2000)
    if (otherLines.length > OTHER_LINES_AT_MOST) console.warn(otherLines.join('\n'))
    expect(otherLines.length).toBeLessThanOrEqual(OTHER_LINES_AT_MOST)
  })
})
