/** What all readers of events have in common: events, iterables, batches, streams, lifetime. */
import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import type { DropCounter } from './drop-counter.js'
import { BpfError } from './errors.js'
import type { KernelReader, ReaderOptions, RecordBatch, RecordSink } from './kernel.js'
import { LossCounter } from './loss-counter.js'
import { ReaderIteration } from './reader-iteration.js'
import { abortSignal, integer, readerOptions, type EventReaderOptions } from './reader-options.js'
import { RecordStream } from './record-stream.js'
import { guarded, throwLater } from './throw-later.js'

export interface ReaderEvents<T> {
  /** One record; of a perf buffer also the CPU where it was sent, of several rings on one reader the place of its ring. */
  event: [event: T, origin?: number]
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
  /** What is to be given back when the reader is closed. */
  readonly release?: () => void
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
  readonly #losses: LossCounter
  readonly #headerBytes: number
  readonly #signal: AbortSignal | undefined
  readonly #release: (() => void) | undefined
  readonly #onAbort = (): void => this.close()
  #drops = 0
  #closed = false
  /** By pause(): listeners wait for resume(). */
  #paused = false
  /** What is left of a batch whose listeners went away. */
  #rest: RecordBatch | undefined
  /** Nobody listens to events; asked for at each of them. */
  #unheard = true
  #iterating = false
  /** While iterating: when timers and I/O are to have their turn. */
  #turnEnds = 0
  /** While iterating: the batch that the reader gave last and nobody has taken yet. */
  #waiting: RecordBatch | undefined
  /** While iterating: ends the iteration's wait. */
  #wake: (() => void) | undefined
  /** During flush(): the least that the batches took in the kernel. */
  #flushed = 0

  /** @internal */
  constructor({ subject, options, decode, dropped, headerBytes, open, release }: ReaderParts<T>) {
    super()
    this.#subject = subject
    this.#decode = decode
    this.#losses = new LossCounter(dropped)
    this.#release = release
    this.#headerBytes = headerBytes
    this.#signal = abortSignal(options.signal)
    const limits = readerOptions(options)
    this.#reader = open((batch) => this.#receive(batch), limits)
    this.#watchListeners()
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
  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined, undefined> {
    let batch: RecordBatch | undefined
    let next = 0
    return this.#iterate(() => {
      for (;;) {
        if (batch === undefined || next >= batch.count) {
          batch = this.#takeBatch()
          next = 0
        }
        if (batch === undefined || this.#closed) return undefined
        const { bytes, index, origins } = batch
        const value = this.#decode(bytes, index[2 * next]!, index[2 * next + 1]!, origins?.[next] ?? 0) // next < count
        next++
        if (value !== undefined) return { done: false, value }
      }
    })
  }

