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
import type { AttachRequest } from './attach-request.js'
import type { BpfError } from './errors.js'
import type { KernelIntrospection } from './kernel-introspection.js'
import type { LinkInfo } from './link-info.js'
import type { Privileges } from './linux/capabilities.js'
import type { ObjectFile } from './object-file/types.js'

export interface Kernel {
  /** `'native'`, `'fallback'`, or the name of a kernel of one's own. */
  readonly name: string
  /** For people: what runs here, such as `Linux 6.18.44, libbpf 1.1`. */
  readonly description: string
  /** Number of possible CPUs: per-CPU values have this many parts. */
  readonly possibleCpus: number
  /** What it knows of programs, maps, links and BTF, whoever they belong to. */
  readonly introspection: KernelIntrospection
  /**
   * Starts a reader of what programs print with bpf_printk(), as lines in the format of tracefs' trace_pipe; paused until
   * `resume()`.
   */
  openTrace(sink: RecordSink, options: TraceOptions): KernelReader
  /** Starts the open phase: nothing is in the kernel yet. */
  openObject(file: ObjectFile, options: OpenObjectOptions): KernelObject
  /**
   * Has one program of an object verified, alone, and keeps nothing of it.
   *
   * @throws BpfError for what keeps the program from the verifier: a relocation, a map that can't be created, a missing capability
   */
  verifyProgram(file: ObjectFile, request: VerifyRequest): VerifyAnswer
  /** Creates a map without an object: BPF_MAP_CREATE. */
  createMap(attributes: MapAttributes): KernelMap
  /** Opens a map that exists. */
  openMap(reference: MapReference): KernelMap
  /** Opens a link that exists. */
  openLink(reference: LinkReference): KernelLink
  /** A file descriptor for a process, which the caller closes: the key of task storage. Linux 5.3. */
  openPidfd(pid: number): number
}

export interface OpenObjectOptions {
  /** Name of the object: libbpf derives the names of global-data maps from it. */
  readonly name: string
  /** Folder of a BPF file system where maps are pinned by their names; undefined: /sys/fs/bpf. */
  readonly pinRootPath?: string | undefined
  /** Lines `CONFIG_NAME=VALUE`, in the format of Linux's .config: they count before what the kernel says of itself. */
  readonly kconfig?: string | undefined
  /** BTF that CO-RE resolves against in place of the kernel's: a blob. */
  readonly btf?: Uint8Array | undefined
  /** Mount point of a BPF file system that hands out tokens; empty: never take one. Linux 6.9. */
  readonly bpfTokenPath?: string | undefined
  /** Log level of the BTF and of every program that has none of its own. */
  readonly kernelLogLevel?: number | undefined
}

/** Which program is to be verified, and as what. */
export interface VerifyRequest {
  readonly object: OpenObjectOptions
  readonly program: string
  /** BPF_PROG_TYPE_*, in place of what its SEC() name says. */
  readonly type?: number | undefined
  /** BPF_ATTACH_TYPE, likewise. */
  readonly attachType?: number | undefined
  /** Of who would load it; undefined: all. */
  readonly privileges?: Privileges | undefined
  /** BPF_F_STRICT_ALIGNMENT. */
  readonly strictAlignment?: boolean | undefined
  /** 1: the path to the refusal, 2: all paths, + 4: statistics. Not 0. */
  readonly logLevel: number
}

/** What a verifier said. */
export interface VerifyAnswer {
  /** Positive; 0: accepted. */
  readonly errno: number
  /** The deciding line of the log; undefined: accepted. */
  readonly reason: string | undefined
  /** In the kernel's format. */
  readonly log: string
  /** How long it took. */
  readonly milliseconds: number
}

/** An object from open to close. Configuration is legal before `load()` only; maps, programs and attaching after it only. */
export interface KernelObject {
  readonly maps: readonly MapSpec[]
  readonly programs: readonly ProgramSpec[]
  configureMap(map: string, config: MapConfig): void
  configureProgram(program: string, config: ProgramConfig): void
  /** The bytes with which a global-data map will start, or undefined if the map holds no global data. A copy. */
  initialValue(map: string): Uint8Array | undefined
  /** Changes a part of them, from `offset` on. */
  setInitialValue(map: string, offset: number, bytes: Uint8Array): void
  load(): void
  /** Like `load()`, off the event loop's thread. */
  loadAsync(): Promise<void>
  map(name: string): KernelMap
  program(name: string): KernelProgram
  /**
   * Attaches what says itself where: programs by their SEC() names, and struct_ops maps. What is switched off by autoload, autoattach or
   * autocreate, and what doesn't say where, is left out. If one can't be attached, those before it are detached again.
   */
  attachAll(): readonly Attachment[]
  /** Closes the object, its maps and programs. Links and readers have lives of their own. */
  close(): void
}

