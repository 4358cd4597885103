/** Pseudo-random numbers that come again with the same seed: xorshift32 (Marsaglia, 2003). */
import { KERNEL_WORD } from './kernel-words.js'
import type { Memory } from './memory.js'

const STATE = KERNEL_WORD.RANDOM >> 2

export class Random {
  readonly #memory: Memory

  /**
   * @param seed   any integer
   * @param memory where the state is kept: compiled programs go on from there
   */
  constructor(seed: number, memory: Memory) {
    this.#memory = memory
    // The state must not be 0; neighbouring seeds must not give neighbouring sequences.
    memory.i32[STATE] = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) || 0x9e3779b9
  }

  /** Signed 32 bits. */
  next(): number {
    const { i32 } = this.#memory
    let state = i32[STATE] ?? 0
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    i32[STATE] = state
    return state
  }
}
