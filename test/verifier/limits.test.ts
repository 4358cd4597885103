/** Numbers that Linux allows, and one more. */
import { describe, expect, it } from 'vitest'
import { verifyProgram, type Verdict } from '../../lib/fallback/verifier/index.js'
import { alu64, callLocal, exit, jump, load, mov64, mov64r } from '../../lib/isa/build.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { verifierProgram } from './case-program.js'
import { FORKS, forking, TOO_MANY } from './forks.js'
import { type CaseCode, loadMap, map, outcome, verify } from './support.js'

const done = [mov64(0, 0), exit()]

describe('a program', () => {
  /** Calls each of so many functions, of which each returns at once. */
  function functions(count: number): readonly Instruction[] {
    const calls = Array.from({ length: count }, (_, i) => callLocal(count - i + 1 + 2 * i))
    return [...calls, ...done, ...Array.from({ length: count }, () => done).flat()]
  }

  it('has 256 functions, its entry among them', () => {
    expect(outcome(functions(255))).toBe('accepted')
    expect(verify(functions(256))).toMatchObject({
      errno: 7,
      reason: 'too many subprograms',
      insn: undefined,
    })
  })

  it('uses 64 maps', () => {
    const maps = (count: number): CaseCode => [
      ...Array.from({ length: count }, () => loadMap(1, map())),
      ...done,
    ]
    expect(outcome(maps(64))).toBe('accepted')
    expect(verify(maps(65))).toMatchObject({
      errno: 7,
      reason: 'The total number of maps per program has reached the limit of 64',
    })
  })

  it('leaves 8,192 branches to be followed', () => {
    // Each turn leaves one: nothing is known of r2, and r8 is another number each time.
    const code = [mov64r(6, 1), mov64(8, 0), load(32, 2, 6, 8), jump('jgt', 2, 5, 0), alu64('add', 8, 1)]
    const loop = (turns: number): CaseCode => [...code, jump('jne', 8, turns, -4), ...done]
    expect(outcome(loop(8000))).toBe('accepted')
    expect(verify(loop(9000))).toMatchObject({
      errno: 14,
      reason: 'The sequence of 8193 jumps is too complex.',
    })
  })

  it.each(FORKS)('leaves 8,192 $name', ({ errno, fewer, text }) => {
    const verdict = (turns: number): Verdict => verifyProgram(verifierProgram(forking(text, turns)))
    expect(verdict(fewer).accepted).toBe(true)
    expect(verdict(TOO_MANY)).toMatchObject({ errno, reason: 'The sequence of 8193 jumps is too complex.' })
  })

  it('is verified as long as it is allowed to, at most', () => {
    const code: CaseCode = [mov64(0, 0), alu64('add', 0, 1), jump('jlt', 0, 900_000, -2), ...done]
    const { errno, reason = '' } = verify(code, { timeout: 1 })
    expect(errno).toBe(7)
    expect(reason).toMatch(/^verification took more than 1 ms: stopped after \d+ insns$/)
  })
})
