/** What all readers of events have in common: events, iterables, batches, streams, lifetime. */
import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import type { DropCounter } from './drop-counter.js'
import { BpfError } from './errors.js'
import type { KernelReader, ReaderOptions, RecordBatch, RecordSink } from './kernel.js'
import { RecordStream } from './record-stream.js'

export interface EventReaderOptions {
  /** Closes the reader when aborted. */
  readonly signal?: AbortSignal
  /** Most bytes of records in a batch (one turn of the event loop). Default 256 KiB. */
  readonly batchBytes?: number
  /** Most records in a batch. Default 16,384. */
  readonly batchRecords?: number
  /** Under flood: wake-ups closer than this count as a row. Milliseconds, default 1. */
  readonly floodIntervalMs?: number
  /** Under flood: after so many wake-ups in a row, poll by timer until nothing is left. Default 8; 0: never. */
  readonly floodWakeups?: number
  /** Period of that timer. Milliseconds, default 1. */
  readonly floodPeriodMs?: number
}

export interface ReaderEvents<T> {
  /** One record. Then, of a perf buffer, the CPU where it was sent; of several rings, the index of its map. */
  event: [event: T, origin: number]
  /** All records of one wake-up; the memory is used again after the listeners return. */
  batch: [batch: RecordBatch]
  /** Events that were lost since the last report; by CPU, where the kernel counts them so. */
  drop: [count: number, byCpu: readonly number[] | undefined]
  /** A record that isn't what `type` says. */
  error: [error: BpfError]
  close: []
}

export interface StreamOptions {
  /** `Buffer`s with copies of the records' bytes, instead of events. */
  readonly raw?: boolean
  /** Events that the stream holds ready. Default 256. */
  readonly highWaterMark?: number
}

/** What a subclass gives to its reader. */
export interface ReaderParts<T> {
  /** For messages: `ring buffer 'events'`. */
  readonly subject: string
  readonly options: EventReaderOptions
  readonly decode: (bytes: Uint8Array, offset: number, length: number, origin: number) => T | undefined
  readonly dropped?: DropCounter | undefined
  /** Smallest number of bytes that a record takes in the kernel beside its own. */
  readonly headerBytes: number
  readonly open: (sink: RecordSink, options: ReaderOptions) => KernelReader
}

/** How long an iteration may go on without giving way to timers and I/O. Milliseconds. */
const TURN_MS = 5

/**
 * A reader of events: an `EventEmitter`, and an async iterable.
 *
 * It takes nothing until somebody listens to `'event'` or `'batch'`, or iterates. Memory is bounded: an iteration holds one batch at
 * a time, and a consumer that is slower leaves records in the kernel, which counts what it has no room for.
 *
 * Lifetime: open until `close()`, the end of a `using` block, an abort, or the end of a `for await` over it. While open it keeps the
 * event loop alive, unless `unref()`ed. Reading needs no capability once it is open.
 */
