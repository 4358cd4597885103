/** Our verifier on the cases: verdict, instruction and reason are what Linux says. */
import { describe, expect, it } from 'vitest'
import { verifyProgram } from '../../lib/fallback/verifier/index.js'
import { casesOf, expectationText, titleOf, topics, type Case } from './case-file.js'
import { programOf, verifierProgram } from './case-program.js'
import { DIFFERENCES_HERE, differenceIn } from './differences.js'

/** For the cases that walk a million instructions. */
const PATIENCE_MS = 120_000

function outcome(one: Case): string {
  const { accepted, insn, reason } = verifyProgram(verifierProgram(programOf(one)))
  return expectationText({ accepted, insn, reason })
}

describe.each(topics())('%s', { timeout: PATIENCE_MS }, (topic) => {
  const cases = casesOf(topic).map((one) => [titleOf(one), one] as const)
  const differs = ([, one]: (typeof cases)[number]): boolean =>
    differenceIn(DIFFERENCES_HERE, one) !== undefined

  it.each(cases.filter((each) => !differs(each)))('%s', (_title, one) => {
    expect(outcome(one)).toBe(expectationText(one.expected))
  })

  // Whatever the difference, it is never that something is accepted.
  it.each(cases.filter(differs))('%s [differs: differences.ts]', (_title, one) => {
    expect(outcome(one)).not.toMatch(/^accepted/)
    expect(outcome(one)).not.toBe(expectationText(one.expected))
  })
})
