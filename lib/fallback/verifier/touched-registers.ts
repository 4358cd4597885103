/** Which registers an instruction reads or writes: those whose state the log tells behind it. */
import type { Instruction } from '../../isa/instruction.js'
import { ATOMIC, CLASS, OP } from '../../isa/opcodes.js'
import { ALU } from './values/scalar-alu.js'

/** r0…r5: calls use them up. */
const CALLER_SAVED = 0b11_1111
const R0 = 1
const R6 = 1 << 6

/** Bit i: register i. */
export function touchedRegisters({ opcode, dst, src, imm }: Instruction): number {
  const target = 1 << dst
  const both = target | (1 << src)
  const fromRegister = (opcode & 8) !== 0
  switch (opcode & 7) {
    case CLASS.LD:
      if (opcode === OP.LDDW) return target
      // LD_ABS and LD_IND take the context from r6.
      return CALLER_SAVED | R6 | ((opcode & 0xe0) === 0x40 ? 1 << src : 0)
    case CLASS.LDX:
      return both
    case CLASS.ST:
      return target
    case CLASS.STX:
      return (opcode & 0xe0) === 0xc0 && imm === ATOMIC.CMPXCHG ? both | R0 : both
    case CLASS.ALU:
    case CLASS.ALU64:
      return fromRegister && (opcode & 0xf0) !== ALU.END ? both : target
    default:
      if (opcode === OP.CALL) return CALLER_SAVED
      if (opcode === OP.EXIT || opcode === OP.JA || opcode === OP.JA32 || opcode === OP.MAY_GOTO) return 0
      return fromRegister ? both : target
  }
}
