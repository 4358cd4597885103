/** Records as a stream of Node's. */
import { Readable } from 'node:stream'
import type { RecordBatch } from './kernel.js'

/** What becomes of record `i`; undefined passes it over. */
type ToChunk = (batch: RecordBatch, i: number) => unknown

/**
 * An object-mode `Readable` over batches. It takes a batch when the stream has room: a slow consumer leaves records in the
 * kernel. Destroying it, or its end, closes the reader.
 */
export class RecordStream extends Readable {
  readonly #batches: AsyncIterator<RecordBatch, undefined, undefined>
  readonly #toChunk: ToChunk
  readonly #close: () => void
  #batch: RecordBatch | undefined
  #next = 0
  /** Whether the stream has room. */
  #wanted = false
  #filling = false

  constructor(
    batches: AsyncIterator<RecordBatch, undefined, undefined>,
    toChunk: ToChunk,
    close: () => void,
    highWaterMark: number,
  ) {
    super({ objectMode: true, highWaterMark })
    this.#batches = batches
    this.#toChunk = toChunk
    this.#close = close
  }

  override _read(): void {
    this.#wanted = true
    if (this.#filling) return
    this.#filling = true
    this.#fill().catch((error: unknown) =>
      this.destroy(error instanceof Error ? error : new Error(String(error))),
    )
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#close()
    done(error)
  }

  /** Pushes until the stream has enough, or the reader was closed. */
  async #fill(): Promise<void> {
    while (this.#wanted && !this.destroyed) {
      if (this.#batch === undefined) {
        const { done, value } = await this.#batches.next()
        if (done === true) {
          this.push(null)
          return
        }
        this.#batch = value
        this.#next = 0
      }
      this.#pushBatch(this.#batch)
    }
    this.#filling = false
  }

  #pushBatch(batch: RecordBatch): void {
    while (this.#wanted && !this.destroyed && this.#next < batch.count) {
      const chunk = this.#toChunk(batch, this.#next++)
      if (chunk === undefined) continue
      // The stream may ask for more while it takes this one.
      this.#wanted = false
      if (this.push(chunk)) this.#wanted = true
    }
    if (this.#next >= batch.count) this.#batch = undefined
  }
}
