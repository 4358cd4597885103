/**
 * Linux on the cases of test/verifier: the judge of what they expect. Under 6.18, whose semantics the verifier here has, reason, instruction and
 * instructions processed must be the same too; under others the verdict, save for the differences that test/verifier/differences.ts explains.
 *
 * `CASES=update` writes reasons and instructions into the cases, as this kernel words them; a verdict that isn't the expected one fails, and
 * changes only with `CASES=overwrite`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyProgram } from '../../lib/fallback/verifier/index.js'
import { isOlderThan } from '../../lib/linux/release.js'
import { KernelJudge } from '../support/kernel-judge.js'
import { describeNative, nativeIsAllowed } from '../support/require-kernel.js'
import { isVirtual, linuxIsAtLeast } from '../support/this-machine.js'
import { casesOf, expectationText, pathOf, titleOf, topics, type Case } from '../verifier/case-file.js'
import { programOf, verifierProgram } from '../verifier/case-program.js'
import { DIFFERENCES_HERE, differenceIn, KERNEL_DIFFERENCES } from '../verifier/differences.js'

/** Whose words and counts the cases have. */
const isJudge = linuxIsAtLeast('6.18') && isOlderThan(release(), '6.19')
const overwrites = process.env['CASES'] === 'overwrite'
const updates = overwrites || process.env['CASES'] === 'update'

/** Why a case isn't asked here. */
function leftOut(one: Case): string | undefined {
  const since = one.settings.get('since')
  if (since !== undefined && !linuxIsAtLeast(since)) return `needs Linux ${since}`
  return one.settings.get('only') === 'vm' && !isVirtual
    ? 'runs in virtual machines: npm run test:vm'
    : undefined
}

/** Differences of this kernel. */
const differences = KERNEL_DIFFERENCES.filter(
  ({ below, since }) =>
    (below === undefined || !linuxIsAtLeast(below)) && (since === undefined || linuxIsAtLeast(since)),
)

describeNative('Linux says the same of the cases', () => {
  let judge: KernelJudge
  beforeAll(() => {
    judge = new KernelJudge()
  })
  afterAll(() => judge[Symbol.asyncDispose]())

  describe.each(topics())('%s', (topic) => {
    const found = new Map<Case, string>()
    for (const one of casesOf(topic)) {
      const reason = leftOut(one)
      const difference = differenceIn(differences, one)
      const title = reason === undefined ? titleOf(one) : `${titleOf(one)} [${reason}]`
      it.skipIf(reason !== undefined)(title, async () => {
        const program = programOf(one)
        const verdict = await judge.judge(program)
        if (difference !== undefined) {
          expect(verdict.accepted, difference.why).toBe(!one.expected.accepted)
          return
        }
        if (overwrites) found.set(one, expectationText(verdict))
        expect(verdict.accepted, verdict.log).toBe(one.expected.accepted)
        if (!isJudge) return
        found.set(one, expectationText(verdict))
        if (updates) return
        expect(expectationText(verdict)).toBe(expectationText(one.expected))
        if (!verdict.accepted || differenceIn(DIFFERENCES_HERE, one) !== undefined) return
        const { insnsProcessed } = verifyProgram(verifierProgram(program))
        expect(insnsProcessed, 'instructions processed').toBe(verdict.insnsProcessed)
      })
    }
    if (updates && nativeIsAllowed()) afterAll(() => update(topic, found))
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
