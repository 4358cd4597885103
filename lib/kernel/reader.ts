/** Readers of records, and the producer of a user ring buffer. */

export interface KernelReader extends KernelWatch {
  /** Takes one batch now, if there is one; calls the sink before it returns. @returns records taken */
  consume(): number
  /** Bytes that wait, with the kernel's headers; undefined where nobody can tell. */
  available(): number | undefined
  /** Stops taking records; they pile up in the ring, whose producer drops what doesn't fit. */
  pause(): void
}

/** Something that calls back from the event loop, which it keeps alive while it is open. */
export interface KernelWatch {
  pause(): void
  resume(): void
  ref(): void
  unref(): void
  close(): void
}

/**
 * Records of one wake-up, in memory that the reader uses again: valid until the sink returns or, where the sink calls
 * `pause()`, until `resume()` or `consume()`.
 * Record `i` lies at `bytes[index[2 * i] …]`, with a length of `index[2 * i + 1]`; records start 8-byte aligned.
 */
export interface RecordBatch {
  readonly count: number
  readonly bytes: Uint8Array
  readonly index: Uint32Array
  /** By record: the CPU (perf buffers), or which map (several rings on one reader); else undefined. */
  readonly origins?: Uint32Array | undefined
  /** By record: nanoseconds of CLOCK_MONOTONIC, where a perf buffer was asked for them; else undefined. */
  readonly times?: BigUint64Array | undefined
  /** By CPU: records that the kernel has dropped since the reader was opened, where it counts them; else undefined. */
  readonly lost?: Float64Array | undefined
}

/** Called on the event loop's thread. An exception becomes an uncaught exception; the reader goes on. */
export type RecordSink = (batch: RecordBatch) => void

/** How a reader batches, and what it does under flood. */
export interface ReaderOptions {
  /** Bytes of the slab into which records are copied: what one batch holds. */
  readonly batchBytes: number
  /** Most records of one batch. */
  readonly batchRecords: number
  /** Under flood: wake-ups that follow each other within this time count as a row. Milliseconds. */
  readonly floodIntervalMs: number
  /** Under flood: after this many wake-ups in a row, poll by timer until the ring is empty. 0: never. */
  readonly floodWakeups: number
  /** Period of that timer. Milliseconds. */
  readonly floodPeriodMs: number
}

export interface PerfOptions extends ReaderOptions {
  /** Of each CPU's buffer; a power of two. */
  readonly pages: number
  /** Wake up after this many records; 0: go by `wakeupBytes`. */
  readonly wakeupEvents: number
  /** Wake up after this many bytes, where `wakeupEvents` is 0. */
  readonly wakeupBytes: number
  /** Whether the kernel stamps records with their times. */
  readonly timestamps: boolean
  /** New records overwrite old ones; what is there is read by `consume()` alone, the newest first by CPU. */
  readonly overwritable: boolean
}

/** Where a trace pipe reads. */
export interface TraceOptions extends ReaderOptions {
  /** Name of the tracing instance. It is made if it isn't there, and removed then by `close()`. Default: one of the reader's own. */
  readonly instance?: string
  /** Where tracefs is mounted. */
  readonly tracefs: string
}

/** The producer's side of a user ring buffer: BPF_MAP_TYPE_USER_RINGBUF, which a program drains with bpf_user_ringbuf_drain(). */
export interface KernelUserRing {
  /** @returns the number of the reservation; 0: there is no room */
  reserve(size: number): number
  /** Copies the record in, and commits it. Records behind it that were committed earlier become visible with it. */
  submit(reservation: number, bytes: Uint8Array): void
  discard(reservation: number): void
  /** Reserves, copies and commits. @returns false: there is no room */
  output(bytes: Uint8Array): boolean
  /**
   * Starts to watch for drains; paused until `resume()`. What happens while it is paused is told then.
   * @param listener called when a program has taken records out, and now and then without a reason
   */
  watchDrains(listener: () => void): KernelWatch
  /** Discards what is reserved. */
  close(): void
}
