/** The consumer of ring buffers and other sources of records: batches, delivered in turns of the event loop. */
import { BpfError } from '../../errors.js'
import type { KernelReader, ReaderOptions, RecordBatch, RecordSink } from '../../kernel.js'

/** What a reader takes records from. */
export interface RecordSource {
  /** For messages: `ring buffer 'events'`. */
  readonly subject: string
  /** Most records that it can hold. */
  readonly capacity: number
  /** Bytes of a batch that holds all of it. */
  readonly size: number
  /** Whether there may be a record. */
  readonly readable: boolean
  /** Bytes that wait; undefined where that isn't counted. */
  readonly available: number | undefined
  /** Records that were lost so far; undefined where that isn't counted. */
  readonly lost?: number
  /** When the record that comes next was written; undefined where nobody knows. */
  readonly nextTime?: bigint
  /** Length of the record that comes next, or -1: there is none. */
  nextLength(): number
  /** Copies the record that `nextLength()` measured, and gives it back. */
  take(length: number, into: Uint8Array, at: number): void
  /** `wake` is called at each wake-up of the consumer. @returns a function that ends that */
  subscribe(wake: () => void): () => void
  /** The reader is closed. */
  release(): void
}

/** What batches have besides records: of buffers by CPU, whose number each source's place is. */
export interface PerCpuBatches {
  readonly timestamps: boolean
}

/** Node's and browsers' ways to run something in a later turn of the event loop, behind timers and I/O that are due. */
interface Scheduling {
  readonly setImmediate?: (callback: () => void) => unknown
  readonly setInterval: (callback: () => void, ms: number) => unknown
  readonly clearInterval: (timer: unknown) => void
}

const scheduling = globalThis as unknown as Scheduling

function later(callback: () => void): void {
  if (scheduling.setImmediate === undefined) setTimeout(callback, 0)
  else scheduling.setImmediate(callback)
}

/** The longest period that timers know: the timer is there to keep the event loop alive, not to do anything. */
const NEVER_MS = 0x7fffffff

/**
 * Reads one source or several; several readers of one share its records.
 *
 * A wake-up, or `resume()`, asks for one batch in a later turn of the event loop; while more is there, further turns follow, so timers and I/O get
 * theirs. Producers are in this thread: the options for floods have nothing to do here.
 */
export class RingReader implements KernelReader {
  readonly #sources: readonly RecordSource[]
  readonly #sink: RecordSink
  readonly #maxRecords: number
  readonly #batchBytes: number
  #index: Uint32Array
  #origins: Uint32Array | undefined
  #times: BigUint64Array | undefined
  /** By source. */
  #lost: Float64Array | undefined
  readonly #unsubscribe: readonly (() => void)[]
  #bytes: Uint8Array
  /** The source that comes first in the next batch: each gets its turn. */
  #next = 0
  #paused = true
  #scheduled = false
  /** The sink looks at a batch. */
  #delivering = false
  #closed = false
  /** Keeps the event loop alive; undefined where that is left to others. */
  #keepAlive: unknown

  /** Takes over the sources: `close()` releases them. */
  constructor(
    sources: readonly RecordSource[],
    sink: RecordSink,
    options: ReaderOptions,
    perCpu?: PerCpuBatches,
  ) {
    this.#sources = sources
    this.#sink = sink
    const capacity = sources.reduce((sum, source) => sum + source.capacity, 0)
    const size = sources.reduce((sum, source) => sum + source.size, 0)
    this.#maxRecords = Math.min(options.batchRecords, capacity)
    this.#index = new Uint32Array(2 * this.#maxRecords)
    this.#origins = sources.length > 1 || perCpu !== undefined ? new Uint32Array(this.#maxRecords) : undefined
    this.#times = perCpu?.timestamps === true ? new BigUint64Array(this.#maxRecords) : undefined
    this.#lost = perCpu === undefined ? undefined : new Float64Array(sources.length)
    this.#batchBytes = Math.min(options.batchBytes, size)
    this.#bytes = new Uint8Array(this.#batchBytes)
    this.#unsubscribe = sources.map((source) => source.subscribe(() => this.#schedule()))
    this.ref()
  }

