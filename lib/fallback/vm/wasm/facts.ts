/**
 * What is known of registers inside a block, and in blocks that only it leads to: which ones point into the stack, which ones are constants, and which bytes
 * behind them were checked already. It saves checks, and finds the maps that helpers are called with.
 */
import { KERNEL_HI } from '../../memory.js'
import { CLASS, OP } from '../../../isa/opcodes.js'
import { STACK_SIZE } from '../frames.js'
import { NONE } from './edges.js'
import type { Region } from './intrinsic-tables.js'
import type { Slots } from './slots.js'

const KIND = { UNKNOWN: 0, STACK: 1, CONSTANT: 2, FUNCTION: 3 } as const
/** Guesses of where a register points to: nowhere, into the stack, or into a region. */
const GUESS_NONE = -1
const GUESS_STACK = -2
const REGISTERS = 11
const TABLES = 8
const FRAME_POINTER = 10

/** What was known at the end of a block. Undefined: nothing. */
export type KnownFacts = Int32Array | undefined

export class Facts {
  readonly #slots: Slots
  /** All that is known, one table behind the other. */
  readonly #known = new Int32Array(TABLES * REGISTERS)
  readonly #kind = this.#table(0)
  /** Distance from the frame pointer, or the low half of a constant. */
  readonly #low = this.#table(1)
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
    for (let r = 0; r < REGISTERS; r++) this.#kind[r] = this.#checkedRights[r] = this.#isSure[r] = 0
    this.#fixFramePointer()
  }

  /** At the end of a block: what others are to inherit. */
  end(): KnownFacts {
    for (let r = 0; r < FRAME_POINTER; r++)
      if (this.#kind[r] !== KIND.UNKNOWN || this.#checkedRights[r] !== 0 || this.#isSure[r] === 1)
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
    if (klass === CLASS.ALU64 && (opcode === 0x07 || opcode === 0x17) && this.#kind[dst] === KIND.STACK) {
      this.#low[dst] = (this.#low[dst] ?? 0) + (opcode === 0x07 ? imm : -imm)
      this.#checkedRights[dst] = 0
      return
    }
    const part = klass === CLASS.ALU64 ? this.#addressIn(slot) : NONE
    const guess = part === NONE ? GUESS_NONE : (this.#guess[part] ?? GUESS_NONE)
    const isSure = part === NONE ? 0 : (this.#isSure[part] ?? 0)
    this.forget(dst)
    this.#guess[dst] = guess
    this.#isSure[dst] = isSure
    if (opcode === OP.LDDW && slots.src(slot) !== 0) {
      this.#kind[dst] = KIND.FUNCTION
      this.#low[dst] = slots.callee(slot)
    } else if (opcode === OP.LDDW) this.#constant(dst, imm, slots.imm(slot + 1))
    else if (opcode === OP.MOV64_IMM) this.#constant(dst, imm, imm >> 31)
    else if (klass === CLASS.LD) this.forget(0)
  }

  /** Which register of a sum or difference seems to be its address. */
  #addressIn(slot: number): number {
    const opcode = this.#slots.opcode(slot)
    const dst = this.#slots.dst(slot)
    if (opcode === 0x07 || opcode === 0x17 || opcode === 0x1f) return dst
    if (opcode !== 0x0f) return NONE
    return this.#guess[dst] === GUESS_NONE ? this.#slots.src(slot) : dst
  }

  forget(register: number): void {
    this.#kind[register] = KIND.UNKNOWN
    this.#guess[register] = GUESS_NONE
    this.#isSure[register] = 0
    this.#checkedRights[register] = 0
    if (register === FRAME_POINTER) this.#fixFramePointer()
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