  /**
   * The fast path: all records that are there, without a copy or an object for each. A batch's memory is used again when the next one
   * is asked for. The loop's end closes the reader.
   */
  batches(): AsyncIterableIterator<RecordBatch, undefined, undefined> {
    return this.#iterate(() => {
      const value = this.#takeBatch()
      return value === undefined ? undefined : { done: false, value }
    })
  }

  /**
   * A Node stream of events, in object mode. Back-pressure reaches the kernel: what the stream has no room for stays in the ring.
   * Destroying the stream closes the reader, and the other way round.
   */
  readable(options: StreamOptions = {}): Readable {
    const { raw = false, highWaterMark = 256 } = options
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

  /**
   * Takes what is there now, one batch at most, and tells the listeners, before it returns. While nobody listens nothing is taken.
   * @returns records taken
   */
  consume(): number {
    this.#assertTakes('consume()')
    if (!this.#hasListeners()) return 0
    return this.#rest === undefined ? this.#reader.consume() : this.#deliverRest()
  }

  /**
   * Takes all that is there now, batch by batch, and tells the listeners, before it returns. What programs send meanwhile isn't waited for,
   * so it ends under flood too. @returns records taken
   */
  flush(): number {
    this.#assertTakes('flush()')
    const available = this.#reader.available() ?? Infinity
    let records = this.#rest !== undefined && this.#hasListeners() ? this.#deliverRest() : 0
    this.#flushed = 0
    while (!this.#closed && this.#flushed < available && this.#hasListeners()) {
      const taken = this.#reader.consume()
      if (taken === 0) break
      records += taken
    }
    return records
  }

  /** Leaves records in the kernel until `resume()`, whoever listens. */
  pause(): this {
    this.#assertTakes('pause()')
    this.#paused = true
    this.#reader.pause()
    return this
  }

  /** Goes on after `pause()`, if somebody listens. */
  resume(): this {
    this.#assertTakes('resume()')
    this.#paused = false
    if (this.#hasListeners()) this.#flow()
    return this
  }

  /** As of any EventEmitter; records wait for the next listener. */
  override removeAllListeners(event?: string | symbol): this {
    if (event === undefined) super.removeAllListeners()
    else super.removeAllListeners(event)
    if (event === undefined && !this.#closed) {
      this.#watchListeners()
      this.#unheard = true
      if (!this.#iterating) this.#reader.pause()
    }
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
    this.reportDrops(this.#losses.counted())
    this.#release?.()
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
    const byCpu = lost === undefined ? undefined : this.#losses.byCpu(lost)
    if (byCpu !== undefined) this.reportDrops(sum(byCpu), byCpu)
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
        this.#emitEvents(batch)
      }
    }
    // Closing has reported already.
    if (!this.#closed) this.reportDrops(this.#losses.counted())
  }

  /** Starts and stops with the listeners: they come and go, and no record is taken for nobody. */
  #watchListeners(): void {
    const emitter: EventEmitter = this
    const takes = (name: string | symbol): boolean => (name === 'event' || name === 'batch') && !this.#closed
    emitter.on('newListener', (name: string | symbol) => {
      if (!takes(name)) return
      this.#assertTakes(`on('${String(name)}')`)
      if (name === 'event') this.#unheard = false
      if (!this.#paused) this.#flow()
    })
    emitter.on('removeListener', (name: string | symbol) => {
      if (!takes(name)) return
      this.#unheard = this.listenerCount('event') === 0
      if (!this.#iterating && !this.#hasListeners()) this.#reader.pause()
    })
  }

  #hasListeners(): boolean {
    return this.listenerCount('event') + this.listenerCount('batch') > 0
  }

  #flow(): void {
    if (this.#rest === undefined) this.#reader.resume()
    // Like what comes from the kernel: not before the caller is done.
    else setImmediate(() => this.#deliverRest())
  }

  /** What listeners that went away have left, for those that came. @returns records delivered or kept once more */
  #deliverRest(): number {
    const rest = this.#rest
    if (rest === undefined || this.#closed || this.#paused || this.#iterating || !this.#hasListeners())
      return 0
    this.#rest = undefined
    this.#emitEvents(rest)
    if (this.#rest === undefined && !this.#closed && !this.#paused) this.#reader.resume()
    return rest.count
  }

  #emitEvents(batch: RecordBatch): void {
    const { bytes, index, origins, count } = batch
    for (let i = 0; i < count; i++) {
      if (this.#unheard) {
        // The reader is paused by now, so the batch's memory stays.
        if (!this.#hasListeners()) this.#rest = restOf(batch, i)
        return
      }
      const origin = origins === undefined ? 0 : origins[i]! // i < count
      const event = this.#decodeOrReport(bytes, index[2 * i]!, index[2 * i + 1]!, origin) // i < count
      if (event === undefined) continue
      try {
        if (origins === undefined) this.emit('event', event)
        else this.emit('event', event, origin)
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

  #iterate<I>(take: () => IteratorYieldResult<I> | undefined): ReaderIteration<I> {
    this.#assertMayIterate()
    this.#iterating = true
    this.#reader.pause()
    this.#waiting = this.#rest
    this.#rest = undefined
    this.#turnEnds = performance.now() + TURN_MS
    return new ReaderIteration({ take, more: () => this.#moreBatches(), end: () => this.close() })
  }

  #assertMayIterate(): void {
    this.#assertOpen()
    if (this.#iterating) throw new BpfError('BAD_PHASE', `${this.#subject} is iterated already`)
    if (this.#hasListeners()) {
      throw new BpfError('BAD_PHASE', `${this.#subject} has listeners: listen or iterate, not both`)
    }
  }

  /** An iteration's batch must not be overwritten behind its back. */
  #assertTakes(method: string): void {
    this.#assertOpen()
    if (this.#iterating) {
      throw new BpfError('BAD_PHASE', `${this.#subject} is iterated: ${method} is for listeners`)
    }
  }

  /** The next batch of an iteration, if there is one and others had their turn of the event loop. */
  #takeBatch(): RecordBatch | undefined {
    if (this.#closed) return undefined
    if (this.#waiting === undefined && performance.now() < this.#turnEnds) this.#reader.consume()
    const batch = this.#waiting
    this.#waiting = undefined
    return batch
  }

  async #moreBatches(): Promise<boolean> {
    if (this.#closed) return false
    if (performance.now() < this.#turnEnds) await this.#waitForBatch()
    else await nextTurn()
    this.#turnEnds = performance.now() + TURN_MS
    return !this.#closed
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

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function restOf({ bytes, index, origins, times, count }: RecordBatch, from: number): RecordBatch {
  return {
    count: count - from,
    bytes,
    index: index.subarray(2 * from),
    origins: origins?.subarray(from),
    times: times?.subarray(from),
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
