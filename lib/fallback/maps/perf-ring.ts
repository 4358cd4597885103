/**
 * One CPU's buffer of records: what user space opens as a perf event, maps, and puts into a perf event array. kernel/events/ring_buffer.c and
 * core.c of Linux 6.18.
 *
 * The bytes are user space's: they lie outside of the kernel's memory. Records are multiples of 8 bytes, so no header runs over the end.
 */
import type { PerfOptions } from '../../kernel.js'
import { PAGE_SIZE } from './types.js'

/** struct perf_event_header: u32 type, u16 misc, u16 size. */
const HEADER = 8
const PERF_RECORD_LOST = 2
const PERF_RECORD_SAMPLE = 9
/** With the event's id and the number of records, u64 each. */
const LOST_SIZE = HEADER + 16
const TIME_SIZE = 8
/** In front of a record's bytes: how many. */
const RAW_SIZE = 4
/** The header's size has 16 bits. */
const MAX_RECORD = 0xfff8

export class PerfRing {
  readonly size: number
  /** Whether records have times. */
  readonly timestamps: boolean
  readonly #overwritable: boolean
  readonly #wakeupEvents: number
  readonly #watermark: number
  readonly #bytes: Uint8Array
  readonly #view: DataView
  /** From a record's start to the length of its bytes. */
  readonly #rawAt: number
  #wake: (() => void) | undefined
  /** Bytes that were ever written, and those that are gone. */
  #head = 0
  #tail = 0
  /** Records that found no room, and that no record tells of yet. */
  #untold = 0
  #lost = 0
  /** Records since the last wake-up, and how far bytes have brought one. */
  #events = 0
  #woken = 0
  /** Where the record goes on that is being written. */
  #at = 0

  constructor({ pages, wakeupEvents, wakeupBytes, timestamps, overwritable }: PerfOptions) {
    this.size = pages * PAGE_SIZE
    this.timestamps = timestamps
    this.#overwritable = overwritable
    this.#wakeupEvents = wakeupEvents
    this.#watermark = wakeupEvents > 0 ? this.size / 2 : Math.min(this.size, wakeupBytes)
    this.#bytes = new Uint8Array(this.size)
    this.#view = new DataView(this.#bytes.buffer)
    this.#rawAt = HEADER + (timestamps ? TIME_SIZE : 0)
  }

  /** Whether there is something to read by oneself: of an overwritable buffer nobody is told. */
  get readable(): boolean {
    return !this.#overwritable && this.#head !== this.#tail
  }

  get available(): number {
    return this.#head - this.#tail
  }

  /** Records that were lost, as far as the reader was told. */
  get lost(): number {
    return this.#lost
  }

  subscribe(wake: () => void): () => void {
    this.#wake = wake
    return () => (this.#wake = undefined)
  }

  /** Starts a record of so many bytes: {@link put} takes them, {@link end} shows it. @param time only looked at where records have one. @returns whether there is room */
  begin(size: number, time: bigint | undefined): boolean {
    const raw = rawSize(size)
    const record = this.#rawAt + RAW_SIZE + raw
    if (record > MAX_RECORD || !this.#makeRoom(record)) return false
    const at = this.#head % this.size
    this.#header(at, PERF_RECORD_SAMPLE, record)
    if (time !== undefined) this.#view.setBigUint64((at + HEADER) % this.size, time, true)
    this.#view.setUint32((at + this.#rawAt) % this.size, raw, true)
    this.#at = this.#head + this.#rawAt + RAW_SIZE
    this.#head += record
    return true
  }

  put(bytes: Uint8Array, from: number, size: number): void {
    const at = this.#at % this.size
    const first = Math.min(size, this.size - at)
    this.#bytes.set(bytes.subarray(from, from + first), at)
    if (first < size) this.#bytes.set(bytes.subarray(from + first, from + size))
    this.#at += size
  }

  end(): void {
    // What Linux pads with is left from older records.
    while (this.#at < this.#head) this.#bytes[this.#at++ % this.size] = 0
    if (this.#overwritable) return
    let wakes = false
    if (this.#wakeupEvents > 0 && ++this.#events >= this.#wakeupEvents) {
      this.#events -= this.#wakeupEvents
      wakes = true
    }
    if (this.#head - this.#woken > this.#watermark) {
      this.#woken += this.#watermark
      wakes = true
    }
    if (wakes) this.#wake?.()
  }

  /** Bytes of the record that comes next, or -1. */
  nextLength(): number {
    for (; this.#tail !== this.#head; this.#tail += LOST_SIZE) {
      const at = this.#tail % this.size
      if (this.#view.getUint32(at, true) !== PERF_RECORD_LOST)
        return this.#view.getUint32((at + this.#rawAt) % this.size, true)
      // So many are never lost that they need more than 32 bits.
      this.#lost += this.#view.getUint32((at + HEADER + 8) % this.size, true)
    }
    return -1
  }

  /** When the record that comes next was written. */
  get nextTime(): bigint {
    return this.#view.getBigUint64((this.#tail + HEADER) % this.size, true)
  }

  take(length: number, into: Uint8Array, at: number): void {
    const from = (this.#tail + this.#rawAt + RAW_SIZE) % this.size
    const first = Math.min(length, this.size - from)
    into.set(this.#bytes.subarray(from, from + first), at)
    if (first < length) into.set(this.#bytes.subarray(0, length - first), at + first)
    this.#tail += this.#sizeAt(this.#tail)
  }

  /** Has old records go, or counts one that finds no room; and tells of those, where there is. */
  #makeRoom(record: number): boolean {
    if (this.#overwritable) {
      if (record > this.size) return false
      while (this.size - this.available < record) this.#tail += this.#sizeAt(this.#tail)
      return true
    }
    const wanted = record + (this.#untold > 0 ? LOST_SIZE : 0)
    if (this.size - 1 - this.available < wanted) {
      this.#untold++
      return false
    }
    if (this.#untold > 0) {
      const at = this.#head % this.size
      this.#header(at, PERF_RECORD_LOST, LOST_SIZE)
      const count = (at + HEADER + 8) % this.size
      this.#view.setUint32(count, this.#untold, true)
      this.#view.setUint32(count + 4, 0, true)
      this.#head += LOST_SIZE
      this.#untold = 0
    }
    return true
  }

  #header(at: number, type: number, size: number): void {
    this.#view.setUint32(at, type, true)
    this.#view.setUint16(at + 4, 0, true)
    this.#view.setUint16(at + 6, size, true)
  }

  #sizeAt(position: number): number {
    return this.#view.getUint16((position % this.size) + 6, true)
  }
}

/** Bytes with what fills them up: with their length in front they are a multiple of 8. */
function rawSize(size: number): number {
  return Math.ceil((size + RAW_SIZE) / 8) * 8 - RAW_SIZE
}
