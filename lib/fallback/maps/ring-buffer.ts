/**
 * BPF_MAP_TYPE_RINGBUF: kernel/bpf/ringbuf.c. Producers reserve and commit; one position each for producer and consumer.
 *
 * Linux maps the data pages twice in a row, so that a record may run over the end. Here the data area is twice as long, and such a record
 * runs into the second half: nobody reads those bytes through another record's position.
 */
import { Access, type Memory } from '../memory.js'
import { EINVAL } from '../errors.js'
import type { MapLayout } from './layout.js'
import { RING_BUSY, RING_CONTROL, RING_DISCARD, RING_HEADER, RING_LENGTH } from './ring-control.js'
import type { MapAttributes, MapStorage } from './types.js'
import { WithoutElements } from './without-elements.js'

const HEADER = RING_HEADER
const BUSY = RING_BUSY
const DISCARD = RING_DISCARD
const LENGTH = RING_LENGTH
const TWO_32 = 4294967296
/** UINT_MAX / 4: what a length in the header can say. */
const MAX_RECORD = 0x3fffffff

export const RB_NO_WAKEUP = 1
export const RB_FORCE_WAKEUP = 2

export class RingBufferMap extends WithoutElements implements MapStorage {
  readonly bufferSize = 0
  readonly forEach = undefined
  readonly mapped = undefined
  readonly direct = undefined
  readonly #memory: Memory
  readonly #size: number
  readonly #data: number
  /** Address of the block that ring-control.ts describes. */
  readonly control: number
  readonly layout: MapLayout
  readonly #waiters = new Set<() => void>()

  constructor(
    memory: Memory,
    readonly attributes: MapAttributes,
  ) {
    super()
    this.#memory = memory
    this.#size = attributes.maxEntries
    const label = `ring buffer '${attributes.name}'`
    this.#data = memory.alloc(2 * this.#size, Access.none, 16, label)
    this.control = memory.alloc(RING_CONTROL.BYTES, Access.none, 16, `positions of ${label}`)
    this.layout = { kind: 'ring', control: this.control }
    this.#set(RING_CONTROL.MASK, this.#size - 1)
    this.#set(RING_CONTROL.DATA, this.#data)
  }

