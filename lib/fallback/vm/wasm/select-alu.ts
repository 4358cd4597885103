/** Arithmetic and conditions: RFC 9669 section 4.1 to 4.3. */
import { ADDRESS_CAST, MOV_OFFSET, CLASS, OP } from '../../../isa/opcodes.js'
import { KERNEL_HI } from '../../memory.js'
import type { AddressCasts } from '../types.js'
import type { CodeBuffer } from './code-buffer.js'
import type { LeafLocals } from './locals.js'
import { TYPE, WASM } from './opcodes.js'
import type { Slots } from '../slots.js'

/** High four bits of ALU opcodes. */
const ALU = { DIV: 3, NEG: 8, MOD: 9, MOV: 11, END: 13 } as const
const REGISTER_FORM = 0x08

/** By the high four bits of the opcode; 0 where it takes more than an operation. */
const PLAIN_64 = [
  WASM.I64_ADD,
  WASM.I64_SUB,
  WASM.I64_MUL,
  0,
  WASM.I64_OR,
  WASM.I64_AND,
  WASM.I64_SHL,
  WASM.I64_SHR_U,
  0,
  0,
  WASM.I64_XOR,
  0,
  WASM.I64_SHR_S,
] as const
const PLAIN_32 = [
  WASM.I32_ADD,
  WASM.I32_SUB,
  WASM.I32_MUL,
  0,
  WASM.I32_OR,
  WASM.I32_AND,
  WASM.I32_SHL,
  WASM.I32_SHR_U,
  0,
  0,
  WASM.I32_XOR,
  0,
  WASM.I32_SHR_S,
] as const

/** Conditions by the high four bits of a jump: 64 bits, 32 bits, and both inverted. */
const CONDITIONS: readonly (readonly [number, number, number, number] | undefined)[] = [
  undefined,
  [WASM.I64_EQ, WASM.I32_EQ, WASM.I64_NE, WASM.I32_NE],
  [WASM.I64_GT_U, WASM.I32_GT_U, WASM.I64_LE_U, WASM.I32_LE_U],
  [WASM.I64_GE_U, WASM.I32_GE_U, WASM.I64_LT_U, WASM.I32_LT_U],
  undefined,
  [WASM.I64_NE, WASM.I32_NE, WASM.I64_EQ, WASM.I32_EQ],
  [WASM.I64_GT_S, WASM.I32_GT_S, WASM.I64_LE_S, WASM.I32_LE_S],
  [WASM.I64_GE_S, WASM.I32_GE_S, WASM.I64_LT_S, WASM.I32_LT_S],
  undefined,
  undefined,
  [WASM.I64_LT_U, WASM.I32_LT_U, WASM.I64_GE_U, WASM.I32_GE_U],
  [WASM.I64_LE_U, WASM.I32_LE_U, WASM.I64_GT_U, WASM.I32_GT_U],
  [WASM.I64_LT_S, WASM.I32_LT_S, WASM.I64_GE_S, WASM.I32_GE_S],
  [WASM.I64_LE_S, WASM.I32_LE_S, WASM.I64_GT_S, WASM.I32_GT_S],
]
const JSET = 4

export class Arithmetic {
  readonly #slots: Slots
  readonly #out: CodeBuffer
  readonly #locals: LeafLocals

  readonly #casts: AddressCasts | undefined

  constructor(slots: Slots, out: CodeBuffer, locals: LeafLocals, casts?: AddressCasts) {
    this.#casts = casts
    this.#slots = slots
    this.#out = out
    this.#locals = locals
  }

  /** An instruction of class ALU or ALU64. */
  select(slot: number): void {
    const slots = this.#slots
    const opcode = slots.opcode(slot)
    const operation = opcode >> 4
    const isWide = (opcode & 7) === CLASS.ALU64
    switch (operation) {
      case ALU.MOV:
        return this.#move(slot, isWide)
      case ALU.NEG:
        return this.#negate(slots.dst(slot), isWide)
      case ALU.END:
        return this.#byteOrder(slots.dst(slot), opcode, slots.imm(slot))
      case ALU.DIV:
      case ALU.MOD:
        return this.#divide(slot, isWide, operation === ALU.MOD)
      default:
    }
    const dst = this.#register(slots.dst(slot))
    const out = this.#out
    out.get(dst)
    if (isWide) {
      this.#operand64(slot)
      out.op(PLAIN_64[operation] ?? 0)
    } else {
      out.op(WASM.I32_WRAP_I64)
      this.#operand32(slot)
      out.op(PLAIN_32[operation] ?? 0)
      out.op(WASM.I64_EXTEND_I32_U)
    }
    out.set(dst)
  }

  /** A 64-bit immediate load. @param high the immediate of the second slot */
  loadWide(dst: number, low: number, high: number): void {
    this.#out.i64Halves(low, high)
    this.#out.set(this.#register(dst))
  }

