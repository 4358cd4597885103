/**
 * THE SEAM: what a kernel must offer, and nothing more.
 *
 * Above it stand the public classes, written once. Below it stand two kernels: `native/` (Linux, through libbpf) and
 * `fallback/` (TypeScript). What crosses is bytes, numbers, bigint and plain objects: typing by BTF, events, iteration
 * and lifetime warnings live above; system calls and simulation live below.
 *
 * Rules that both kernels keep:
 * - A failure is a thrown `BpfError` that names the call, the subject and, where there is one, the errno.
 * - "Not there" is no failure: `lookup`, `delete` and `nextKey` answer `false` on ENOENT.
 * - `close()` may be called any number of times; any other call on a closed handle throws code `CLOSED`.
 * - Buffers that a caller passes are read or filled during the call and never kept.
 */
import type { ObjectFile } from './object-file/types.js'

export interface Kernel {
  /** `'native'`, `'fallback'`, or the name of a kernel of one's own. */
  readonly name: string
  /** For people: what runs here, such as `Linux 6.18.44, libbpf 1.1`. */
  readonly description: string
  /** Number of possible CPUs: per-CPU values have this many parts. */
  readonly possibleCpus: number
  /** Starts the open phase: nothing is in the kernel yet. */
  openObject(file: ObjectFile, options: OpenObjectOptions): KernelObject
}

export interface OpenObjectOptions {
  /** Name of the object: libbpf derives the names of global-data maps from it. */
  readonly name: string
}

/** An object from open to close. Configuration is legal before `load()` only; `map()` and `program()` after it only. */
export interface KernelObject {
  readonly maps: readonly MapSpec[]
  readonly programs: readonly ProgramSpec[]
  configureMap(map: string, config: MapConfig): void
  configureProgram(program: string, config: ProgramConfig): void
  /** The bytes with which a global-data map will start, or undefined if the map holds no global data. A copy. */
  initialValue(map: string): Uint8Array | undefined
  setInitialValue(map: string, value: Uint8Array): void
  load(): void
  /** Like `load()`, off the event loop's thread. */
  loadAsync(): Promise<void>
  map(name: string): KernelMap
  program(name: string): KernelProgram
  /** Closes the object, its maps and programs. Links and readers have lives of their own. */
  close(): void
}

/** A map as the object defines it, with configuration applied. */
export interface MapSpec {
  /** As in the source: `events`; `.rodata`, `.bss`, `.data.config` for global data. */
  readonly name: string
  /** BPF_MAP_TYPE_*: see linux/map-types.ts. */
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  /** BPF_F_*. */
  readonly flags: number
}

export interface MapConfig {
  readonly maxEntries?: number
}

export interface ProgramSpec {
  readonly name: string
  /** The SEC() name: `tp_btf/sched_process_exec`. */
  readonly section: string
  /** BPF_PROG_TYPE_*: see linux/program-types.ts. */
  readonly type: number
  /** Whether `load()` will load it. */
  readonly autoload: boolean
}

export interface ProgramConfig {
  readonly autoload?: boolean
}

/** A map that exists. */
export interface KernelMap {
  readonly info: MapInfo
  /**
   * Copies the value of `key` into `value`.
   * @param key   `info.keySize` bytes
   * @param value `info.bufferSize` bytes
   * @returns false if there is no such key
   */
  lookup(key: Uint8Array, value: Uint8Array, flags: number): boolean
  /** @param flags BPF_ANY, BPF_NOEXIST, BPF_EXIST or BPF_F_LOCK */
  update(key: Uint8Array, value: Uint8Array, flags: number): void
  delete(key: Uint8Array): boolean
  /** Writes the key behind `key` (the first one for null) into `next`; false at the end. */
  nextKey(key: Uint8Array | null, next: Uint8Array): boolean
  /** The live memory of an mmap-able array (BPF_F_MMAPABLE); undefined where there is none. Same bytes at each call. */
  memory(): Uint8Array | undefined
  /** Starts a reader of a ring-buffer map; it is paused until `resume()`. */
  openRing(sink: RecordSink, options: RingOptions): KernelReader
  close(): void
}

export interface MapInfo {
  readonly name: string
  readonly id: number
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  /** Bytes that a look-up fills: `valueSize`, or its 8-byte round-up times the possible CPUs for per-CPU maps. */
  readonly bufferSize: number
  readonly maxEntries: number
  readonly flags: number
}

/** A program that was loaded. */
export interface KernelProgram {
  readonly info: ProgramInfo
  /** Attaches by the SEC() name. */
  attach(): KernelLink
  /** Runs it once or more on a given context: BPF_PROG_TEST_RUN. */
  run(options: RunOptions): RunResult
}

export interface ProgramInfo {
  readonly name: string
  readonly section: string
  readonly id: number
  readonly type: number
  /** Hex, 8 bytes: Linux's tag of the instructions; empty where there is none. */
  readonly tag: string
}

export interface RunOptions {
  /** Packet or other input data. */
  readonly data?: Uint8Array
  /** The context, for program types that take one directly. */
  readonly ctx?: Uint8Array
  readonly repeat?: number
}

export interface RunResult {
  /** r0 as an unsigned 32-bit number: what the kernel reports. */
  readonly retval: number
  /** Mean time of a run, in nanoseconds. */
  readonly durationNs: number
  /** The data after the run, where the program type gives it back. */
  readonly data?: Uint8Array
  /** The context after the run, where the program type gives it back. */
  readonly ctx?: Uint8Array
}

/** An attachment. Lives on when the object is closed. */
export interface KernelLink {
  readonly info: LinkInfo
  /** Detaches. */
  close(): void
}

export interface LinkInfo {
  /** Kernel link id; 0 for attachments that are not BPF links. */
  readonly id: number
  /** What it is attached to, for people: `tp_btf/sched_process_exec`. */
  readonly target: string
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
}

/** Called on the event loop's thread. An exception becomes an uncaught exception; the reader goes on. */
export type RecordSink = (batch: RecordBatch) => void

export interface RingOptions {
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

export interface KernelReader {
  /** Takes one batch now, if there is one; calls the sink before it returns. @returns records taken */
  consume(): number
  /** Stops taking records; they pile up in the ring, whose producer drops what doesn't fit. */
  pause(): void
  resume(): void
  /** Keeps the event loop alive while open (as at the start). */
  ref(): void
  unref(): void
  close(): void
}