/** What `attachAll()` attached: a program, or a struct_ops map. */
export interface Attachment {
  readonly name: string
  readonly link: KernelLink
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
  /** Counts with BPF_F_NUMA_NODE. */
  readonly numaNode: number
  /** Bloom filter: number of hash functions. Arena: address in user space. */
  readonly mapExtra: bigint
  /** Whether `load()` will create it. */
  readonly autocreate: boolean
  /** Where `load()` will pin it, or find it pinned. */
  readonly pinPath?: string | undefined
  /** Of a map of maps: the template for what it holds, where the object has one. */
  readonly inner?: MapSpec | undefined
}

/** What is to be changed of a map. Numbers are unsigned 32-bit integers. */
export interface MapConfig {
  readonly maxEntries?: number
  readonly type?: number
  readonly flags?: number
  readonly keySize?: number
  readonly valueSize?: number
  readonly numaNode?: number
  /** An unsigned 64-bit integer. */
  readonly mapExtra?: bigint
  readonly autocreate?: boolean
  /** null: nowhere. */
  readonly pinPath?: string | null
  /** A map that takes its place, of the same kernel, or the file descriptor of one; it stays the caller's. */
  readonly reuse?: KernelMap | number
  /** Of a map of maps: a map like those that it will hold. */
  readonly inner?: KernelMap | number
}

export interface ProgramSpec {
  readonly name: string
  /** The SEC() name: `tp_btf/sched_process_exec`. */
  readonly section: string
  /** BPF_PROG_TYPE_*: see linux/program-types.ts. */
  readonly type: number
  /** BPF_ATTACH_TYPE: see linux/attach-types.ts. 0 where the type knows none. */
  readonly expectedAttachType: number
  /** BPF_F_* of BPF_PROG_LOAD: see linux/program-types.ts. */
  readonly flags: number
  /** What the verifier is to tell: see ProgramConfig. */
  readonly logLevel: number
  /** Whether `load()` will load it. */
  readonly autoload: boolean
  /** Whether `attachAll()` will attach it. */
  readonly autoattach: boolean
}

/** What is to be changed of a program. */
export interface ProgramConfig {
  readonly autoload?: boolean
  readonly autoattach?: boolean
  readonly type?: number
  readonly expectedAttachType?: number
  readonly flags?: number
  /** 1: the paths that the verifier took, 2: every state, + 4: statistics; 0: nothing. */
  readonly logLevel?: number
  readonly attachTarget?: AttachTarget
}

/** What a program will be attached to, in place of what its SEC() name says. */
export interface AttachTarget {
  /** A function, hook or tracepoint of the kernel, or a function of `program`. */
  readonly name: string
  /** The program that is extended or traced, of the same kernel, or its file descriptor. */
  readonly program?: KernelProgram | number | undefined
}

/** What BPF_MAP_CREATE takes. */
export interface MapAttributes {
  /** Linux keeps 15 bytes of it, and only of letters, digits, `_` and `.`. */
  readonly name: string
  /** BPF_MAP_TYPE_*. */
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  /** BPF_F_*. */
  readonly flags: number
  /** Bloom filter: number of hash functions. Arena: address in user space. */
  readonly mapExtra: bigint
  /** Counts with BPF_F_NUMA_NODE. */
  readonly numaNode: number
  /** Of a map of maps: a map like those that it will hold. */
  readonly inner: KernelMap | undefined
  readonly types: MapTypes | undefined
  /** As in {@link OpenObjectOptions}. */
  readonly bpfTokenPath?: string | undefined
}

/** Types of keys and values, for the kernel: storage maps and spin locks need them. */
export interface MapTypes {
  /** A BTF blob. */
  readonly btf: Uint8Array
  readonly keyType: number
  readonly valueType: number
}

