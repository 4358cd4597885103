/** The consumer of a ring buffer: batches, delivered in turns of the event loop. */
import { BpfError } from '../../errors.js'
import type { KernelReader, RecordSink, RingOptions } from '../../kernel.js'
import type { LoadedMap } from './loaded-map.js'
import type { RingBufferMap } from './ring-buffer.js'

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
 * Reads a ring buffer; several readers of one share its records.
 *
 * A wake-up, or `resume()`, asks for one batch in a later turn of the event loop; while more is there, further turns follow, so timers and I/O get
 * theirs. Producers are in this thread: the options for floods have nothing to do here.
 */
export class RingReader implements KernelReader {
  readonly #map: LoadedMap
  readonly #ring: RingBufferMap
  readonly #sink: RecordSink
  readonly #maxRecords: number
  readonly #index: Uint32Array
  readonly #unsubscribe: () => void
  #bytes: Uint8Array
  #paused = true
  #scheduled = false
  /** The sink looks at a batch. */
  #delivering = false
  #closed = false
  /** Keeps the event loop alive; undefined where that is left to others. */
  #keepAlive: unknown

  constructor(map: LoadedMap, ring: RingBufferMap, sink: RecordSink, options: RingOptions) {
    this.#map = map.retain()
    this.#ring = ring
    this.#sink = sink
    // No ring holds more records than it has room for headers.
    this.#maxRecords = Math.min(options.batchRecords, ring.size / 8)
    this.#index = new Uint32Array(2 * this.#maxRecords)
    this.#bytes = new Uint8Array(Math.min(options.batchBytes, ring.size))
    this.#unsubscribe = ring.subscribe(() => this.#schedule())
    this.ref()
  }

  consume(): number {
    this.#assertOpen()
    if (this.#delivering) {
      throw new BpfError(
        'BAD_PHASE',
        `ring buffer '${this.#map.name}': consume() was called from inside the sink`,
        {
          call: 'ring_buffer__consume',
          hint: 'The batch that the sink looks at would be overwritten: call it when the sink has returned',
        },
      )
    }
    return this.#deliver()
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
    this.#unsubscribe()
    this.#map.release()
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused || this.#closed || !this.#ring.readable) return
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
    let count = 0
    let end = 0
    while (count < this.#maxRecords) {
      const length = this.#ring.nextLength()
      if (length < 0) break
      if (end + length > this.#bytes.length) {
        if (count > 0) break
        // One record that is larger than a batch is a batch of its own.
        this.#bytes = new Uint8Array(length)
      }
      this.#ring.take(length, this.#bytes, end)
      this.#index[2 * count] = end
      this.#index[2 * count + 1] = length
      count++
      end += Math.ceil(length / 8) * 8
    }
    if (count === 0) return 0
    this.#delivering = true
    try {
      this.#sink({ count, bytes: this.#bytes, index: this.#index })
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    } finally {
      this.#delivering = false
    }
    return count
  }

  #assertOpen(): void {
    if (this.#closed) throw new BpfError('CLOSED', `reader of ring buffer '${this.#map.name}' is closed`)
  }
}
