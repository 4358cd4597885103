/** Ring buffers as events, iterables and batches. */
import { EventEmitter } from 'node:events'
import { createCodec, type CodecOptions } from './codec/index.js'
import { findType } from './btf/query.js'
import { BpfError } from './errors.js'
import type { KernelMap, KernelReader, RecordBatch } from './kernel.js'
import { BPF_MAP_TYPE, mapTypeName } from './linux/map-types.js'
import { notFound } from './named.js'
import type { ObjectFile } from './object-file/types.js'

/** Decodes the record of `length` bytes at `bytes[offset]`. The bytes are used again: copy what is to be kept. */
export type RecordDecoder<T> = (bytes: Uint8Array, offset: number, length: number) => T

export interface RingBufferOptions<T> {
  /** Struct in the object's BTF that every record is: `'event'`. Without it (or `decode`) events are `Uint8Array` copies. */
  readonly type?: string
  /** Decodes records by hand, for instance where several structs share a ring. */
  readonly decode?: RecordDecoder<T>
  /** How `type` gives 64-bit integers: `bigint` (default), or `number`, faster and exact up to 2^53. */
  readonly int64?: CodecOptions['int64']
  /** Reads the program's own count of events that found no room. Each rise becomes a `'drop'` event. */
  readonly dropped?: () => number | bigint
  /** Closes the ring buffer when aborted. */
  readonly signal?: AbortSignal
  /** Most bytes of records in a batch (one turn of the event loop). Default 256 KiB. */
  readonly batchBytes?: number
  /** Most records in a batch. Default 16,384. */
  readonly batchRecords?: number
  /** Under flood: wake-ups closer than this count as a row. Milliseconds, default 1. */
  readonly floodIntervalMs?: number
  /** Under flood: after so many wake-ups in a row, poll by timer until the ring is empty. Default 8; 0: never. */
  readonly floodWakeups?: number
  /** Period of that timer. Milliseconds, default 1. */
  readonly floodPeriodMs?: number
}

export interface RingBufferEvents<T> {
  /** One record. */
  event: [event: T]
  /** All records of one wake-up; the memory is used again after the listeners return. */
  batch: [batch: RecordBatch]
  /** Events that the program could not send since the last report. */
  drop: [count: number]
  /** A record that isn't what `type` says. */
  error: [error: BpfError]
  close: []
}

/** How long an iteration may go on without giving way to timers and I/O. Milliseconds. */
const TURN_MS = 5

/**
 * A reader of a ring buffer: an `EventEmitter`, and an async iterable of events.
 *
 * It takes nothing until somebody listens to `'event'` or `'batch'`, or iterates. Records stay in the kernel's ring meanwhile; when that
 * is full, the program's reservations fail: count them there, and give `dropped` to have them reported. Memory is bounded: an
 * iteration holds one batch at a time.
 *
 * Lifetime: open until `close()`, the end of a `using` block, an abort, or the end of a `for await` over it. While open it keeps the
 * event loop alive, unless `unref()`ed. Reading needs no capability once the map is open.
 */