/** How a map is found: kernel id, path in a BPF file system, or a file descriptor, which is duplicated. */
export type MapReference = { readonly id: number } | { readonly pin: string } | { readonly fd: number }

/** One BPF_MAP_*_BATCH call. Linux 5.6; which map types have which, the error tells. */
export type BatchOperation = 'lookup' | 'lookupAndDelete' | 'update' | 'delete'

/** Entries side by side: key `i` at `i * keySize`, value `i` at `i * bufferSize`. */
export interface MapBatch {
  /** A walk starts: `cursor` says nothing yet. Without meaning for `update` and `delete`, as is the cursor. */
  readonly first: boolean
  /** Where a walk stands: max(4, keySize) bytes, written by each call. */
  readonly cursor: Uint8Array
  readonly keys: Uint8Array
  /** Not looked at by `delete`. */
  readonly values: Uint8Array
  /** Entries asked for, or given. */
  readonly count: number
  /** BPF_F_LOCK, or 0. */
  readonly flags: number
}

export interface BatchOutcome {
  /** Entries that were read or done. A walk's batch may be shorter than asked for without being the last. */
  readonly count: number
  /** The walk is over. Its last batch may hold entries. */
  readonly end: boolean
  /**
   * Why it stopped before its end, if it did. Of a walk: `ENOSPC` means that a part of the map needs a larger batch, `ENOTSUPP` or
   * `EINVAL` that maps of this type (or this kernel) have no such call. Of others: entry `count` could not be written or deleted.
   */
  readonly error: BpfError | undefined
}

/** What is seldom asked for, or may change. */
export interface MapDetails {
  readonly frozen: boolean
  /** Bytes of memory that the kernel charges for it, where it tells. */
  readonly memlock: number | undefined
  readonly mapExtra: bigint
  /** Network device that it is offloaded to; 0: none. */
  readonly ifindex: number
  /** Kernel id of its BTF, and the types there; 0: none. */
  readonly btfId: number
  readonly btfKeyType: number
  readonly btfValueType: number
}

/** A map that exists. */
export interface KernelMap {
  readonly info: MapInfo
  /** Within which `info.id` stands for one map: the same object for all maps of a kernel. */
  readonly realm: object
  /**
   * A key of `info.keySize` and a value of `info.bufferSize` bytes, for whoever wants them between two calls. `lookup` and `update` with
   * exactly these two are the quickest.
   */
  readonly scratch: { readonly key: Uint8Array; readonly value: Uint8Array }
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
  /** Like `lookup`, and removes the entry. Queues and stacks; hash maps since Linux 5.14. */
  lookupAndDelete(key: Uint8Array, value: Uint8Array, flags: number): boolean
  /** Writes an entry whose value stands for another thing of the same kernel: an inner map, a program. */
  updateHandle(key: Uint8Array, handle: KernelMap | KernelProgram, flags: number): void
  batch(operation: BatchOperation, batch: MapBatch): BatchOutcome
  /** Like `batch()`, off the event loop's thread. The buffers are read before it returns, and filled before the promise resolves. */
  batchAsync(operation: BatchOperation, batch: MapBatch): Promise<BatchOutcome>
  /** User space can't write it any more. Linux 5.2. */
  freeze(): void
  /** Gives it a name in a BPF file system: it lives until `unpin()` then. */
  pin(path: string): void
  /** Removes a name, whatever it stands for. */
  unpin(path: string): void
  details(): MapDetails
  /** A second handle on the map, which is closed by itself. */
  duplicate(): KernelMap
  /** The file descriptor, which stays the kernel's; undefined in kernels without. */
  readonly fd: number | undefined
  /** The live memory of an mmap-able array or an arena; undefined where there is none. Same bytes at each call. */
  memory(): Uint8Array | undefined
  /**
   * Starts a reader of a ring-buffer map; it is paused until `resume()`.
   * @param others further ring-buffer maps of the same kernel, on the same reader
   */
  openRing(sink: RecordSink, options: ReaderOptions, others?: readonly KernelMap[]): KernelReader
  /** Attaches a struct_ops map: registers what its programs implement. Linux 5.6; as a link, 6.4. */
  attachStructOps(): KernelLink
  /** Starts a reader of a perf event array: of a buffer for each CPU, put into the map. Paused until `resume()`. */
  openPerf(sink: RecordSink, options: PerfOptions): KernelReader
  /** Starts the producer of a user ring buffer. There should be one: a second one starts from the same positions. Linux 6.1. */
  openUserRing(): KernelUserRing
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
  /** The file descriptor, which stays the kernel's; undefined in kernels without. */
  readonly fd: number | undefined
  /** Attaches it where the request says; without one, where the SEC() name says. */
  attach(request?: AttachRequest): KernelLink
  /** Runs it once or more on a given context: BPF_PROG_TEST_RUN. */
  run(options: RunOptions): RunResult
  /** Like `run()`, off the event loop's thread. */
  runAsync(options: RunOptions): Promise<RunResult>
  /**
   * Reads and removes what the program has written with bpf_stream_printk(), and what the kernel has to tell of it. Linux 6.17.
   * @param stream BPF_STDOUT (1) or BPF_STDERR (2)
   * @returns bytes read; 0: there is no more
   */
  readStream(stream: number, into: Uint8Array): number
}

