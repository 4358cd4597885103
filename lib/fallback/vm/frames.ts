/**
 * Call frames: stack memory, return addresses and the registers that calls preserve.
 *
 * A `!` below is sound: depths are below that which was reserved, and the arrays are as long as that asks for.
 */
import { BpfError } from '../../errors.js'
import { Access, KERNEL_HI } from '../memory.js'
import type { Memory } from '../memory.js'
import type { Registers } from './types.js'

/** MAX_BPF_STACK of Linux, for each frame. */
export const STACK_SIZE = 512
/** MAX_CALL_FRAMES of Linux. */
export const MAX_CALL_FRAMES = 8
/** Runs of one program inside each other: a helper may start it again, and so may each of the 33 tail calls from functions that return. */
export const MAX_NESTED_RUNS = 40
const FRAMES = MAX_CALL_FRAMES * MAX_NESTED_RUNS

/** Iterations after which may_goto leaves a loop: BPF_MAX_LOOPS of Linux. */
export const MAY_GOTO_ITERATIONS = 8 * 1024 * 1024

const FRAME_POINTER = 10
/** r6…r9 survive a bpf-to-bpf call. */
const FIRST_SAVED = 6
const SAVED = 4
/** Call of a callback: r1…r9 come back. */
const FIRST_KEPT = 1
const KEPT = 9

/** The frames of one engine. A depth counts frames over nested runs, from 0. */
export class Frames {
  readonly #memory: Memory
  readonly #program: string
  /** Addresses of the stacks that were allocated so far. */
  readonly #stacks: number[] = []
  // Room for one run at first, which is all that most programs need.
  #tops = new Int32Array(MAX_CALL_FRAMES)
  #returns = new Int32Array(MAX_CALL_FRAMES)
  #savedLo = new Int32Array(MAX_CALL_FRAMES * SAVED)
  #savedHi = new Int32Array(MAX_CALL_FRAMES * SAVED)
  #keptLo = new Int32Array(MAX_CALL_FRAMES * KEPT)
  #keptHi = new Int32Array(MAX_CALL_FRAMES * KEPT)
  /** What is left of may_goto's count. */
  #loops = new Int32Array(MAX_CALL_FRAMES)

  constructor(memory: Memory, program: string) {
    this.#memory = memory
    this.#program = program
    this.reserve(0)
  }

  /** Makes room for a run whose first frame is at `depth`. */
  reserve(depth: number): void {
    if (depth + MAX_CALL_FRAMES > FRAMES)
      throw new BpfError(
        'TRAP',
        `program '${this.#program}' runs inside of itself more than ${MAX_NESTED_RUNS} deep`,
      )
    if (this.#tops.length < depth + MAX_CALL_FRAMES) this.#grow(2 * (depth + MAX_CALL_FRAMES))
    while (this.#stacks.length < depth + MAX_CALL_FRAMES) {
      const stack = this.#memory.alloc(STACK_SIZE, Access.readWrite, 16, 'stack frame')
      this.#tops[this.#stacks.length] = stack + STACK_SIZE
      this.#stacks.push(stack)
    }
  }

  #grow(frames: number): void {
    const larger = (array: Int32Array, perFrame: number): Int32Array<ArrayBuffer> => {
      const copy = new Int32Array(frames * perFrame)
      copy.set(array)
      return copy
    }
    this.#tops = larger(this.#tops, 1)
    this.#returns = larger(this.#returns, 1)
    this.#loops = larger(this.#loops, 1)
    this.#savedLo = larger(this.#savedLo, SAVED)
    this.#savedHi = larger(this.#savedHi, SAVED)
    this.#keptLo = larger(this.#keptLo, KEPT)
    this.#keptHi = larger(this.#keptHi, KEPT)
  }

  /** Gives a frame another stack. @param top low half of the address behind it @returns the one that it had */
  replace(depth: number, top: number): number {
    const before = this.topOf(depth)
    this.#tops[depth] = top
    return before
  }

  /** Low half of the address behind a frame's stack. */
  topOf(depth: number): number {
    return (this.#tops[depth] ?? 0) >>> 0
  }

  /** Words to which the frames from `bottom` to below `depth` return, the outermost first. */
  returnsOf(bottom: number, depth: number): readonly number[] {
    return [...this.#returns.subarray(bottom, depth)]
  }

  free(): void {
    for (const stack of this.#stacks) this.#memory.free(stack)
    this.#stacks.length = 0
  }

  /** Points r10 to the frame's stack. */
  enter(depth: number, registers: Registers): void {
    registers.lo[FRAME_POINTER] = this.#tops[depth] ?? 0
    registers.hi[FRAME_POINTER] = KERNEL_HI
    this.#loops[depth] = MAY_GOTO_ITERATIONS
  }

  /** Before a call from the frame at `depth`: keeps r6…r9 and the word to return to. */
  push(depth: number, registers: Registers, returnTo: number): void {
    const { lo, hi } = registers
    const base = depth * SAVED
    const savedLo = this.#savedLo
    const savedHi = this.#savedHi
    for (let i = 0; i < SAVED; i++) {
      savedLo[base + i] = lo[FIRST_SAVED + i]!
      savedHi[base + i] = hi[FIRST_SAVED + i]!
    }
    this.#returns[depth] = returnTo
  }

  /** Notes where the frame at `depth` goes on: for those who look at frames. */
  leave(depth: number, returnTo: number): void {
    this.#returns[depth] = returnTo
  }

  /** Back in the frame at `depth`. @returns the word to go on at */
  pop(depth: number, registers: Registers): number {
    const { lo, hi } = registers
    const base = depth * SAVED
    const savedLo = this.#savedLo
    const savedHi = this.#savedHi
    for (let i = 0; i < SAVED; i++) {
      lo[FIRST_SAVED + i] = savedLo[base + i]!
      hi[FIRST_SAVED + i] = savedHi[base + i]!
    }
    lo[FRAME_POINTER] = this.#tops[depth]!
    hi[FRAME_POINTER] = KERNEL_HI
    return this.#returns[depth]!
  }

  /** Counts a pass of may_goto. @returns whether the loop must be left */
  loopEnds(depth: number): boolean {
    const left = this.#loops[depth] ?? 0
    if (left === 0) return true
    this.#loops[depth] = left - 1
    return false
  }

  /** Keeps r1…r9 of a frame whose helper runs other code of the program. */
  saveRegisters(depth: number, registers: Registers): void {
    const base = depth * KEPT
    for (let i = 0; i < KEPT; i++) {
      this.#keptLo[base + i] = registers.lo[FIRST_KEPT + i] ?? 0
      this.#keptHi[base + i] = registers.hi[FIRST_KEPT + i] ?? 0
    }
  }

  /** The inverse of {@link saveRegisters}; r0 stays as it is. */
  restoreRegisters(depth: number, registers: Registers): void {
    const base = depth * KEPT
    for (let i = 0; i < KEPT; i++) {
      registers.lo[FIRST_KEPT + i] = this.#keptLo[base + i] ?? 0
      registers.hi[FIRST_KEPT + i] = this.#keptHi[base + i] ?? 0
    }
    registers.lo[FRAME_POINTER] = this.#tops[depth] ?? 0
    registers.hi[FRAME_POINTER] = KERNEL_HI
  }
}