  /**
   * Reserves a record of `size` bytes, which stays invisible to the consumer, with all behind it, until it is committed.
   * @returns address of the record, or 0: no room
   */
  reserve(size: number): number {
    if (size > MAX_RECORD) return 0
    const length = roundUp(size)
    if (length > this.#size) return 0
    this.#skipCommitted()
    const end = this.#producer + length
    const mask = this.#size - 1
    if (end - this.#consumer > mask || end - this.#pending > mask) return 0
    const header = this.#data + this.#offset(this.#producer)
    this.#memory.view.setUint32(header, (size | BUSY) >>> 0, true)
    this.#memory.view.setUint32(header + 4, 0, true)
    this.#producer = end
    this.#memory.protect(header + HEADER, size, Access.readWrite)
    return header + HEADER
  }

  /**
   * Commits a reserved record: for the consumer, or discarded.
   * @returns 0, or -EINVAL if no reserved record lies there
   */
  commit(record: number, flags: number, discard: boolean): number {
    const header = record - HEADER
    if (!this.#isReserved(header)) return EINVAL
    const { view } = this.#memory
    const size = view.getUint32(header, true) & LENGTH
    view.setUint32(header, (size | (discard ? DISCARD : 0)) >>> 0, true)
    this.#memory.protect(record, size, Access.none)
    const caughtUp = this.#offset(this.#consumer) === header - this.#data
    if ((flags & RB_FORCE_WAKEUP) !== 0 || (caughtUp && (flags & RB_NO_WAKEUP) === 0)) {
      for (const wake of this.#waiters) wake()
    }
    return 0
  }

  /** Bytes between consumer and producer, headers included. */
  get available(): number {
    return this.#producer - this.#consumer
  }

  get size(): number {
    return this.#size
  }

  get consumerPosition(): number {
    return this.#consumer
  }

  get producerPosition(): number {
    return this.#producer
  }

  /** Whether the consumer finds a committed record, or one to skip. */
  get readable(): boolean {
    return this.#consumer < this.#producer && (this.#headerAt(this.#consumer) & BUSY) === 0
  }

  /** `wake` is called at each wake-up of the consumer. @returns a function that ends that */
  subscribe(wake: () => void): () => void {
    const count = (): void => this.#set(RING_CONTROL.WAITERS, this.#waiters.size)
    this.#waiters.add(wake)
    count()
    return () => {
      this.#waiters.delete(wake)
      count()
    }
  }

  /** Length of the record that is the consumer's next, or -1: none is committed. Discarded records before it are given back. */
  nextLength(): number {
    while (this.#consumer < this.#producer) {
      const word = this.#headerAt(this.#consumer)
      if ((word & BUSY) !== 0) return -1
      if ((word & DISCARD) === 0) return word & LENGTH
      this.#consumer += roundUp(word & LENGTH)
    }
    return -1
  }

  /** Copies the record that `nextLength()` measured, and gives it back. */
  take(length: number, into: Uint8Array, at: number): void {
    const record = this.#data + this.#offset(this.#consumer) + HEADER
    into.set(this.#memory.u8.subarray(record, record + length), at)
    this.#consumer += roundUp(length)
  }

  destroy(): void {
    this.#memory.free(this.#data)
    this.#memory.free(this.control)
  }

  get #consumer(): number {
    return this.#position(RING_CONTROL.CONSUMER)
  }

  set #consumer(position: number) {
    this.#setPosition(RING_CONTROL.CONSUMER, position)
  }

  get #producer(): number {
    return this.#position(RING_CONTROL.PRODUCER)
  }

  set #producer(position: number) {
    this.#setPosition(RING_CONTROL.PRODUCER, position)
  }

  get #pending(): number {
    return this.#position(RING_CONTROL.PENDING)
  }

  set #pending(position: number) {
    this.#setPosition(RING_CONTROL.PENDING, position)
  }

  #position(offset: number): number {
    const { i32 } = this.#memory
    const at = (this.control + offset) >>> 2
    return ((i32[at] ?? 0) >>> 0) + (i32[at + 1] ?? 0) * TWO_32
  }

  #setPosition(offset: number, position: number): void {
    const { i32 } = this.#memory
    const at = (this.control + offset) >>> 2
    i32[at] = position
    i32[at + 1] = Math.floor(position / TWO_32)
  }

  #set(offset: number, word: number): void {
    this.#memory.i32[(this.control + offset) >>> 2] = word
  }

  #skipCommitted(): void {
    while (this.#pending < this.#producer) {
      const word = this.#headerAt(this.#pending)
      if ((word & BUSY) !== 0) return
      this.#pending += roundUp(word & LENGTH)
    }
  }

  #isReserved(header: number): boolean {
    const offset = header - this.#data
    if (offset < 0 || offset >= this.#size || offset % 8 !== 0) return false
    this.#skipCommitted()
    for (let at = this.#pending; at < this.#producer;) {
      const word = this.#headerAt(at)
      if (this.#offset(at) === offset) return (word & BUSY) !== 0
      at += roundUp(word & LENGTH)
    }
    return false
  }

  #headerAt(position: number): number {
    return this.#memory.view.getUint32(this.#data + this.#offset(position), true)
  }

  // Positions only grow; beyond 2^31 the conversion to 32 bits still keeps the low bits that the mask wants.
  #offset(position: number): number {
    return position & (this.#size - 1)
  }
}

/** Bytes that a record takes: header included, a multiple of 8. */
function roundUp(size: number): number {
  return Math.ceil((size + HEADER) / 8) * 8
}
