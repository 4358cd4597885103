/** The different 64-bit immediates of a program, numbered in the order in which they come. */
const EMPTY = -1

export class Constants {
  #count = 0
  readonly #lows: Int32Array
  readonly #highs: Int32Array
  /** Numbers by hash; at most half of it is taken. */
  readonly #table: Int32Array
  readonly #shift: number

  /** @param most how many there may be */
  constructor(most: number) {
    const bits = 33 - Math.clz32(most)
    this.#lows = new Int32Array(most)
    this.#highs = new Int32Array(most)
    this.#table = new Int32Array(1 << bits).fill(EMPTY)
    this.#shift = 32 - bits
  }

  /** @returns its number: that of the same halves before, or the next one */
  numberOf(low: number, high: number): number {
    const table = this.#table
    const last = table.length - 1
    let at = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1) >>> this.#shift
    for (;;) {
      const number = table[at] as number
      if (number === EMPTY) break
      if (this.#lows[number] === low && this.#highs[number] === high) return number
      at = (at + 1) & last
    }
    const number = this.#count++
    table[at] = number
    this.#lows[number] = low
    this.#highs[number] = high
    return number
  }

  /** Halves of all of them, by number. */
  get lows(): Int32Array {
    return this.#lows.subarray(0, this.#count)
  }
  get highs(): Int32Array {
    return this.#highs.subarray(0, this.#count)
  }
}