export class RingBuffer<T = unknown>
  extends EventEmitter<RingBufferEvents<T>>
  implements AsyncIterable<T>, Disposable
{
  readonly #name: string
  readonly #reader: KernelReader
  readonly #decode: RecordDecoder<T>
  #dropped: (() => number | bigint) | undefined
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = (): void => this.close()
  #drops = 0
  #closed = false
  #iterating = false
  /** While iterating: the batch that the reader gave last and nobody has taken yet. */
  #waiting: RecordBatch | undefined
  /** While iterating: ends the iteration's wait. */
  #wake: (() => void) | undefined

  /** @internal */
  constructor(map: KernelMap, file: ObjectFile, options: RingBufferOptions<T>) {
    super()
    this.#name = map.info.name
    if (map.info.type !== BPF_MAP_TYPE.RINGBUF) {
      throw new BpfError(
        'BAD_VALUE',
        `map '${this.#name}' is no ring buffer, its type is ${mapTypeName(map.info.type)}`,
      )
    }
    this.#decode = options.decode ?? decoderFor(map, file, options)
    this.#dropped = options.dropped
    this.#reader = map.openRing((batch) => this.#receive(batch), {
      batchBytes: integer('batchBytes', options.batchBytes ?? 256 * 1024, 1),
      batchRecords: integer('batchRecords', options.batchRecords ?? 16 * 1024, 1),
      floodIntervalMs: integer('floodIntervalMs', options.floodIntervalMs ?? 1, 1),
      floodWakeups: integer('floodWakeups', options.floodWakeups ?? 8, 0),
      floodPeriodMs: integer('floodPeriodMs', options.floodPeriodMs ?? 1, 1),
    })
    const emitter: EventEmitter = this
    emitter.on('newListener', (name) => {
      if ((name !== 'event' && name !== 'batch') || this.#closed) return
      this.#assertNotIterated()
      this.#reader.resume()
    })
    this.#signal = options.signal
    if (this.#signal?.aborted) this.close()
    else this.#signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Events lost since the start, as far as they were reported. */
  get drops(): number {
    return this.#drops
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Events one by one. The loop's end closes the ring buffer. A slow loop leaves records in the kernel's ring. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const { bytes, index, count } of this.batches()) {
      for (let i = 0; i < count && !this.#closed; i++) {
        yield this.#decode(bytes, index[2 * i]!, index[2 * i + 1]!) // i < count
      }
    }
  }

  /**
   * The fast path: all records that are there, without a copy or an object for each. A batch's memory is used again when the next one
   * is asked for. The loop's end closes the ring buffer.
   */
  async *batches(): AsyncGenerator<RecordBatch, void, undefined> {
    this.#startIterating()
    try {
      let turnEnds = performance.now() + TURN_MS
      for (;;) {
        const batch = this.#takeBatch()
        if (batch !== undefined) {
          yield batch
          if (this.#closed) return
          if (performance.now() < turnEnds) continue
          await nextTurn()
        } else {
          if (this.#closed) return
          await this.#waitForBatch()
        }
        turnEnds = performance.now() + TURN_MS
      }
    } finally {
      this.close()
    }
  }

  /** Takes what is in the ring now, one batch at most, and tells the listeners, before it returns. @returns records taken */
  consume(): number {
    this.#assertOpen()
    this.#assertNotIterated()
    return this.#reader.consume()
  }

  /** Leaves records in the ring until `resume()`. */
  pause(): this {
    this.#assertOpen()
    this.#assertNotIterated()
    this.#reader.pause()
    return this
  }

  resume(): this {
    this.#assertOpen()
    this.#assertNotIterated()
    this.#reader.resume()
    return this
  }

  /** Keeps the event loop alive while open (the default). */
  ref(): this {
    if (!this.#closed) this.#reader.ref()
    return this
  }

  /** Lets the process end although this is open. */
  unref(): this {
    if (!this.#closed) this.#reader.unref()
    return this
  }

  /** Reports what was lost so far, and stops reading. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#reader.close()
    this.#wake?.()
    this.#reportDrops()
    this.emit('close')
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #receive(batch: RecordBatch): void {
    if (this.#iterating) {
      this.#waiting = batch
      this.#reader.pause()
      this.#wake?.()
    } else {
      if (this.listenerCount('batch') > 0) guarded(() => this.emit('batch', batch))
      if (this.listenerCount('event') > 0) this.#emitEvents(batch)
    }
    // Closing has reported already.
    if (!this.#closed) this.#reportDrops()
  }

  #emitEvents({ bytes, index, count }: RecordBatch): void {
    for (let i = 0; i < count; i++) {
      const event = this.#decodeOrReport(bytes, index[2 * i]!, index[2 * i + 1]!) // i < count
      if (event === undefined) continue
      try {
        this.emit('event', event)
      } catch (error) {
        throwLater(error)
      }
      if (this.#closed) return
    }
  }

  #decodeOrReport(bytes: Uint8Array, offset: number, length: number): T | undefined {
    try {
      return this.#decode(bytes, offset, length)
    } catch (error) {
      if (error instanceof BpfError) guarded(() => this.emit('error', error))
      else throwLater(error)
      return undefined
    }
  }

  #reportDrops(): void {
    const total = this.#readDropped()
    if (total === undefined) return
    const count = total - this.#drops
    if (count <= 0) return
    this.#drops = total
    guarded(() => this.emit('drop', count))
  }

  #readDropped(): number | undefined {
    try {
      return this.#dropped === undefined ? undefined : Number(this.#dropped())
    } catch (error) {
      // The counter goes with its object, which may be closed before the ring buffer; what it said last stays.
      this.#dropped = undefined
      if (!(error instanceof BpfError && error.code === 'CLOSED')) throwLater(error)
      return undefined
    }
  }

  #startIterating(): void {
    this.#assertOpen()
    this.#assertNotIterated()
    if (this.listenerCount('event') + this.listenerCount('batch') > 0) {
      throw new BpfError(
        'BAD_PHASE',
        `ring buffer '${this.#name}' has listeners: listen or iterate, not both`,
      )
    }
    this.#iterating = true
    this.#reader.pause()
  }

  #takeBatch(): RecordBatch | undefined {
    if (this.#closed) return undefined
    if (this.#waiting === undefined) this.#reader.consume()
    const batch = this.#waiting
    this.#waiting = undefined
    return batch
  }

  #waitForBatch(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
      this.#reader.resume()
    })
  }

  /** While it is iterated the loop sets the pace: whatever else took records would overwrite the loop's batch. */
  #assertNotIterated(): void {
    if (this.#iterating) throw new BpfError('BAD_PHASE', `ring buffer '${this.#name}' is iterated already`)
  }

  #assertOpen(): void {
    if (this.#closed) throw new BpfError('CLOSED', `ring buffer '${this.#name}' is closed`)
  }
}

function decoderFor<T>(map: KernelMap, file: ObjectFile, options: RingBufferOptions<T>): RecordDecoder<T> {
  const { type: name, int64 } = options
  if (name === undefined) return (bytes, offset, length) => bytes.slice(offset, offset + length) as T
  const { btf } = file
  if (btf === undefined) {
    throw new BpfError(
      'NO_BTF',
      `ring buffer '${map.info.name}': the object has no type information for '${name}'`,
      {
        hint: 'Compile the object with clang -g, or give `decode`',
      },
    )
  }
  const found =
    findType(btf, name, 'struct') ?? findType(btf, name, 'union') ?? findType(btf, name, 'typedef')
  if (found === undefined) {
    const names = btf.types.flatMap((type) =>
      type.kind === 'struct' || type.kind === 'union' ? type.name || [] : [],
    )
    throw notFound('type', name, `the object of ring buffer '${map.info.name}'`, names)
  }
  const codec = createCodec(btf, found.id, int64 === undefined ? {} : { int64 })
  return (bytes, offset, length) => {
    if (length < codec.size) {
      throw new BpfError(
        'BAD_VALUE',
        `ring buffer '${map.info.name}': a record of ${length} bytes is no ${codec.typeName} (${codec.size} bytes)`,
      )
    }
    return codec.decode(bytes, offset) as T
  }
}

/** A listener's exception becomes an uncaught exception of its own, and keeps no other event from its listeners. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

function guarded(emit: () => void): void {
  try {
    emit()
  } catch (error) {
    throwLater(error)
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function integer(option: string, value: number, least: number): number {
  if (!Number.isInteger(value) || value < least || value > 0x7fffffff) {
    throw new BpfError(
      'BAD_VALUE',
      `option ${option} must be an integer from ${least} to 2147483647, not ${value}`,
    )
  }
  return value
}