export abstract class EventReader<T>
  extends EventEmitter<ReaderEvents<T>>
  implements AsyncIterable<T>, Disposable
{
  readonly #subject: string
  readonly #reader: KernelReader
  readonly #decode: ReaderParts<T>['decode']
  readonly #dropped: DropCounter | undefined
  readonly #headerBytes: number
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = (): void => this.close()
  #drops = 0
  /** What `dropped` told last. */
  #counted = 0
  /** What the kernel told last, by CPU. */
  #lost: number[] | undefined
  #closed = false
  #iterating = false
  /** While iterating: the batch that the reader gave last and nobody has taken yet. */
  #waiting: RecordBatch | undefined
  /** While iterating: ends the iteration's wait. */
  #wake: (() => void) | undefined
  /** During flush(): the least that the batches took in the kernel. */
  #flushed = 0

  /** @internal */
  constructor({ subject, options, decode, dropped, headerBytes, open }: ReaderParts<T>) {
    super()
    this.#subject = subject
    this.#decode = decode
    this.#dropped = dropped
    this.#headerBytes = headerBytes
    this.#reader = open((batch) => this.#receive(batch), {
      batchBytes: integer('batchBytes', options.batchBytes ?? 256 * 1024, 1),
      batchRecords: integer('batchRecords', options.batchRecords ?? 16 * 1024, 1),
      floodIntervalMs: integer('floodIntervalMs', options.floodIntervalMs ?? 1, 1),
      floodWakeups: integer('floodWakeups', options.floodWakeups ?? 8, 0),
      floodPeriodMs: integer('floodPeriodMs', options.floodPeriodMs ?? 1, 1),
    })
    const emitter: EventEmitter = this
    emitter.on('newListener', (name) => {
      if ((name === 'event' || name === 'batch') && !this.#closed && !this.#iterating) this.#reader.resume()
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

  /**
   * Bytes that wait in the kernel, with its headers of 8 bytes and more a record; undefined where nobody can tell (trace pipes). Not
   * atomic: programs go on sending.
   */
  get available(): number | undefined {
    this.#assertOpen()
    return this.#reader.available()
  }

  /** Events one by one. The loop's end closes the reader. A slow loop leaves records in the kernel. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const { bytes, index, origins, count } of this.batches()) {
      for (let i = 0; i < count; i++) {
        const event = this.#decode(bytes, index[2 * i]!, index[2 * i + 1]!, origins?.[i] ?? 0) // i < count
        if (event !== undefined) yield event
      }
    }
  }

  /**
   * The fast path: all records that are there, without a copy or an object for each. A batch's memory is used again when the next one
   * is asked for. The loop's end closes the reader.
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

  /**
   * A Node stream of events, in object mode. Back-pressure reaches the kernel: what the stream has no room for stays in the ring.
   * Destroying the stream closes the reader, and the other way round.
   */
  readable(options: StreamOptions = {}): Readable {
    const { raw = false, highWaterMark = 256 } = options
    this.#assertMayIterate()
    const toChunk = raw
      ? ({ bytes, index }: RecordBatch, i: number) =>
          Buffer.from(bytes.subarray(index[2 * i], index[2 * i]! + index[2 * i + 1]!)) // i < count
      : ({ bytes, index, origins }: RecordBatch, i: number) =>
          this.#decodeOrReport(bytes, index[2 * i]!, index[2 * i + 1]!, origins?.[i] ?? 0) // i < count
    return new RecordStream(
      this.batches(),
      toChunk,
      () => this.close(),
      integer('highWaterMark', highWaterMark, 1),
    )
  }

  /** Takes what is there now, one batch at most, and tells the listeners, before it returns. @returns records taken */
  consume(): number {
    this.#assertTakes('consume')
    return this.#reader.consume()
  }

  /**
   * Takes all that is there now, batch by batch, and tells the listeners, before it returns. What programs send meanwhile isn't waited for,
   * so it ends under flood too. @returns records taken
   */
  flush(): number {
    this.#assertTakes('flush')
    const available = this.#reader.available() ?? Infinity
    let records = 0
    this.#flushed = 0
    while (!this.#closed && this.#flushed < available) {
      const taken = this.#reader.consume()
      if (taken === 0) break
      records += taken
    }
    return records
  }

  /** Leaves records in the kernel until `resume()`. */
  pause(): this {
    this.#assertOpen()
    this.#reader.pause()
    return this
  }

  resume(): this {
    this.#assertOpen()
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
    try {
      this.#reportCounted()
    } catch (error) {
      // The counter's object may have been closed before the reader: then the last count can't be had.
      if (!(error instanceof BpfError && error.code === 'CLOSED')) throw error
    }
    this.emit('close')
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Counts lost events, and tells the listeners. */
  protected reportDrops(count: number, byCpu?: readonly number[]): void {
    if (count <= 0) return
    this.#drops += count
    guarded(() => this.emit('drop', count, byCpu))
  }

  #receive(batch: RecordBatch): void {
    const { count, lost } = batch
    // Listeners may transfer the batch's memory away: the counts are read before.
    if (lost !== undefined) this.#reportLost(lost)
    if (count > 0) {
      // Index and length of the last record tell how many bytes all of them take.
      const used = batch.index[2 * count - 2]! + batch.index[2 * count - 1]! // count > 0
      this.#flushed += used + count * this.#headerBytes
      if (this.#iterating) {
        this.#waiting = batch
        this.#reader.pause()
        this.#wake?.()
      } else {
        if (this.listenerCount('batch') > 0) guarded(() => this.emit('batch', batch))
        if (this.listenerCount('event') > 0) this.#emitEvents(batch)
      }
    }
    this.#reportCounted()
  }

  #emitEvents({ bytes, index, origins, count }: RecordBatch): void {
    const emitter: EventEmitter = this
    for (let i = 0; i < count; i++) {
      const origin = origins === undefined ? 0 : origins[i]! // i < count
      const event = this.#decodeOrReport(bytes, index[2 * i]!, index[2 * i + 1]!, origin) // i < count
      if (event === undefined) continue
      try {
        if (origins === undefined) emitter.emit('event', event)
        else emitter.emit('event', event, origin)
      } catch (error) {
        throwLater(error)
      }
      if (this.#closed) return
    }
  }

  #decodeOrReport(bytes: Uint8Array, offset: number, length: number, origin: number): T | undefined {
    try {
      return this.#decode(bytes, offset, length, origin)
    } catch (error) {
      if (error instanceof BpfError) guarded(() => this.emit('error', error))
      else throwLater(error)
      return undefined
    }
  }

  /** The program's own count. */
  #reportCounted(): void {
    if (this.#dropped === undefined) return
    const total = Number(this.#dropped())
    const count = total - this.#counted
    if (count <= 0) return
    this.#counted = total
    this.reportDrops(count)
  }

  /** The kernel's count. */
  #reportLost(lost: Float64Array): void {
    const known = (this.#lost ??= Array.from(lost, () => 0))
    let sum = 0
    let byCpu: number[] | undefined
    for (let cpu = 0; cpu < lost.length; cpu++) {
      const now = lost[cpu]! // cpu < lost.length
      const before = known[cpu]! // as long as `lost`
      if (now === before) continue
      // The counts start again where somebody transferred their memory away.
      const rise = now > before ? now - before : now
      byCpu ??= Array.from(lost, () => 0)
      byCpu[cpu] = rise
      known[cpu] = now
      sum += rise
    }
    if (sum > 0) this.reportDrops(sum, byCpu)
  }

  #startIterating(): void {
    this.#assertMayIterate()
    this.#iterating = true
    this.#reader.pause()
  }

  #assertMayIterate(): void {
    this.#assertOpen()
    if (this.#iterating) throw new BpfError('BAD_PHASE', `${this.#subject} is iterated already`)
    if (this.listenerCount('event') + this.listenerCount('batch') > 0) {
      throw new BpfError('BAD_PHASE', `${this.#subject} has listeners: listen or iterate, not both`)
    }
  }

  /** An iteration's batch must not be overwritten behind its back. */
  #assertTakes(method: string): void {
    this.#assertOpen()
    if (this.#iterating) {
      throw new BpfError('BAD_PHASE', `${this.#subject} is iterated: ${method}() is for listeners`)
    }
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

  #assertOpen(): void {
    if (this.#closed) throw new BpfError('CLOSED', `${this.#subject} is closed`)
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

/** @throws BpfError `BAD_VALUE` */
export function integer(option: string, value: number, least: number): number {
  if (!Number.isInteger(value) || value < least || value > 0x7fffffff) {
    throw new BpfError(
      'BAD_VALUE',
      `option ${option} must be an integer from ${least} to 2147483647, not ${value}`,
    )
  }
  return value
}
