/** Numbers that Linux allows, and one more. */
import { describe, expect, it } from 'vitest'
import { verifyProgram, type Verdict } from '../../lib/fallback/verifier/index.js'
import { alu64, callLocal, exit, jump, load, mov64, mov64r } from '../../lib/isa/build.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { parseCases } from './case-file.js'
import { programOf, verifierProgram } from './case-program.js'
import { type CaseCode, loadMap, map, outcome, verify } from './support.js'

const done = [mov64(0, 0), exit()]

const MAY_GOTO = `
  r8 = 0
again:
  may_goto pc+0
  r8 += 1
  if r8 != TURNS goto again
  r0 = 0
  exit`

const CALLBACK = `
func callback = static int callback(u32 index, void *ctx)
  r8 = 0
again:
  r1 = 5
  r2 = subprog[callback]
  r3 = 0
  r4 = 0
  call bpf_loop
  r8 += 1
  if r8 != TURNS goto again
  r0 = 0
  exit
callback:
  r0 = 0
  exit`

const LD_ABS = `
func sub = static int sub(struct __sk_buff *skb)
struct __sk_buff { u32 len; }
  r6 = r1
  r8 = 0
again:
  r1 = r6
  call sub
  r8 += 1
  if r8 != TURNS goto again
  r0 = 0
  exit
sub:
  r6 = r1
  r0 = *(u8 *)skb[0]
  exit`

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

  /** Linux 6.18.44 has an error number for each kind of fork. */
  it.each([
    ['ends of loops by may_goto', 12, 8000, MAY_GOTO],
    ['callbacks', 12, 3, CALLBACK],
    ['ends of functions by LD_ABS', 14, 8000, LD_ABS],
  ])('leaves 8,192 %s', (_name, errno, fewer, text) => {
    const verdict = (turns: number): Verdict => {
      const [one] = parseCases('limits', `## turns\n${text.replace('TURNS', String(turns))}\naccepted`)
      if (one === undefined) throw new Error('no case')
      return verifyProgram(verifierProgram(programOf(one)))
    }
    expect(verdict(fewer).accepted).toBe(true)
    expect(verdict(9000)).toMatchObject({ errno, reason: 'The sequence of 8193 jumps is too complex.' })
  })

  it('is verified as long as it is allowed to, at most', () => {
    const code: CaseCode = [mov64(0, 0), alu64('add', 0, 1), jump('jlt', 0, 900_000, -2), ...done]
    const { errno, reason = '' } = verify(code, { timeout: 1 })
    expect(errno).toBe(7)
    expect(reason).toMatch(/^verification took more than 1 ms: stopped after \d+ insns$/)
  })
})
