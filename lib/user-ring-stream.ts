/** Records for a user ring buffer as a stream of Node's. */
import { Writable } from 'node:stream'
import { callbackify } from 'node:util'

/** What the stream writes to. */
export interface RecordOutput {
  outputAsync(record: unknown): Promise<void>
  close(): void
}

/** An object-mode `Writable`: a record is written when the ring had room for it. Its end, and destroying it, close the ring. */
export class UserRingStream extends Writable {
  readonly #ring: RecordOutput
  readonly #output: (record: unknown, done: (error?: Error | null) => void) => void

  constructor(ring: RecordOutput, highWaterMark: number) {
    super({ objectMode: true, highWaterMark })
    this.#ring = ring
    this.#output = callbackify((record: unknown) => ring.outputAsync(record))
  }

  override _write(record: unknown, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#output(record, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // Who waits for room is told so.
    this.#ring.close()
    done(error)
  }
}
