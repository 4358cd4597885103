/** Records of ring buffers that programs have reserved and not yet committed. */
import type { RingBufferMap } from './maps/ring-buffer.js'

/** Those of all programs that run now, one inside the other: an inner program's lie above the outer one's. */
export class Reservations {
  readonly #rings: RingBufferMap[] = []
  readonly #records: number[] = []

  get count(): number {
    return this.#records.length
  }

  /** Name of the ring buffer that the newest record is in. */
  get newest(): string {
    return this.#rings.at(-1)?.attributes.name ?? ''
  }

  add(ring: RingBufferMap, record: number): void {
    this.#rings.push(ring)
    this.#records.push(record)
  }

  /** Forgets a record. @returns its ring buffer; undefined if it isn't reserved */
  take(record: number): RingBufferMap | undefined {
    const at = this.#records.lastIndexOf(record)
    const ring = this.#rings[at]
    if (ring === undefined) return undefined
    this.#records.copyWithin(at, at + 1)
    this.#rings.copyWithin(at, at + 1)
    this.#records.pop()
    this.#rings.pop()
    return ring
  }

  /** Discards the newest records, until `count` are left. */
  discardDownTo(count: number): void {
    while (this.#records.length > count) {
      const record = this.#records.pop() ?? 0
      this.#rings.pop()?.commit(record, 0, true)
    }
  }
}
