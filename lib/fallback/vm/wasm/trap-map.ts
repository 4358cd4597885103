/** Which BPF instruction a place in a WebAssembly module belongs to: for traps of WebAssembly's own. */

/** As engines write places in stack traces: `wasm-function[3]:0x1a2`. */
const PLACE = /wasm-function\[\d+\]:0x([0-9a-f]+)/

export class TrapMap {
  /** Offsets and slots in turn, ascending by offset. */
  #entries = new Int32Array(256)
  #length = 0
  #base = 0

  /** The code from an offset on is that of a slot. */
  mark(offset: number, slot: number): void {
    if (this.#length + 2 > this.#entries.length) {
      const larger = new Int32Array(2 * this.#entries.length)
      larger.set(this.#entries)
      this.#entries = larger
    }
    this.#entries[this.#length++] = offset
    this.#entries[this.#length++] = slot
  }

  /** Offsets start here in the finished module. */
  moveTo(base: number): void {
    this.#base = base
  }

  /** The slot at an offset in the module; undefined before the first one. */
  slotAt(offset: number): number | undefined {
    const wanted = offset - this.#base
    let low = 0
    let high = this.#length >> 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#entries[2 * middle] ?? 0) <= wanted) low = middle + 1
      else high = middle
    }
    return low === 0 ? undefined : this.#entries[2 * low - 1]
  }

  /** The slot where an error arose, where the engine's stack trace tells. */
  slotOf(error: Error): number | undefined {
    const place = PLACE.exec(error.stack ?? '')?.[1]
    return place === undefined ? undefined : this.slotAt(Number.parseInt(place, 16))
  }
}
