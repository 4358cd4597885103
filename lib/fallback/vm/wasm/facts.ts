/**
 * What is known of registers inside a block, and in blocks that only it leads to: which ones point into the stack, which ones are constants, and which bytes
 * behind them were checked already. It saves checks, and finds the maps that helpers are called with.
 */
import { KERNEL_HI } from '../../memory.js'
import { CLASS, OP } from '../../../isa/opcodes.js'
import { STACK_SIZE } from '../frames.js'
import { NONE } from './edges.js'
import type { Region } from './intrinsic-tables.js'
import type { Slots } from '../slots.js'

const KIND = {
  UNKNOWN: 0,
  STACK: 1,
  CONSTANT: 2,
  FUNCTION: 3,
  /** What a look-up gives: an address or 0. */
  VALUE: 4,
  INDEXED_STACK: 5,
  INDEXED_CONSTANT: 6,
} as const
/** Guesses of where a register points to: nowhere, into the stack, or into a region. */
const GUESS_NONE = -1
const GUESS_STACK = -2
const REGISTERS = 11
const TABLES = 10
const MOV32_IMM = 0xb4
const FULL = { ADD: 0x0f, ADD_IMM: 0x07, SUB_IMM: 0x17, SUB: 0x1f } as const
const FRAME_POINTER = 10
const TWO_32 = 4294967296
/** High four bits of ALU opcodes. */
const ALU = { DIV: 3, AND: 5, RSH: 7, MOV: 11, END: 13 } as const

/** What was known at the end of a block. Undefined: nothing. */
export type KnownFacts = Int32Array | undefined

export class Facts {
  readonly #slots: Slots
  /** All that is known, one table behind the other. */
  readonly #known = new Int32Array(TABLES * REGISTERS)
  readonly #kind = this.#table(0)
  /** Distance from the frame pointer, or the low half of a constant. Of an indexed address: what its index is added to. Bytes of a value. */
  readonly #low = this.#table(1)
  /** The high half of a constant. Rights to a value. */
  readonly #high = this.#table(2)
  /** Bytes behind the register that were found accessible, as rights (1 read, 2 write), first and end. */
  readonly #checkedRights = this.#table(3)
  readonly #checkedFrom = this.#table(4)
  readonly #checkedTo = this.#table(5)
  /**
   * Where registers seem to point to: the constant or stack address that they were made of, however the program got here. Only a guess: it
   * decides which check is tried first.
   */
  readonly #guess = this.#table(6).fill(GUESS_NONE)
  /** 1: every way here makes the register of that address, and of numbers. It may still be anywhere. */
  readonly #isSure = this.#table(7)
  /** Which of the locals for indices has the index of an indexed address. */
  readonly #index = this.#table(8)
  /** 1: the number is below 2^32. Of an indexed address: its index is. */
  readonly #isNarrow = this.#table(9)
  readonly #regions: Region[] = []
  readonly #regionAt: (address: number) => Region | undefined
  readonly #framePointerIsFixed: boolean

  /** @param framePointerIsFixed no instruction of the function writes r10 */
  constructor(slots: Slots, framePointerIsFixed: boolean, regionAt: (address: number) => Region | undefined) {
    this.#regionAt = regionAt
    this.#slots = slots
    this.#framePointerIsFixed = framePointerIsFixed
    this.start(undefined)
  }

