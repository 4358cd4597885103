/** The producer's side of a user ring buffer, as the seam wants it. It holds the map until it is closed. */
import { BpfError, systemError } from '../../errors.js'
import type { KernelUserRing, KernelWatch } from '../../kernel.js'
import { ENOSPC } from '../errors.js'
import type { Memory } from '../memory.js'
import type { LoadedMap } from './loaded-map.js'
import { RingReader, type RecordSource } from './ring-reader.js'
import type { UserRingMap } from './user-ring.js'

const RESERVE = 'user_ring_buffer__reserve'
/** Each drain is a record of no bytes. */
const WATCH = {
  batchBytes: 8,
  batchRecords: 1,
  floodIntervalMs: 0,
  floodWakeups: 0,
  floodPeriodMs: 0,
} as const

export class UserRingProducer implements KernelUserRing {
  readonly #memory: Memory
  readonly #map: LoadedMap
  readonly #ring: UserRingMap
  readonly #subject: string
  /** Addresses of records by the numbers of their reservations. */
  readonly #reserved = new Map<number, number>()
  #number = 0
  #closed = false

  constructor(memory: Memory, map: LoadedMap, ring: UserRingMap) {
    this.#memory = memory
    this.#map = map.retain()
    this.#ring = ring
    this.#subject = `user ring buffer '${map.name}'`
  }

  reserve(size: number): number {
    const record = this.#reserve(size)
    if (record === 0) return 0
    this.#reserved.set(++this.#number, record)
    return this.#number
  }

  submit(reservation: number, bytes: Uint8Array): void {
    const record = this.#take(reservation)
    const size = this.#ring.lengthAt(record)
    const fits = bytes.length === size
    if (fits) this.#memory.u8.set(bytes, record)
    this.#ring.commit(record, !fits)
    if (!fits)
      throw new BpfError('BAD_VALUE', `${this.#subject}: the record has ${size} bytes, not ${bytes.length}`)
  }

  discard(reservation: number): void {
    this.#ring.commit(this.#take(reservation), true)
  }

  output(bytes: Uint8Array): boolean {
    const record = this.#reserve(bytes.length)
    if (record === 0) return false
    this.#memory.u8.set(bytes, record)
    this.#ring.commit(record, false)
    return true
  }

  watchDrains(listener: () => void): KernelWatch {
    this.#assertOpen()
    return new RingReader([new DrainSource(this.#subject, this.#ring)], () => listener(), WATCH)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    // A record that stays reserved would hold up every later one.
    for (const record of this.#reserved.values()) this.#ring.commit(record, true)
    this.#reserved.clear()
    this.#map.release()
  }

  /** @returns 0: there is no room */
  #reserve(size: number): number {
    this.#assertOpen()
    const record = this.#ring.reserve(size)
    if (record >= 0) return record
    if (record === ENOSPC) return 0
    throw systemError(RESERVE, -record, this.#subject)
  }

  #take(reservation: number): number {
    this.#assertOpen()
    const record = this.#reserved.get(reservation)
    if (record === undefined)
      throw new BpfError('BAD_VALUE', `${this.#subject}: there is no reservation ${reservation}`)
    this.#reserved.delete(reservation)
    return record
  }

  #assertOpen(): void {
    if (this.#closed) throw new BpfError('CLOSED', `${this.#subject} is closed`)
  }
}

/** Drains as records: at most one waits. */
class DrainSource implements RecordSource {
  readonly capacity = 1
  readonly size = 8
  readonly available = undefined
  readable = false

  constructor(
    readonly subject: string,
    readonly ring: UserRingMap,
  ) {}

  nextLength(): number {
    return this.readable ? 0 : -1
  }

  take(): void {
    this.readable = false
  }

  subscribe(wake: () => void): () => void {
    return this.ring.watch(() => {
      this.readable = true
      wake()
    })
  }

  release(): void {
    this.readable = false
  }
}
