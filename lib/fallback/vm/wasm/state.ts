/** Words of the linear memory that an engine and its compiled program share: byte offsets from the start of the engine's block. */
import { MAX_CALL_FRAMES, MAX_NESTED_RUNS } from '../frames.js'

export const STATE = {
  /** i64: r0 of whoever answered last. */
  RESULT: 0,
  /** i64: instructions left. */
  FUEL: 8,
  /** i32: frame of the function that called JavaScript last; -1: idle. */
  DEPTH: 16,
  /** i32: deepest frame that the run may use. */
  DEEPEST: 20,
  /** i32: slot of the instruction that called JavaScript last. */
  POSITION: 24,
  /** i64 each: r0…r10 of a function that the interpreter is to go on with. */
  REGISTERS: 32,
  /** i32 each: the address behind the stack of each frame. */
  TOPS: 120,
} as const

/** Frames of all runs inside each other. */
const FRAMES = MAX_CALL_FRAMES * MAX_NESTED_RUNS

export const STATE_SIZE = STATE.TOPS + 4 * FRAMES

/** What a part of a function answers where the whole function returns, r0 in the first global. Else the entry that follows. */
export const RETURNED = -1

/** Globals of the module, where registers wait between parts of a function: r0…r9, and what is left of may_goto's count. */
export const GLOBALS = { COUNT: 11, REGISTERS: 10, LOOPS: 10 } as const
