/**
 * A program in the form that the interpreter runs: four 32-bit words for each slot.
 *
 *   word 0  operation: the opcode of the register form, or a number of {@link VARIANT}
 *   word 1  first register (destination; base of a store)
 *   word 2  second register (source; base of a load)
 *   word 3  offset of a memory operand, or word index of a jump's target
 *
 * Immediates live in registers behind the real ones, one for each different value: that halves the operations, and
 * reading a register costs no more than reading an immediate.
 */
import { ADDRESS_CAST, MOV_OFFSET, PSEUDO_CALL, PSEUDO_LDDW, opcodeInfo, OP } from '../../isa/opcodes.js'
import type { OpcodeInfo } from '../../isa/opcodes.js'
import { KERNEL_HI } from '../memory.js'
import { Constants } from './constants.js'
import { CALL_REGISTER_OPCODE, type Slots } from './slots.js'
import type { AddressCasts } from './types.js'

/** High half of the address of a BPF function (BPF_PSEUDO_FUNC); the low half is its instruction slot. */
export const FUNC_HI = 0xffffffa0 | 0

/** Words of a slot. */
export const WORDS = 4

/** Operations that an opcode alone doesn't tell. Opcodes stay below 0x100. */
export const VARIANT = {
  MOVSX64_8: 0x100,
  MOVSX64_16: 0x101,
  MOVSX64_32: 0x102,
  MOVSX32_8: 0x103,
  MOVSX32_16: 0x104,
  SDIV64: 0x105,
  SMOD64: 0x106,
  SDIV32: 0x107,
  SMOD32: 0x108,
  ZERO_EXTEND16: 0x109,
  SWAP16: 0x10a,
  SWAP32: 0x10b,
  SWAP64: 0x10c,
  CALL_HELPER: 0x10d,
  CALL_LOCAL: 0x10e,
  CALL_REGISTER: 0x10f,
  /** Stops the program: word 3 is the index of the reason. */
  TRAP: 0x110,
  /** A debugger looks before the instruction that was here: see probes.ts. */
  PROBE: 0x111,
  TAIL_CALL: 0x112,
  /** Loads from a packet; word 3 is the offset. The size is in the opcode, which decides the number. */
  PACKET8: 0x113,
  PACKET16: 0x114,
  PACKET32: 0x115,
  /** Address space cast: word 3 is a register with what is added to the low half, and the high half of what comes out. */
  CAST: 0x116,
} as const

/** bpf_tail_call: no helper to engines, as it does not come back. */
export const TAIL_CALL_HELPER = 12

const PACKET_LOADS: Readonly<Record<number, number>> = {
  8: VARIANT.PACKET8,
  16: VARIANT.PACKET16,
  32: VARIANT.PACKET32,
}

/** Scratch registers of signed division. */
export const SPARE_REGISTER = 11
const FIRST_CONSTANT = 13
const REGISTER_FORM = 0x08

/** Why a slot can't be run. */
export interface TrapReason {
  readonly kind: 'malformed' | 'unsupported'
  readonly text: string
}

export interface PredecodedProgram {
  readonly words: Int32Array
  /** Values of all registers at the start, the constants behind the real ones among them. */
  readonly lo: Int32Array
  readonly hi: Int32Array
  /** Ids of the helpers that are called, ascending. */
  readonly helpers: readonly number[]
  readonly reasons: readonly TrapReason[]
}

/** Never throws: what can't be run becomes a trap in its place. */
export function predecode(slots: Slots): PredecodedProgram {
  return new Predecoder(slots).run()
}

class Predecoder {
  readonly #slots: Slots
  readonly #words: Int32Array
  readonly #constants: Constants
  readonly #helpers = new Set<number>()
  readonly #reasons: TrapReason[] = []

  constructor(slots: Slots) {
    this.#slots = slots
    // One slot more: running off the end is caught there.
    this.#words = new Int32Array((slots.count + 1) * WORDS)
    // An instruction has one at most, but for packet loads, which share theirs.
    this.#constants = new Constants(slots.count + 1)
  }

