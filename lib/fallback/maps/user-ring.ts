/** BPF_MAP_TYPE_USER_RINGBUF: kernel/bpf/ringbuf.c, and its producer, which is libbpf's. Linux 6.1. */
import { E2BIG, EAGAIN, ENODATA, ENOSPC } from '../errors.js'
import { Access, type Memory } from '../memory.js'
import { RING_BUSY, RING_DISCARD, RING_HEADER, RING_LENGTH } from './ring-control.js'
import type { MapAttributes, MapStorage } from './types.js'
import { WithoutElements } from './without-elements.js'

/** struct bpf_dynptr_kern. */
const DYNPTR_BYTES = 16

/**
 * The data area is twice as long as the ring, so that a record may run over its end: nobody reads those bytes through another record's position.
 */
export class UserRingMap extends WithoutElements implements MapStorage {
  readonly bufferSize = 0
  readonly forEach = undefined
  readonly mapped = undefined
  readonly direct = undefined
  /** Address of the dynptr that callbacks get. */
  readonly dynptr: number
  /** A program drains it. */
  busy = false
  readonly #memory: Memory
  readonly #size: number
  readonly #data: number
  readonly #watchers = new Set<() => void>()
  /** Positions, which only grow. */
  #consumer = 0
  #producer = 0

  constructor(
    memory: Memory,
    readonly attributes: MapAttributes,
  ) {
    super()
    this.#memory = memory
    this.#size = attributes.maxEntries
    const label = `user ring buffer '${attributes.name}'`
    this.#data = memory.alloc(2 * this.#size, Access.none, 16, label)
    this.dynptr = memory.alloc(DYNPTR_BYTES, Access.read, 16, `dynptr of ${label}`)
  }

  /** Address of a new record, which holds up those behind it until it is committed; or a negative errno. */
  reserve(size: number): number {
    const length = roundUp(size)
    if (size > RING_LENGTH || length > this.#size) return E2BIG
    if (length > this.#size - (this.#producer - this.#consumer)) return ENOSPC
    const header = this.#at(this.#producer)
    this.#memory.view.setUint32(header, (size | RING_BUSY) >>> 0, true)
    this.#memory.view.setUint32(header + 4, 0, true)
    this.#producer += length
    return header + RING_HEADER
  }

  /** @param record what {@link reserve} gave */
  commit(record: number, discard: boolean): void {
    const { view } = this.#memory
    const header = record - RING_HEADER
    const size = view.getUint32(header, true) & RING_LENGTH
    view.setUint32(header, (size | (discard ? RING_DISCARD : 0)) >>> 0, true)
  }

  /**
   * The record that comes next, for a program that may write it too: {@link release} takes that back.
   *
   * @returns its address, or a negative errno: -ENODATA where there is none, -EAGAIN for a discarded one, which is gone then
   */
  peek(): number {
    if (this.#consumer >= this.#producer) return ENODATA
    const header = this.#at(this.#consumer)
    const state = this.#memory.view.getUint32(header, true)
    if ((state & RING_DISCARD) !== 0) {
      this.#consumer += roundUp(state & RING_LENGTH)
      return EAGAIN
    }
    if ((state & RING_BUSY) !== 0) return ENODATA
    const record = header + RING_HEADER
    this.#memory.protect(record, state & RING_LENGTH, Access.readWrite)
    return record
  }

  /** Bytes of a record. */
  lengthAt(record: number): number {
    return this.#memory.view.getUint32(record - RING_HEADER, true) & RING_LENGTH
  }

  /** The record that {@link peek} gave has been looked at. */
  release(record: number): void {
    const size = this.lengthAt(record)
    this.#memory.protect(record, size, Access.none)
    this.#consumer += roundUp(size)
  }

  /** `wake` is called when a program has drained, and says so. @returns a function that ends that */
  watch(wake: () => void): () => void {
    this.#watchers.add(wake)
    return () => this.#watchers.delete(wake)
  }

  drained(): void {
    for (const wake of this.#watchers) wake()
  }

  destroy(): void {
    this.#memory.free(this.#data)
    this.#memory.free(this.dynptr)
  }

  #at(position: number): number {
    return this.#data + (position % this.#size)
  }
}

/** Bytes of a record with its header. */
function roundUp(size: number): number {
  return Math.ceil((size + RING_HEADER) / 8) * 8
}
