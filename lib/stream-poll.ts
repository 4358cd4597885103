/** A reader of lines that nothing announces: it asks now and then. */
import type { KernelReader, ReaderOptions, RecordSink } from './kernel.js'

const LINE_FEED = 10
/** In the index, a record has its place and its length. */
const INDEX_WORDS = 2

/** Fills the buffer. @returns bytes; 0: there is no more for now */
export type ReadChunk = (into: Uint8Array) => number

/**
 * Reads when `consume()` is called, and by timer while it isn't paused; a record is a line without its line feed. What has no line feed
 * becomes a record when there is nothing behind it at the next look, or when it fills the slab.
 */
export class StreamPoll implements KernelReader {
  readonly #read: ReadChunk
  readonly #sink: RecordSink
  readonly #periodMs: number
  /** What was read and is no record yet, from its start on. */
  readonly #input: Uint8Array
  readonly #slab: Uint8Array
  readonly #index: Uint32Array
  #held: number
  /** Whether all that is held was held at the last look too. */
  #stale = false
  #timer: NodeJS.Timeout | undefined
  #running = false
  #keepsAlive = true

  /** Reads at once: a stream that can't be read says so here. */
  constructor(
    read: ReadChunk,
    sink: RecordSink,
    { batchBytes, batchRecords }: ReaderOptions,
    periodMs: number,
  ) {
    this.#read = read
    this.#sink = sink
    this.#periodMs = periodMs
    this.#input = new Uint8Array(batchBytes)
    this.#slab = new Uint8Array(alignedUp(batchBytes))
    this.#index = new Uint32Array(INDEX_WORDS * batchRecords)
    this.#held = read(this.#input)
  }

  consume(): number {
    const got = this.#held < this.#input.length ? this.#read(this.#input.subarray(this.#held)) : 0
    this.#held += got
    const complete = this.#held === this.#input.length || (got === 0 && this.#stale)
    this.#stale = got === 0
    const count = this.#takeLines(complete)
    if (count > 0) this.#sink({ count, bytes: this.#slab, index: this.#index })
    return count
  }

  /** Nobody can tell. */
  available(): undefined {
    return undefined
  }

  pause(): void {
    this.#running = false
    clearTimeout(this.#timer)
  }

  resume(): void {
    if (this.#running) return
    this.#running = true
    this.#schedule(0)
  }

  ref(): void {
    this.#keepsAlive = true
    this.#timer?.ref()
  }

  unref(): void {
    this.#keepsAlive = false
    this.#timer?.unref()
  }

  close(): void {
    this.pause()
  }

  /**
   * Moves lines from the input to the slab.
   * @param complete what has no line feed is a line too
   */
  #takeLines(complete: boolean): number {
    const most = this.#index.length / INDEX_WORDS
    let count = 0
    let taken = 0
    let used = 0
    while (count < most && taken < this.#held) {
      const found = this.#input.subarray(0, this.#held).indexOf(LINE_FEED, taken)
      if (found < 0 && !complete) break
      const end = found < 0 ? this.#held : found
      if (used + end - taken > this.#slab.length) break
      this.#slab.set(this.#input.subarray(taken, end), used)
      this.#index[INDEX_WORDS * count] = used
      this.#index[INDEX_WORDS * count + 1] = end - taken
      used += alignedUp(end - taken)
      taken = found < 0 ? end : found + 1
      count++
    }
    this.#input.copyWithin(0, taken, this.#held)
    this.#held -= taken
    return count
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(() => {
      const more = this.consume() > 0
      // The sink may have paused it.
      if (this.#running) this.#schedule(more ? 0 : this.#periodMs)
    }, delayMs)
    if (!this.#keepsAlive) this.#timer.unref()
  }
}

/** Records start at multiples of 8. */
function alignedUp(size: number): number {
  return Math.ceil(size / 8) * 8
}