  consume(): number {
    this.#assertOpen()
    if (this.#delivering) {
      throw new BpfError(
        'BAD_PHASE',
        `${this.#sources[0]?.subject ?? 'reader'}: consume() was called from inside the sink`,
        {
          call: 'ring_buffer__consume',
          hint: 'The batch that the sink looks at would be overwritten: call it when the sink has returned',
        },
      )
    }
    return this.#deliver()
  }

  available(): number | undefined {
    this.#assertOpen()
    let sum = 0
    for (const { available } of this.#sources) {
      if (available === undefined) return undefined
      sum += available
    }
    return sum
  }

  pause(): void {
    this.#assertOpen()
    this.#paused = true
  }

  resume(): void {
    this.#assertOpen()
    this.#paused = false
    this.#schedule()
  }

  ref(): void {
    if (!this.#closed) this.#keepAlive ??= scheduling.setInterval(() => {}, NEVER_MS)
  }

  unref(): void {
    if (this.#keepAlive !== undefined) scheduling.clearInterval(this.#keepAlive)
    this.#keepAlive = undefined
  }

  close(): void {
    if (this.#closed) return
    this.unref()
    this.#closed = true
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    for (const source of this.#sources) source.release()
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused || this.#closed) return
    if (!this.#sources.some(({ readable }) => readable)) return
    this.#scheduled = true
    later(() => {
      this.#scheduled = false
      if (this.#paused || this.#closed) return
      this.#deliver()
      this.#schedule()
    })
  }

  /** Takes one batch, and hands it to the sink. @returns records */
  #deliver(): number {
    const batch = this.#fill()
    if (batch.count === 0) return 0
    this.#delivering = true
    try {
      this.#sink(batch)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    } finally {
      this.#delivering = false
    }
    return batch.count
  }

  /** Whoever got a batch may have transferred its memory away, to a worker: arrays have no length then. */
  #renew(): void {
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.#batchBytes)
    if (this.#index.length === 0) this.#index = new Uint32Array(2 * this.#maxRecords)
    if (this.#origins?.length === 0) this.#origins = new Uint32Array(this.#maxRecords)
    if (this.#times?.length === 0) this.#times = new BigUint64Array(this.#maxRecords)
    if (this.#lost?.length === 0) this.#lost = new Float64Array(this.#sources.length)
  }

  #fill(): RecordBatch {
    this.#renew()
    let count = 0
    let end = 0
    const first = this.#next
    for (let i = 0; i < this.#sources.length; i++) {
      const origin = (first + i) % this.#sources.length
      const source = this.#sources[origin]! // origin < length
      for (let length = source.nextLength(); length >= 0; length = source.nextLength()) {
        if (count === this.#maxRecords || (count > 0 && end + length > this.#bytes.length)) {
          this.#next = (origin + 1) % this.#sources.length
          return this.#batch(count)
        }
        // One record that is larger than a batch is a batch of its own.
        if (length > this.#bytes.length) this.#bytes = new Uint8Array(length)
        if (this.#times !== undefined) this.#times[count] = source.nextTime ?? 0n
        source.take(length, this.#bytes, end)
        this.#index[2 * count] = end
        this.#index[2 * count + 1] = length
        if (this.#origins !== undefined) this.#origins[count] = origin
        count++
        end += Math.ceil(length / 8) * 8
      }
    }
    return this.#batch(count)
  }

  #batch(count: number): RecordBatch {
    const lost = this.#lost
    if (lost !== undefined)
      this.#sources.forEach((source, i) => {
        lost[i] = source.lost ?? 0
      })
    return {
      count,
      bytes: this.#bytes,
      index: this.#index,
      origins: this.#origins,
      times: this.#times,
      lost,
    }
  }

  #assertOpen(): void {
    if (this.#closed)
      throw new BpfError('CLOSED', `reader of ${this.#sources[0]?.subject ?? 'nothing'} is closed`)
  }
}