export interface ProgramInfo {
  readonly name: string
  readonly section: string
  readonly id: number
  readonly type: number
  /** BPF_ATTACH_TYPE that it was loaded for; 0 where the type knows none. */
  readonly expectedAttachType: number
  /** Hex, 8 bytes: Linux's tag of the instructions; empty where there is none. */
  readonly tag: string
  /** What the verifier told of it, where a log level asked for that; else empty. */
  readonly log: string
}

/** See `TEST_RUNS` of linux/test-run.ts for what which program type takes. */
export interface RunOptions {
  /** Packet or other input data. */
  readonly data?: Uint8Array | undefined
  /** The context, for program types that take one directly. */
  readonly ctx?: Uint8Array | undefined
  readonly repeat?: number | undefined
  /** The CPU to run on; undefined: the calling thread's. */
  readonly cpu?: number | undefined
  /** BPF_F_TEST_*. */
  readonly flags?: number | undefined
  /** Of live frames: packets at once. */
  readonly batchSize?: number | undefined
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

/** How a link is found: kernel id, path in a BPF file system, or a file descriptor, which is duplicated. */
export type LinkReference = MapReference

/** An attachment. Lives on when the object is closed. */
export interface KernelLink {
  /** Kernel link id; 0 for attachments that are not BPF links. */
  readonly id: number
  /** What it is attached to, for people: `tp_btf/sched_process_exec`. */
  readonly target: string
  /** What the kernel says of it now. */
  info(): LinkInfo
  /**
   * Puts another program (of struct_ops: another map) in its place, without a moment in which nothing is attached.
   * @param expected the program that must be there now, else nothing is done (EPERM)
   */
  update(to: KernelProgram | KernelMap, expected?: KernelProgram | KernelMap): void
  /** Gives it a name in a BPF file system: the attachment lasts until `unpin()` then, and longer than this process. */
  pin(path: string): void
  /** Removes a name. */
  unpin(path: string): void
  /** Detaches also what is pinned, or held by another process: the link is left, defunct. Linux 5.9; not of probes and other tracing. */
  detach(): void
  /** Ends this handle, but not the attachment: it lasts as long as its pin; without one, until the process ends. */
  disown(): void
  /** Starts a walk of an iterator. Each open one starts anew. */
  openIterator(): KernelIterator
  /** The file descriptor of a BPF link, which stays the link's; undefined in kernels without, and of what is none. */
  readonly fd: number | undefined
  /** Detaches, if nothing else holds it. */
  close(): void
}

/** One walk of an iterator: what its program writes with bpf_seq_write() and bpf_seq_printf(). */
export interface KernelIterator {
  /** Runs the program until `into` is full or nothing is left. @returns bytes read; 0: it is over */
  read(into: Uint8Array): number
  /** Like `read()`, off the event loop's thread. */
  readAsync(into: Uint8Array): Promise<number>
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

/** Something that calls back from the event loop, which it keeps alive while it is open. */
export interface KernelWatch {
  pause(): void
  resume(): void
  ref(): void
  unref(): void
  close(): void
}

export interface KernelReader extends KernelWatch {
  /** Takes one batch now, if there is one; calls the sink before it returns. @returns records taken */
  consume(): number
  /** Bytes that wait, with the kernel's headers; undefined where nobody can tell. */
  available(): number | undefined
  /** Stops taking records; they pile up in the ring, whose producer drops what doesn't fit. */
  pause(): void
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
