/** Pseudo-random numbers that come again with the same seed: xorshift32 (Marsaglia, 2003). */
export class Random {
  #state: number

  /** @param seed any integer */
  constructor(seed: number) {
    // The state must not be 0; neighbouring seeds must not give neighbouring sequences.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) || 0x9e3779b9
  }

  /** Signed 32 bits. */
  next(): number {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state
    return state
  }
}
