/**
 * What is known of registers inside a block: which ones point into the stack, which ones are constants, and which bytes
 * behind them were checked already. It saves checks, and finds the maps that helpers are called with.
 */
import { KERNEL_HI } from '../../memory.js'
import { CLASS, OP } from '../../../isa/opcodes.js'
import { STACK_SIZE } from '../frames.js'
import type { Region } from './intrinsic-tables.js'
import type { Slots } from './slots.js'

const KIND = { UNKNOWN: 0, STACK: 1, CONSTANT: 2, FUNCTION: 3 } as const
/** Guesses of where a register points to: nowhere, into the stack, or into a region. */
const GUESS_NONE = -1
const GUESS_STACK = -2
const REGISTERS = 11
const FRAME_POINTER = 10

export class Facts {
  readonly #slots: Slots
  readonly #kind = new Uint8Array(REGISTERS)
  /** Distance from the frame pointer, or the low half of a constant. */
  readonly #low = new Int32Array(REGISTERS)
  readonly #high = new Int32Array(REGISTERS)
  /** Bytes behind the register that were found accessible, as rights (1 read, 2 write), first and end. */
  readonly #checkedRights = new Uint8Array(REGISTERS)
  readonly #checkedFrom = new Int32Array(REGISTERS)
  readonly #checkedTo = new Int32Array(REGISTERS)
  /**
   * Where registers seem to point to: the constant or stack address that they were made of, however the program got here. Only a guess: it
   * decides which check is tried first.
   */
  readonly #guess = new Int32Array(REGISTERS).fill(GUESS_NONE)
  readonly #regions: Region[] = []
  readonly #regionAt: (address: number) => Region | undefined
  readonly #framePointerIsFixed: boolean

  /** @param framePointerIsFixed no instruction of the function writes r10 */
  constructor(slots: Slots, framePointerIsFixed: boolean, regionAt: (address: number) => Region | undefined) {
    this.#regionAt = regionAt
    this.#slots = slots
    this.#framePointerIsFixed = framePointerIsFixed
    this.reset()
  }

  /** At the start of a block nothing is known but the frame pointer. */
  reset(): void {
    // Arrays as short as these are filled faster by hand.
    for (let r = 0; r < REGISTERS; r++) this.#kind[r] = this.#checkedRights[r] = 0
    if (!this.#framePointerIsFixed) return
    this.#kind[FRAME_POINTER] = KIND.STACK
    this.#guess[FRAME_POINTER] = GUESS_STACK
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
    const guess = klass === CLASS.ALU64 ? this.#guessOfSum(slot) : GUESS_NONE
    this.forget(dst)
    this.#guess[dst] = guess
    if (opcode === OP.LDDW && slots.src(slot) !== 0) {
      this.#kind[dst] = KIND.FUNCTION
      this.#low[dst] = slots.callee(slot)
    } else if (opcode === OP.LDDW) this.#constant(dst, imm, slots.imm(slot + 1))
    else if (opcode === OP.MOV64_IMM) this.#constant(dst, imm, imm >> 31)
    else if (klass === CLASS.LD) this.forget(0)
  }

  /** What a sum or difference seems to point to: where one of its parts does. */
  #guessOfSum(slot: number): number {
    const opcode = this.#slots.opcode(slot)
    const ofDestination = this.#guess[this.#slots.dst(slot)] ?? GUESS_NONE
    if (opcode === 0x07 || opcode === 0x17 || opcode === 0x1f) return ofDestination
    if (opcode !== 0x0f) return GUESS_NONE
    return ofDestination === GUESS_NONE ? (this.#guess[this.#slots.src(slot)] ?? GUESS_NONE) : ofDestination
  }

  forget(register: number): void {
    this.#kind[register] = KIND.UNKNOWN
    this.#guess[register] = GUESS_NONE
    this.#checkedRights[register] = 0
    if (register !== FRAME_POINTER || !this.#framePointerIsFixed) return
    this.#kind[register] = KIND.STACK
    this.#guess[register] = GUESS_STACK
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
  }
}