  run(): PredecodedProgram {
    const { count } = this.#slots
    for (let slot = 0; slot < count; slot++) {
      const opcode = this.#slots.opcode(slot)
      this.#translate(slot, opcode)
      if (opcode === OP.LDDW && slot + 1 < count)
        this.#trap(++slot, 'malformed', 'jump into the middle of a 64-bit immediate load')
    }
    this.#trap(count, 'malformed', 'execution ran off the end of the program')
    const { lows, highs } = this.#constants
    const lo = new Int32Array(FIRST_CONSTANT + lows.length)
    const hi = new Int32Array(lo.length)
    lo.set(lows, FIRST_CONSTANT)
    hi.set(highs, FIRST_CONSTANT)
    return {
      words: this.#words,
      lo,
      hi,
      helpers: [...this.#helpers].sort((a, b) => a - b),
      reasons: this.#reasons,
    }
  }

  #translate(slot: number, opcode: number): void {
    const slots = this.#slots
    const dst = slots.dst(slot)
    const src = slots.src(slot)
    const imm = slots.imm(slot)
    if (opcode === CALL_REGISTER_OPCODE && dst <= 10) return this.#put(slot, VARIANT.CALL_REGISTER, dst)
    const info = opcodeInfo(opcode)
    if (info === undefined) return this.#trap(slot, 'malformed', `unknown opcode ${hex(opcode)}`)
    if (dst > 10) return this.#trap(slot, 'malformed', `R${dst} is invalid`)
    if (info.register && src > 10) return this.#trap(slot, 'malformed', `R${src} is invalid`)
    const source = info.register ? src : this.#constant(imm, imm >> 31)
    switch (info.kind) {
      case 'alu':
        return this.#put(slot, aluOperation(info, opcode, slots.offset(slot)), dst, source)
      case 'mov':
        return this.#move(slot, info, opcode, source)
      case 'neg':
        return this.#put(slot, opcode, dst)
      case 'end':
      case 'bswap':
        return this.#byteOrder(slot, opcode)
      case 'ja':
        return this.#jump(slot, OP.JA, info.bits === 32 ? imm : slots.offset(slot), 0)
      case 'may_goto':
      case 'jump':
        return this.#jump(
          slot,
          opcode | (info.kind === 'jump' ? REGISTER_FORM : 0),
          slots.offset(slot),
          source,
        )
      case 'call':
        return this.#call(slot)
      case 'exit':
        return this.#put(slot, opcode)
      case 'lddw':
        return this.#wideImmediate(slot)
      case 'packet':
        return this.#put(
          slot,
          PACKET_LOADS[info.bits] ?? VARIANT.TRAP,
          0,
          info.register ? src : this.#constant(0, 0),
          imm,
        )
      case 'load':
        if (src > 10) return this.#trap(slot, 'malformed', `R${src} is invalid`)
        return this.#put(slot, opcode, dst, src, slots.offset(slot))
      case 'store':
        // BPF_ST (2) becomes BPF_STX (3): the immediate is a register by now.
        return this.#put(slot, opcode | 1, dst, source, slots.offset(slot))
      case 'atomic':
        return this.#put(slot, opcode, dst, src, slots.offset(slot))
    }
  }

  #move(slot: number, info: OpcodeInfo, opcode: number, source: number): void {
    const dst = this.#slots.dst(slot)
    const offset = this.#slots.offset(slot)
    if (offset === 0) return this.#put(slot, opcode | REGISTER_FORM, dst, source)
    const { casts } = this.#slots
    if (opcode === OP.MOV64_REG && offset === MOV_OFFSET.ADDR_SPACE_CAST && casts !== undefined)
      return this.#cast(slot, casts)
    const operation = info.register ? SIGN_EXTENDING_MOVES.get(info.bits * 100 + offset) : undefined
    if (operation === undefined)
      return this.#trap(slot, 'unsupported', `a move with offset ${offset} (address space cast)`)
    this.#put(slot, operation, dst, source)
  }

  #cast(slot: number, { difference, userHigh }: AddressCasts): void {
    const added =
      this.#slots.imm(slot) === ADDRESS_CAST.TO_ARENA
        ? this.#constant(-difference | 0, userHigh)
        : this.#constant(difference, KERNEL_HI)
    this.#put(slot, VARIANT.CAST, this.#slots.dst(slot), this.#slots.src(slot), added)
  }

  #byteOrder(slot: number, opcode: number): void {
    const dst = this.#slots.dst(slot)
    const bits = this.#slots.imm(slot)
    const operation = BYTE_ORDERS.get(opcode === OP.LE ? bits : -bits)
    if (operation === undefined) return this.#trap(slot, 'malformed', `byte order conversion of ${bits} bits`)
    this.#put(slot, operation, dst, dst)
  }

  #jump(slot: number, operation: number, distance: number, source: number): void {
    const target = slot + 1 + distance
    if (target < 0 || target >= this.#slots.count)
      return this.#trap(slot, 'malformed', `jump out of range from insn ${slot} to ${target}`)
    this.#put(slot, operation, this.#slots.dst(slot), source, target * WORDS)
  }

  #call(slot: number): void {
    const imm = this.#slots.imm(slot)
    const src = this.#slots.src(slot)
    switch (src) {
      case PSEUDO_CALL.HELPER:
        if (imm === TAIL_CALL_HELPER) return this.#put(slot, VARIANT.TAIL_CALL)
        this.#helpers.add(imm)
        return this.#put(slot, VARIANT.CALL_HELPER, imm)
      case PSEUDO_CALL.LOCAL:
        return this.#jump(slot, VARIANT.CALL_LOCAL, imm, 0)
      case PSEUDO_CALL.KFUNC:
        return this.#trap(slot, 'unsupported', `kernel function (kfunc) with BTF id ${imm}`)
      default:
        return this.#trap(slot, 'malformed', `call with source register ${src}`)
    }
  }

  #wideImmediate(slot: number): void {
    const slots = this.#slots
    const second = slot + 1
    if (second >= slots.count || slots.opcode(second) !== 0)
      return this.#trap(slot, 'malformed', '64-bit immediate load without its second half')
    const dst = slots.dst(slot)
    const src = slots.src(slot)
    if (src === PSEUDO_LDDW.IMM)
      return this.#put(slot, OP.LDDW, dst, this.#constant(slots.imm(slot), slots.imm(second)))
    if (src === PSEUDO_LDDW.FUNC)
      return this.#put(slot, OP.LDDW, dst, this.#constant(slots.callee(slot), FUNC_HI))
    this.#trap(
      slot,
      'malformed',
      `64-bit immediate load with source register ${src}, which the loader resolves`,
    )
  }

  /** @returns the register that has it */
  #constant(low: number, high: number): number {
    return FIRST_CONSTANT + this.#constants.numberOf(low, high)
  }

  #put(slot: number, operation: number, first = 0, second = 0, third = 0): void {
    const words = this.#words
    const at = slot * WORDS
    words[at] = operation
    words[at + 1] = first
    words[at + 2] = second
    words[at + 3] = third
  }

  #trap(slot: number, kind: TrapReason['kind'], text: string): void {
    this.#put(slot, VARIANT.TRAP, 0, 0, this.#reasons.length)
    this.#reasons.push({ kind, text })
  }
}

/** By bits of the destination × 100 + bits of the source. */
const SIGN_EXTENDING_MOVES: ReadonlyMap<number, number> = new Map([
  [6408, VARIANT.MOVSX64_8],
  [6416, VARIANT.MOVSX64_16],
  [6432, VARIANT.MOVSX64_32],
  [3208, VARIANT.MOVSX32_8],
  [3216, VARIANT.MOVSX32_16],
])

/** By bits; negative where bytes change places. Memory is little-endian, so `le` only cuts off. */
const BYTE_ORDERS: ReadonlyMap<number, number> = new Map<number, number>([
  [16, VARIANT.ZERO_EXTEND16],
  [32, OP.MOV32_REG],
  [64, OP.MOV64_REG],
  [-16, VARIANT.SWAP16],
  [-32, VARIANT.SWAP32],
  [-64, VARIANT.SWAP64],
])

function aluOperation(info: OpcodeInfo, opcode: number, offset: number): number {
  if (offset === 1 && info.name === 'div') return info.bits === 64 ? VARIANT.SDIV64 : VARIANT.SDIV32
  if (offset === 1 && info.name === 'mod') return info.bits === 64 ? VARIANT.SMOD64 : VARIANT.SMOD32
  return opcode | REGISTER_FORM
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
