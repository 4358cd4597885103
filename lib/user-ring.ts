/** User ring buffers: records from here to a program. */
import type { Writable } from 'node:stream'
import type { Codec } from './codec/index.js'
import { DrainQueue, type WaitOptions } from './drain-queue.js'
import { BpfError } from './errors.js'
import { Handle } from './handle.js'
import type { KernelMap, KernelUserRing } from './kernel.js'
import { BPF_MAP_TYPE, mapTypeName } from './linux/map-types.js'
import type { ObjectFile } from './object-file/types.js'
import { abortSignal, integer } from './reader-options.js'
import { recordCodec } from './record-decoder.js'
import { UserRingStream } from './user-ring-stream.js'

export interface UserRingOptions {
  /** Struct in the object's BTF that every record is: `output()` takes such values then. */
  readonly type?: string
  /** Closes the ring when aborted. */
  readonly signal?: AbortSignal
}

/**
 * The producer's side of a user ring buffer (`BPF_MAP_TYPE_USER_RINGBUF`, Linux 6.1), which a program drains with
 * `bpf_user_ringbuf_drain()`. One producer a map.
 *
 * Lifetime: until `close()`, which discards what is reserved; it outlives its object.
 *
 * @example
 * using commands = object.maps.commands.userRing<Command>({ type: 'command' })
 * if (!commands.output({ verb: 1, argument: 2 })) …   // full: let the program drain it
 * await commands.outputAsync({ verb: 1, argument: 2 }) // waits until it has
 */
export class UserRing<T = Uint8Array> extends Handle {
  readonly #subject: string
  readonly #ring: KernelUserRing
  readonly #codec: Codec | undefined
  readonly #scratch: Uint8Array
  readonly #reserved = new Map<Uint8Array, number>()
  readonly #waiting: DrainQueue
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = (): void => this.close()

  /** @internal */
  constructor(map: KernelMap, file: ObjectFile, options: UserRingOptions) {
    const { name, type } = map.info
    if (type !== BPF_MAP_TYPE.USER_RINGBUF) {
      throw new BpfError(
        'BAD_VALUE',
        `map '${name}' is no user ring buffer, its type is ${mapTypeName(type)}`,
      )
    }
    const subject = `user ring buffer '${name}'`
    const codec = options.type === undefined ? undefined : recordCodec(subject, file, options.type)
    const signal = abortSignal(options.signal)
    const ring = map.openUserRing()
    super(ring, subject)
    this.#subject = subject
    this.#ring = ring
    this.#codec = codec
    this.#scratch = new Uint8Array(codec?.size ?? 0)
    this.#waiting = new DrainQueue((listener) => ring.watchDrains(listener), subject)
    this.#signal = signal
    if (signal?.aborted) this.close()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /**
   * Sends a record: a value of the `type` given, or bytes.
   *
   * @returns false if the ring has no room for it: the program has to drain it first
   * @throws BpfError `BAD_VALUE`, or `E2BIG` for a record that is larger than the ring
   */
  output(record: T | Uint8Array): boolean {
    this.assertOpen()
    return this.#ring.output(this.#bytesOf(record))
  }

  /**
   * Like `output()`, and waits for room where there is none: until a program has drained enough, off the event loop, which stays
   * alive meanwhile. Those who wait are served in order; `output()` and `reserve()` may come before them. A program that drains with
   * BPF_RB_NO_WAKEUP wakes nobody.
   *
   * @throws BpfError as `output()` does; `CLOSED` if the ring is closed meanwhile; the signal's reason
   */
  async outputAsync(record: T | Uint8Array, options: WaitOptions = {}): Promise<void> {
    this.assertOpen()
    // A copy: whose bytes they are may change them, and the next record takes the scratch memory.
    const bytes = new Uint8Array(this.#bytesOf(record))
    await this.#waiting.wait(() => this.#ring.output(bytes) || undefined, options)
  }

  /** Like `reserve()`, and waits for room as `outputAsync()` does. */
  async reserveAsync(size: number, options: WaitOptions = {}): Promise<Uint8Array> {
    this.assertOpen()
    return this.#waiting.wait(() => this.reserve(size), options)
  }

  /**
   * Reserves a record of `size` bytes, in order with those reserved before, to be filled and then submitted or discarded. What comes
   * behind it waits for that.
   *
   * @returns zeroed bytes, which are empty after `submit()`, `discard()` or `close()`; undefined if there is no room
   */
  reserve(size: number): Uint8Array | undefined {
    this.assertOpen()
    const reservation = this.#ring.reserve(size)
    if (reservation === 0) return undefined
    const bytes = new Uint8Array(size)
    this.#reserved.set(bytes, reservation)
    return bytes
  }

  /** @throws BpfError `BAD_VALUE` for bytes that aren't reserved here (any more) */
  submit(bytes: Uint8Array): void {
    const reservation = this.#take(bytes, 'submit')
    this.#ring.submit(reservation, bytes)
    detach(bytes)
  }

  /** Gives a reservation back: the program never sees it. */
  discard(bytes: Uint8Array): void {
    const reservation = this.#take(bytes, 'discard')
    this.#ring.discard(reservation)
    detach(bytes)
  }

  /**
   * A Node stream to the program, in object mode: of values of the `type`, or of bytes. Each waits for room as `outputAsync()` does, so a
   * program that drains slowly slows down what is piped into it. The stream's end, and destroying it, close the ring.
   *
   * @param options `highWaterMark`: records that the stream holds while they wait; default 256
   */
  writable(options: { readonly highWaterMark?: number } = {}): Writable {
    this.assertOpen()
    const highWaterMark = integer('highWaterMark', options.highWaterMark ?? 256, 1)
    const ring = {
      // What isn't a record is refused there.
      outputAsync: (record: unknown) => this.outputAsync(record as T | Uint8Array),
      close: () => this.close(),
    }
    return new UserRingStream(ring, highWaterMark)
  }

  override close(): void {
    super.close()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#waiting.close()
    for (const bytes of this.#reserved.keys()) detach(bytes)
    this.#reserved.clear()
  }

  #take(bytes: Uint8Array, method: string): number {
    this.assertOpen()
    const reservation = this.#reserved.get(bytes)
    if (reservation === undefined) {
      throw new BpfError(
        'BAD_VALUE',
        `${this.#subject}: ${method}() takes what reserve() gave, and once only`,
      )
    }
    this.#reserved.delete(bytes)
    return reservation
  }

  #bytesOf(record: T | Uint8Array): Uint8Array {
    if (record instanceof Uint8Array) return record
    if (this.#codec === undefined) {
      throw new BpfError('BAD_VALUE', `${this.#subject}: without a type, output() takes a Uint8Array`)
    }
    this.#codec.encode(record, this.#scratch)
    return this.#scratch
  }
}

/** What is left of the view can't be mistaken for the record: it is empty. */
function detach({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer) structuredClone(buffer, { transfer: [buffer] })
}
