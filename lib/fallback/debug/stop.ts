/** A program that stands still before an instruction: what can be seen of it. */
import { BpfError, type SourcePosition } from '../../errors.js'
import { Access, KERNEL_HI, USER_HI } from '../memory.js'
import { STACK_SIZE } from '../vm/frames.js'
import type { Interpreter } from '../vm/interpreter.js'
import { describeFault, pointerOf } from '../vm/trap.js'
import type { Listing } from './listing.js'

const REGISTERS = 11

/** One function that was entered and not left yet. */
export interface StackFrame {
  readonly function: string
  /** The instruction that runs next, in the innermost frame; in the others, the one that called. */
  readonly insn: number
  readonly source: SourcePosition | undefined
}

/** Valid until the handler returns: the program goes on then. */
export class Stop {
  readonly reason: 'breakpoint' | 'step'
  readonly program: string
  /** Index of the instruction that runs next. */
  readonly insn: number
  /** That instruction, in the syntax of Linux's verifier log. */
  readonly text: string
  readonly function: string
  readonly source: SourcePosition | undefined
  /** Frames below this one: 0 in the program's own function. */
  readonly depth: number
  readonly #interpreter: Interpreter
  readonly #listing: Listing

  /** @internal */
  constructor(interpreter: Interpreter, listing: Listing, slot: number, reason: 'breakpoint' | 'step') {
    const { insn, text, function: name, source } = listing.at(slot)
    this.reason = reason
    this.program = interpreter.program.name
    this.insn = insn
    this.text = text
    this.function = name
    this.source = source
    this.depth = interpreter.depth
    this.#interpreter = interpreter
    this.#listing = listing
  }

  /** r0 to r10, unsigned. */
  get registers(): readonly bigint[] {
    return registersOf(this.#interpreter)
  }

  /** @throws BpfError `BAD_VALUE` for what is no register; r10 can't be set */
  setRegister(index: number, value: bigint): void {
    if (!Number.isInteger(index) || index < 0 || index >= REGISTERS - 1)
      throw new BpfError('BAD_VALUE', `a register that can be set is r0 to r9, not r${index}`)
    const { lo, hi } = this.#interpreter.registers
    lo[index] = Number(BigInt.asIntN(32, value))
    hi[index] = Number(BigInt.asIntN(32, value >> 32n))
  }

  /** The 512 bytes of a frame's stack, a copy; the frame pointer is behind the last one. @param up frames further out: 1 is the caller's */
  stack(up = 0): Uint8Array {
    const depth = this.depth - up
    if (!Number.isInteger(up) || up < 0 || depth < 0)
      throw new BpfError('BAD_VALUE', `there are ${this.depth} frames above this one, not ${up}`)
    const { frames, memory } = this.#interpreter
    const top = frames.topOf(depth)
    return memory.u8.slice(top - STACK_SIZE, top)
  }

  /**
   * A copy of memory at an address as registers hold them: the kernel's, or a simulated process's.
   *
   * @throws BpfError `BAD_VALUE` for what may not be read there, and why
   */
  read(address: bigint, size: number): Uint8Array {
    const { memory } = this.#interpreter
    const hi = Number(BigInt.asIntN(32, address >> 32n))
    const at = Number(address & 0xffff_ffffn)
    const access = hi === USER_HI ? Access.userRead : Access.read
    const isKnown = hi === USER_HI || hi === KERNEL_HI
    const isHidden = hi === KERNEL_HI && this.#interpreter.program.contexts?.has(at, size) === true
    if (!isKnown || (!isHidden && memory.firstForbidden(at, size, access) >= 0))
      throw new BpfError('BAD_VALUE', describeFault(memory, hi, at, size, Access.read))
    return memory.u8.slice(at, at + size)
  }

  /** The functions that were entered, the innermost first. */
  get frames(): readonly StackFrame[] {
    const callers = this.#interpreter.returns.map((slot) => slot - 1)
    return [this.insn, ...callers.toReversed()].map((slot) => {
      const { insn, function: name, source } = this.#listing.at(slot)
      return { function: name, insn, source }
    })
  }
}

export function registersOf({ registers: { lo, hi } }: Interpreter): readonly bigint[] {
  return Array.from({ length: REGISTERS }, (_, i) => pointerOf(hi[i] ?? 0, lo[i] ?? 0))
}
