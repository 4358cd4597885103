/** Random arithmetic and forward jumps: the interpreter against a plain evaluator. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exit, instruction, lddw } from '../../lib/isa/build.js'
import { OPCODES } from '../../lib/isa/opcodes.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { evaluate } from '../support/reference-evaluator.js'
import { engineOf, registerOf } from '../support/run-bpf.js'

const REGISTERS = 10
const arithmetic = OPCODES.filter((o) => ['alu', 'mov', 'neg', 'end', 'bswap'].includes(o.kind))
const jumps = OPCODES.filter((o) => o.kind === 'jump')

/** Values at which 64-bit arithmetic in halves goes wrong, if it does. */
const edge = fc.constantFrom(
  0n,
  1n,
  2n,
  3n,
  7n,
  1000n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  0x1fffffffffffffn,
  0x20000000000000n,
  0x20000000000001n,
  0x200000n,
  0x1fffffn,
  0x200001n,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0xffffffffffffffffn,
  0xffffffff00000000n,
  0x80000000ffffffffn,
)
const value = fc.oneof(edge, fc.bigInt(0n, 0xffffffffffffffffn))
const register = fc.integer({ min: 0, max: REGISTERS - 1 })
const imm = fc.oneof(
  fc.constantFrom(0, 1, -1, 31, 32, 63, 64, 0x7fffffff, -0x80000000),
  fc.integer({ min: -0x80000000, max: 0x7fffffff }),
)

const arithmeticInstruction = fc
  .record({ info: fc.constantFrom(...arithmetic), dst: register, src: register, imm, pick: fc.nat(3) })
  .map(({ info, dst, src, imm, pick }): readonly Instruction[] => {
    if (info.kind === 'neg') return [instruction(info.opcode, dst)]
    if (info.kind === 'end' || info.kind === 'bswap')
      return [instruction(info.opcode, dst, 0, 0, [16, 32, 64, 64][pick] ?? 64)]
    const signed = info.kind === 'alu' && (info.name === 'div' || info.name === 'mod') ? pick & 1 : 0
    const widths = info.bits === 64 ? [0, 8, 16, 32] : [0, 8, 16, 0]
    const offset = info.kind === 'mov' && info.register ? (widths[pick] ?? 0) : signed
    return [
      info.register
        ? instruction(info.opcode, dst, src, offset)
        : instruction(info.opcode, dst, 0, offset, imm),
    ]
  })
const jumpInstruction = fc
  .record({ info: fc.constantFrom(...jumps), dst: register, src: register, imm })
  .map(({ info, dst, src, imm }): readonly Instruction[] => [
    info.register ? instruction(info.opcode, dst, src, 1) : instruction(info.opcode, dst, 0, 1, imm),
    // What the jump passes or not must show in the result.
    instruction(0x07, dst, 0, 0, 3),
  ])
const program = fc.array(
  fc.oneof({ weight: 3, arbitrary: arithmeticInstruction }, { weight: 1, arbitrary: jumpInstruction }),
  {
    minLength: 1,
    maxLength: 30,
  },
)

describe('the interpreter', () => {
  it('computes what a BigInt evaluator computes, on random programs', () => {
    fc.assert(
      fc.property(
        fc.array(value, { minLength: REGISTERS, maxLength: REGISTERS }),
        program,
        (initial, body) => {
          const code = [...initial.flatMap((v, r) => lddw(r, v)), ...body.flat(), exit()]
          const engine = engineOf(code, { engine: 'interpreter' })
          engine.run(0)
          const expected = evaluate(
            code,
            Array.from({ length: 11 }, () => 0n),
          ).slice(0, REGISTERS)
          expect(Array.from({ length: REGISTERS }, (_, r) => registerOf(engine, r))).toEqual(expected)
        },
      ),
      { numRuns: 3000, seed: 9669 },
    )
  })

  it('computes every operation on every pair of edge values', () => {
    const edges = [
      0n,
      1n,
      3n,
      0x7fffffffn,
      0x80000000n,
      0xffffffffn,
      0x100000001n,
      0x20000000000001n,
      0x7fffffffffffffffn,
      0x8000000000000000n,
      0xffffffffffffffffn,
    ]
    for (const info of OPCODES.filter((o) => o.kind === 'alu' && o.register))
      for (const offset of info.name === 'div' || info.name === 'mod' ? [0, 1] : [0]) {
        const pairs = edges.flatMap((a) => edges.map((b) => [a, b] as const))
        for (const [a, b] of pairs) {
          const code = [...lddw(1, a), ...lddw(2, b), instruction(info.opcode, 1, 2, offset), exit()]
          const engine = engineOf(code, { engine: 'interpreter' })
          engine.run(0)
          expect(registerOf(engine, 1), `${info.name}${info.bits} ${a} ${b}`).toBe(
            evaluate(code, Array(11).fill(0n))[1],
          )
        }
      }
  })
})
