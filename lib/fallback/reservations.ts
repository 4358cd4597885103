/** Records of ring buffers that programs have reserved and not yet committed. They are words of the kernel's memory, as compiled programs reserve too. */
import { KERNEL_WORD, MOST_RESERVED } from './kernel-words.js'
import type { LoadedMap } from './maps/loaded-map.js'
import { RingBufferMap } from './maps/ring-buffer.js'
import type { Memory } from './memory.js'

const COUNT = KERNEL_WORD.RESERVED >> 2
const FIRST = KERNEL_WORD.RECORDS >> 2

/** Those of all programs that run now, one inside the other: an inner program's lie above the outer one's. */
export class Reservations {
  readonly #memory: Memory
  readonly #maps: ReadonlyMap<number, LoadedMap>

  constructor(memory: Memory, maps: ReadonlyMap<number, LoadedMap>) {
    this.#memory = memory
    this.#maps = maps
  }

  get count(): number {
    return this.#memory.i32[COUNT] ?? 0
  }

  /** No more records can be reserved before one is committed. */
  get isFull(): boolean {
    return this.count === MOST_RESERVED
  }

  /** Name of the ring buffer that the newest record is in. */
  get newest(): string {
    return this.#ringAt(this.count - 1)?.attributes.name ?? ''
  }

  add(ring: RingBufferMap, record: number): void {
    const { i32 } = this.#memory
    const at = FIRST + 2 * this.count
    i32[at] = record
    i32[at + 1] = ring.control
    i32[COUNT] = this.count + 1
  }

  /** Forgets a record. @returns its ring buffer; undefined if it isn't reserved */
  take(record: number): RingBufferMap | undefined {
    const { i32 } = this.#memory
    let at = this.count - 1
    while (at >= 0 && this.#recordAt(at) !== record) at--
    if (at < 0) return undefined
    const ring = this.#ringAt(at)
    i32.copyWithin(FIRST + 2 * at, FIRST + 2 * at + 2, FIRST + 2 * this.count)
    i32[COUNT] = this.count - 1
    return ring
  }

  /** Discards the newest records, until `count` are left. */
  discardDownTo(count: number): void {
    while (this.count > count) {
      const record = this.#recordAt(this.count - 1)
      this.take(record)?.commit(record, 0, true)
    }
  }

  #recordAt(index: number): number {
    return (this.#memory.i32[FIRST + 2 * index] ?? 0) >>> 0
  }

  #ringAt(index: number): RingBufferMap | undefined {
    const control = (this.#memory.i32[FIRST + 2 * index + 1] ?? 0) >>> 0
    for (const { storage } of this.#maps.values())
      if (storage instanceof RingBufferMap && storage.control === control) return storage
    return undefined
  }
}
