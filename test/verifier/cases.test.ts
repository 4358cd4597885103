/** Our verifier on the cases: verdict, instruction and reason are what Linux says. */
import { describe, expect, it } from 'vitest'
import { verifyProgram } from '../../lib/fallback/verifier/index.js'
import { casesOf, expectationText, titleOf, topics } from './case-file.js'
import { programOf, verifierProgram } from './case-program.js'
import { DIFFERENCES_HERE, differenceIn } from './differences.js'

describe.each(topics())('%s', (topic) => {
  for (const one of casesOf(topic)) {
    const difference = differenceIn(DIFFERENCES_HERE, one)
    it(titleOf(one), () => {
      const { accepted, insn, reason } = verifyProgram(verifierProgram(programOf(one)))
      if (difference !== undefined) {
        // Whatever the difference, it is never that something is accepted.
        expect(accepted).toBe(false)
        expect(expectationText({ accepted, insn, reason }), 'it differs no more').not.toBe(
          expectationText(one.expected),
        )
        return
      }
      expect(expectationText({ accepted, insn, reason })).toBe(expectationText(one.expected))
    })
  }
})