  /** Leaves an i32 that isn't 0 where the branch at a slot is taken; `inverted`: where it isn't. */
  condition(slot: number, inverted: boolean): void {
    const slots = this.#slots
    const out = this.#out
    const opcode = slots.opcode(slot)
    if (opcode === OP.MAY_GOTO) {
      out.get(this.#locals.loops)
      out.i32(1)
      out.op(WASM.I32_SUB)
      out.tee(this.#locals.loops)
      out.i32(0)
      out.op(inverted ? WASM.I32_GE_S : WASM.I32_LT_S)
      return
    }
    const operation = opcode >> 4
    const is32 = (opcode & 7) === CLASS.JMP32
    out.get(this.#register(slots.dst(slot)))
    if (is32) {
      out.op(WASM.I32_WRAP_I64)
      this.#operand32(slot)
    } else this.#operand64(slot)
    if (operation === JSET) {
      out.op(is32 ? WASM.I32_AND : WASM.I64_AND)
      if (inverted) out.op(is32 ? WASM.I32_EQZ : WASM.I64_EQZ)
      else if (!is32) {
        out.i64(0)
        out.op(WASM.I64_NE)
      }
      return
    }
    out.op(CONDITIONS[operation]?.[(inverted ? 2 : 0) + (is32 ? 1 : 0)] ?? 0)
  }

  #register(register: number): number {
    return this.#locals.registers[register] ?? 0
  }

  #isRegisterForm(slot: number): boolean {
    return (this.#slots.opcode(slot) & REGISTER_FORM) !== 0
  }

  #operand64(slot: number): void {
    if (this.#isRegisterForm(slot)) this.#out.get(this.#register(this.#slots.src(slot)))
    else this.#out.i64(this.#slots.imm(slot))
  }

  #operand32(slot: number): void {
    if (this.#isRegisterForm(slot)) {
      this.#out.get(this.#register(this.#slots.src(slot)))
      this.#out.op(WASM.I32_WRAP_I64)
    } else this.#out.i32(this.#slots.imm(slot))
  }

  #move(slot: number, isWide: boolean): void {
    const out = this.#out
    const offset = this.#slots.offset(slot)
    if (isWide && offset === MOV_OFFSET.ADDR_SPACE_CAST && this.#casts !== undefined)
      return this.#cast(slot, this.#casts)
    if (!this.#isRegisterForm(slot)) {
      const imm = this.#slots.imm(slot)
      out.i64Halves(imm, isWide ? imm >> 31 : 0)
    } else {
      out.get(this.#register(this.#slots.src(slot)))
      if (offset !== 0) {
        out.op(offset === 8 ? WASM.I64_EXTEND8_S : offset === 16 ? WASM.I64_EXTEND16_S : WASM.I64_EXTEND32_S)
      }
      if (!isWide) this.#zeroExtend()
    }
    out.set(this.#register(this.#slots.dst(slot)))
  }

  /** Null and what is an address there already stay as they are; others get another high half. */
  #cast(slot: number, { difference, userHigh }: AddressCasts): void {
    const out = this.#out
    const source = this.#register(this.#slots.src(slot))
    const toArena = this.#slots.imm(slot) === ADDRESS_CAST.TO_ARENA
    const high = toArena ? userHigh : KERNEL_HI
    out.get(source)
    out.i64Halves(0, high)
    out.get(source)
    out.op(WASM.I32_WRAP_I64)
    out.i32(toArena ? -difference | 0 : difference)
    out.op(WASM.I32_ADD)
    out.op(WASM.I64_EXTEND_I32_U)
    out.op(WASM.I64_OR)
    out.get(source)
    out.op(WASM.I64_EQZ)
    out.get(source)
    out.i64(32)
    out.op(WASM.I64_SHR_S)
    out.op(WASM.I32_WRAP_I64)
    out.i32(high)
    out.op(WASM.I32_EQ)
    out.op(WASM.I32_OR)
    out.op(WASM.SELECT)
    out.set(this.#register(this.#slots.dst(slot)))
  }

  #zeroExtend(): void {
    this.#out.op(WASM.I32_WRAP_I64)
    this.#out.op(WASM.I64_EXTEND_I32_U)
  }

  #negate(dst: number, isWide: boolean): void {
    const out = this.#out
    out.i64(0)
    out.get(this.#register(dst))
    out.op(WASM.I64_SUB)
    if (!isWide) this.#zeroExtend()
    out.set(this.#register(dst))
  }

  /** Division by zero gives 0, modulo by zero leaves the dividend; the smallest number by -1 is itself. */
  #divide(slot: number, isWide: boolean, isModulo: boolean): void {
    const out = this.#out
    const slots = this.#slots
    const dst = this.#register(slots.dst(slot))
    const isSigned = slots.offset(slot) === 1
    const operation = isWide
      ? isModulo
        ? isSigned
          ? WASM.I64_REM_S
          : WASM.I64_REM_U
        : isSigned
          ? WASM.I64_DIV_S
          : WASM.I64_DIV_U
      : isModulo
        ? isSigned
          ? WASM.I32_REM_S
          : WASM.I32_REM_U
        : isSigned
          ? WASM.I32_DIV_S
          : WASM.I32_DIV_U
    if (!this.#isRegisterForm(slot)) return this.#divideByConstant(slot, isWide, isModulo, operation)
    const src = this.#register(slots.src(slot))
    const narrow = (local: number): void => {
      out.get(local)
      if (!isWide) out.op(WASM.I32_WRAP_I64)
    }
    narrow(src)
    out.op(isWide ? WASM.I64_EQZ : WASM.I32_EQZ)
    out.open(WASM.IF, TYPE.I64)
    if (isModulo) {
      out.get(dst)
      if (!isWide) this.#zeroExtend()
    } else out.i64(0)
    out.op(WASM.ELSE)
    if (isSigned && !isModulo) {
      narrow(src)
      if (isWide) out.i64(-1)
      else out.i32(-1)
      out.op(isWide ? WASM.I64_EQ : WASM.I32_EQ)
      out.open(WASM.IF, TYPE.I64)
      out.i64(0)
      out.get(dst)
      out.op(WASM.I64_SUB)
      if (!isWide) this.#zeroExtend()
      out.op(WASM.ELSE)
    }
    narrow(dst)
    narrow(src)
    out.op(operation)
    if (!isWide) out.op(WASM.I64_EXTEND_I32_U)
    if (isSigned && !isModulo) out.op(WASM.END)
    out.op(WASM.END)
    out.set(dst)
  }

  #divideByConstant(slot: number, isWide: boolean, isModulo: boolean, operation: number): void {
    const out = this.#out
    const dst = this.#slots.dst(slot)
    const imm = this.#slots.imm(slot)
    if (imm === 0 && !isModulo) {
      out.i64(0)
      return out.set(this.#register(dst))
    }
    if (imm === -1 && (operation === WASM.I64_DIV_S || operation === WASM.I32_DIV_S))
      return this.#negate(dst, isWide)
    out.get(this.#register(dst))
    if (imm === 0) {
      if (!isWide) this.#zeroExtend()
    } else if (isWide) {
      out.i64(imm)
      out.op(operation)
    } else {
      out.op(WASM.I32_WRAP_I64)
      out.i32(imm)
      out.op(operation)
      out.op(WASM.I64_EXTEND_I32_U)
    }
    out.set(this.#register(dst))
  }

  /** Memory is little-endian, so `le` only cuts off. */
  #byteOrder(register: number, opcode: number, bits: number): void {
    const out = this.#out
    const dst = this.#register(register)
    if (opcode === OP.LE) {
      if (bits === 64) return
      out.get(dst)
      if (bits === 32) this.#zeroExtend()
      else {
        out.i64(0xffff)
        out.op(WASM.I64_AND)
      }
      return out.set(dst)
    }
    if (bits === 64) this.#swap64(dst)
    else {
      out.get(dst)
      out.op(WASM.I32_WRAP_I64)
      if (bits === 16) this.#swap16()
      else this.#swap32()
      out.op(WASM.I64_EXTEND_I32_U)
    }
    out.set(dst)
  }

  /** Swaps the lower two bytes of the i32 on the stack, and drops the others: the bytes in the middle of the number twice in a row. */
  #swap16(): void {
    const out = this.#out
    out.i32(0xffff)
    out.op(WASM.I32_AND)
    out.i32(0x10001)
    out.op(WASM.I32_MUL)
    out.i32(8)
    out.op(WASM.I32_SHR_U)
    out.i32(0xffff)
    out.op(WASM.I32_AND)
  }

  /** Swaps the bytes of the i32 on the stack. */
  #swap32(): void {
    const out = this.#out
    const { address } = this.#locals
    out.tee(address)
    out.i32(0x00ff00ff)
    out.op(WASM.I32_AND)
    out.i32(8)
    out.op(WASM.I32_ROTR)
    out.get(address)
    out.i32(0xff00ff00 | 0)
    out.op(WASM.I32_AND)
    out.i32(8)
    out.op(WASM.I32_ROTL)
    out.op(WASM.I32_OR)
  }

  /** Leaves the bytes of a local in the other order. */
  #swap64(local: number): void {
    const out = this.#out
    out.get(local)
    out.op(WASM.I32_WRAP_I64)
    this.#swap32()
    out.op(WASM.I64_EXTEND_I32_U)
    out.i64(32)
    out.op(WASM.I64_SHL)
    out.get(local)
    out.i64(32)
    out.op(WASM.I64_SHR_U)
    out.op(WASM.I32_WRAP_I64)
    this.#swap32()
    out.op(WASM.I64_EXTEND_I32_U)
    out.op(WASM.I64_OR)
  }
}
