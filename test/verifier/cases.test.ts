/** Our verifier on the cases: verdict, instruction and reason are what Linux says. */
import { describe, expect, it } from 'vitest'
import { verifyProgram } from '../../lib/fallback/verifier/index.js'
import { casesOf, expectationText, titleOf, topics } from './case-file.js'
import { programOf, verifierProgram } from './case-program.js'

describe.each(topics())('%s', (topic) => {
  for (const one of casesOf(topic)) {
    it(titleOf(one), () => {
      const { accepted, insn, reason } = verifyProgram(verifierProgram(programOf(one)))
      expect(expectationText({ accepted, insn, reason })).toBe(expectationText(one.expected))
    })
  }
})