  #table(index: number): Int32Array {
    return this.#known.subarray(index * REGISTERS, (index + 1) * REGISTERS)
  }

  /** At the start of a block: nothing is known but the frame pointer, and what was known at the end of the only block that leads there. */
  start(inherited: KnownFacts): void {
    if (inherited !== undefined) return this.#known.set(inherited)
    // Arrays as short as these are filled faster by hand.
    for (let r = 0; r < REGISTERS; r++)
      this.#kind[r] = this.#checkedRights[r] = this.#isSure[r] = this.#isNarrow[r] = 0
    this.#fixFramePointer()
  }

  /** At the end of a block: what others are to inherit. */
  end(): KnownFacts {
    for (let r = 0; r < FRAME_POINTER; r++)
      if (
        this.#kind[r] !== KIND.UNKNOWN ||
        this.#checkedRights[r] !== 0 ||
        this.#isSure[r] === 1 ||
        this.#isNarrow[r] === 1
      )
        return this.#known.slice()
    return undefined
  }

  #fixFramePointer(): void {
    if (!this.#framePointerIsFixed) return
    this.#kind[FRAME_POINTER] = KIND.STACK
    this.#guess[FRAME_POINTER] = GUESS_STACK
    this.#isSure[FRAME_POINTER] = 1
    this.#low[FRAME_POINTER] = 0
  }

  /** Behind an instruction that isn't a call. */
  follow(slot: number): void {
    const slots = this.#slots
    const opcode = slots.opcode(slot)
    const klass = opcode & 7
    if (klass === CLASS.ST || klass === CLASS.JMP || klass === CLASS.JMP32) return
    if (klass === CLASS.STX) {
      // Atomic operations may fetch into any of these.
      if ((opcode & 0xe0) === 0xc0) {
        this.forget(0)
        this.forget(slots.src(slot))
        this.forget(slots.dst(slot))
      }
      return
    }
    const dst = slots.dst(slot)
    if (opcode === OP.MOV64_REG && slots.offset(slot) === 0) return this.#copy(dst, slots.src(slot))
    const imm = slots.imm(slot)
    if (opcode === FULL.ADD_IMM || opcode === FULL.SUB_IMM) {
      if (this.#move(dst, opcode === FULL.ADD_IMM ? imm : -imm)) return
    } else if (opcode === FULL.ADD && this.#addIndex(dst, slots.src(slot))) return
    const isNarrow = this.#givesNarrow(slot)
    const part = klass === CLASS.ALU64 ? this.#addressIn(slot) : NONE
    const guess = part === NONE ? GUESS_NONE : (this.#guess[part] ?? GUESS_NONE)
    const isSure = part === NONE ? 0 : (this.#isSure[part] ?? 0)
    this.forget(dst)
    this.#guess[dst] = guess
    this.#isSure[dst] = isSure
    this.#isNarrow[dst] = isNarrow ? 1 : 0
    if (opcode === OP.LDDW && slots.src(slot) !== 0) {
      this.#kind[dst] = KIND.FUNCTION
      this.#low[dst] = slots.callee(slot)
    } else if (opcode === OP.LDDW) this.#constant(dst, imm, slots.imm(slot + 1))
    else if (opcode === OP.MOV64_IMM) this.#constant(dst, imm, imm >> 31)
    else if (opcode === MOV32_IMM) this.#constant(dst, imm, 0)
    else if (klass === CLASS.LD) this.forget(0)
  }

  /** Adds a number to an address that is known. @returns false: it isn't */
  #move(register: number, distance: number): boolean {
    const kind = this.#kind[register]
    if (kind === KIND.UNKNOWN || kind === KIND.FUNCTION || kind === KIND.VALUE) return false
    const low = this.#low[register] ?? 0
    if (kind === KIND.CONSTANT) {
      const moved = (low >>> 0) + distance
      if (this.#high[register] !== KERNEL_HI || moved < 0 || moved >= TWO_32) return false
      this.#low[register] = moved | 0
    } else this.#low[register] = (low + distance) | 0
    this.#checkedRights[register] = 0
    return true
  }

  /**
   * What a sum of two registers has for an index: behind it, accesses add that to a constant. The caller keeps the index in the local
   * that {@link indexLocal} names.
   *
   * @returns the register whose value becomes the index, or is added to the one that there is; -1: neither is an address that is known
   */
  indexOfSum(slot: number): number {
    if (this.#slots.opcode(slot) !== FULL.ADD) return NONE
    const dst = this.#slots.dst(slot)
    const src = this.#slots.src(slot)
    if (dst === src || dst === FRAME_POINTER) return NONE
    if (this.#isAddress(dst)) return this.#isAddress(src) ? NONE : src
    return this.#isAddress(src) && !this.isIndexed(src) ? dst : NONE
  }

  #isAddress(register: number): boolean {
    return this.isKernelPointer(register) || this.isIndexed(register)
  }

  /** Whether a register is an address that is known, plus an index. */
  isIndexed(register: number): boolean {
    return (this.#kind[register] ?? 0) >= KIND.INDEXED_STACK
  }

  /** Whether the index is added to a place in the stack: its distance from the frame pointer is {@link indexedBase}. */
  isIndexedInStack(register: number): boolean {
    return this.#kind[register] === KIND.INDEXED_STACK
  }

  /** What the index of a register is added to: low half of an address, or a distance from the frame pointer. */
  indexedBase(register: number): number {
    const low = this.#low[register] ?? 0
    return this.isIndexedInStack(register) ? low : low >>> 0
  }

  /** Which of the locals for indices has the index of an indexed address. */
  indexLocal(register: number): number {
    return this.#index[register] ?? 0
  }

  /** Whether the index of an indexed address is surely below 2^32. */
  hasNarrowIndex(register: number): boolean {
    return this.#isNarrow[register] === 1
  }

  #addIndex(dst: number, src: number): boolean {
    if (dst === src || dst === FRAME_POINTER) return false
    const isAddress = this.#isAddress(dst)
    if (isAddress === this.#isAddress(src)) return false
    if (!isAddress && this.isIndexed(src)) return false
    const index = isAddress ? src : dst
    const isNarrow = this.isIndexed(dst) ? 0 : (this.#isNarrow[index] ?? 0)
    // The local belongs to this register's index from now on.
    for (let r = 0; r < FRAME_POINTER; r++)
      if (r !== dst && this.isIndexed(r) && this.#index[r] === dst) this.#kind[r] = this.#isNarrow[r] = 0
    if (!isAddress) this.#copy(dst, src)
    if (!this.isIndexed(dst))
      this.#kind[dst] = this.#kind[dst] === KIND.STACK ? KIND.INDEXED_STACK : KIND.INDEXED_CONSTANT
    this.#index[dst] = dst
    this.#isNarrow[dst] = isNarrow
    this.#checkedRights[dst] = 0
    return true
  }

  /** Whether what an instruction writes is surely below 2^32. */
  #givesNarrow(slot: number): boolean {
    const slots = this.#slots
    const opcode = slots.opcode(slot)
    const isRegister = (opcode & 0x08) !== 0
    const imm = slots.imm(slot)
    switch (opcode & 7) {
      case CLASS.LDX:
        return (opcode & 0xe0) === 0x60 && (opcode & 0x18) !== 0x18
      case CLASS.ALU:
        return opcode >> 4 !== ALU.END || imm < 64
      case CLASS.ALU64:
        break
      default:
        return false
    }
    const dst = this.#isNumberNarrow(slots.dst(slot))
    switch (opcode >> 4) {
      case ALU.MOV:
        return !isRegister && imm >= 0
      case ALU.AND:
        return dst || (isRegister ? this.#isNumberNarrow(slots.src(slot)) : imm >= 0)
      case ALU.RSH:
        return dst || (!isRegister && imm >= 32)
      case ALU.DIV:
        return dst && slots.offset(slot) === 0
      default:
        return false
    }
  }

  #isNumberNarrow(register: number): boolean {
    return this.#isNarrow[register] === 1 && !this.isIndexed(register)
  }

  /** Which register of a sum or difference seems to be its address. */
  #addressIn(slot: number): number {
    const opcode = this.#slots.opcode(slot)
    const dst = this.#slots.dst(slot)
    if (opcode === FULL.ADD_IMM || opcode === FULL.SUB_IMM || opcode === FULL.SUB) return dst
    if (opcode !== FULL.ADD) return NONE
    return this.#guess[dst] === GUESS_NONE ? this.#slots.src(slot) : dst
  }

  forget(register: number): void {
    this.#kind[register] = KIND.UNKNOWN
    this.#guess[register] = GUESS_NONE
    this.#isSure[register] = 0
    this.#isNarrow[register] = 0
    this.#checkedRights[register] = 0
    if (register === FRAME_POINTER) this.#fixFramePointer()
  }

  /** A register is the address of bytes with these rights, or 0. */
  pointToValue(register: number, size: number, rights: number): void {
    this.#kind[register] = KIND.VALUE
    this.#low[register] = size
    this.#high[register] = rights
  }

  /** Whether an access is inside the value that a register points to, unless the register is 0. */
  isInValue(register: number, offset: number, size: number, rights: number): boolean {
    if (this.#kind[register] !== KIND.VALUE || ((this.#high[register] ?? 0) & rights) !== rights) return false
    return offset >= 0 && offset + size <= (this.#low[register] ?? 0)
  }

  /** A register that may have been 0 isn't: all of the value that it points to may be accessed. */
  foundValue(register: number): void {
    this.checked(register, 0, this.#low[register] ?? 0, this.#high[register] ?? 0)
  }

  /** Behind a call, rights may have changed. */
  forgetRights(): void {
    this.#checkedRights.fill(0)
  }

  /** Whether `size` bytes at an offset from a register are surely inside the stack. */
  isInStack(register: number, offset: number, size: number): boolean {
    if (this.#kind[register] !== KIND.STACK) return false
    const from = (this.#low[register] ?? 0) + offset
    return from >= -STACK_SIZE && from + size <= 0
  }

  /** Distance from the stack's first byte, where the register points into it; else -1. */
  stackOffset(register: number, offset: number): number {
    if (this.#kind[register] !== KIND.STACK) return -1
    const from = (this.#low[register] ?? 0) + offset + STACK_SIZE
    return from >= 0 && from < STACK_SIZE ? from : -1
  }

  /** Whether a register surely holds an address of the kernel's memory. */
  isKernelPointer(register: number): boolean {
    return this.#kind[register] === KIND.STACK || this.kernelAddress(register) >= 0
  }

  /** The number below 2^31 that is surely in a register; else -1. */
  number(register: number): number {
    return this.#kind[register] === KIND.CONSTANT && this.#high[register] === 0
      ? (this.#low[register] ?? -1)
      : -1
  }

  /** Start slot of the function whose address is surely in a register; else -1. */
  functionIn(register: number): number {
    return this.#kind[register] === KIND.FUNCTION ? (this.#low[register] ?? 0) : -1
  }

  /** Whether a register surely holds an address with all of the bytes in a region of these rights. */
  isInRegion(register: number, offset: number, size: number, rights: number): boolean {
    const address = this.kernelAddress(register)
    const region = this.#regions[this.#guess[register] ?? GUESS_NONE]
    if (address < 0 || region === undefined || (region.access & rights) !== rights) return false
    const from = address + offset - region.address
    return from >= 0 && from + size <= region.size
  }

  /** The region that a register seems to point into, if it grants the rights. */
  guessedRegion(register: number, rights: number): Region | undefined {
    const region = this.#regions[this.#guess[register] ?? GUESS_NONE]
    return region === undefined || (region.access & rights) !== rights ? undefined : region
  }

  /** Whether a register was made of the address that it seems to hold, whichever way the program got here. */
  isSure(register: number): boolean {
    return this.#isSure[register] === 1
  }

  /** Whether a register seems to point into the stack. */
  seemsInStack(register: number): boolean {
    return this.#guess[register] === GUESS_STACK
  }

  /** Low half of the kernel address that is surely in a register; else -1. */
  kernelAddress(register: number): number {
    if (this.#kind[register] !== KIND.CONSTANT || this.#high[register] !== KERNEL_HI) return -1
    return (this.#low[register] ?? 0) >>> 0
  }

  wasChecked(register: number, offset: number, size: number, rights: number): boolean {
    return (
      ((this.#checkedRights[register] ?? 0) & rights) === rights &&
      offset >= (this.#checkedFrom[register] ?? 0) &&
      offset + size <= (this.#checkedTo[register] ?? 0)
    )
  }

  checked(register: number, offset: number, size: number, rights: number): void {
    this.#checkedRights[register] = rights
    this.#checkedFrom[register] = offset
    this.#checkedTo[register] = offset + size
  }

  #copy(dst: number, src: number): void {
    if (dst === src) return
    this.#guess[dst] = this.#guess[src] ?? GUESS_NONE
    this.#isSure[dst] = this.#isSure[src] ?? 0
    this.#kind[dst] = this.#kind[src] ?? 0
    this.#low[dst] = this.#low[src] ?? 0
    this.#high[dst] = this.#high[src] ?? 0
    this.#index[dst] = this.#index[src] ?? 0
    this.#isNarrow[dst] = this.#isNarrow[src] ?? 0
    this.#checkedRights[dst] = this.#checkedRights[src] ?? 0
    this.#checkedFrom[dst] = this.#checkedFrom[src] ?? 0
    this.#checkedTo[dst] = this.#checkedTo[src] ?? 0
  }

  #constant(dst: number, low: number, high: number): void {
    this.#kind[dst] = KIND.CONSTANT
    this.#low[dst] = low
    this.#high[dst] = high
    if (high !== KERNEL_HI) return
    const known = this.#regions.findIndex(
      ({ address, size }) => low >>> 0 >= address && low >>> 0 < address + size,
    )
    const region = known < 0 ? this.#regionAt(low >>> 0) : undefined
    this.#guess[dst] = region === undefined ? known : this.#regions.push(region) - 1
    this.#isSure[dst] = this.#guess[dst] === GUESS_NONE ? 0 : 1
  }
}
