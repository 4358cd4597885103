/** Maps, programs and links, which refer to each other. */
import type { AttachRequest } from '../attach-request.js'
import type { LinkInfo } from '../link-info.js'
import type { BatchOperation, BatchOutcome, MapBatch, MapDetails, MapInfo, MapReference } from './map-data.js'
import type { ProgramInfo, RunOptions, RunResult } from './program-data.js'
import type { KernelReader, KernelUserRing, PerfOptions, ReaderOptions, RecordSink } from './reader.js'

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

/** How a link is found: kernel id, path in a BPF file system, or a file descriptor, which is duplicated. */
export type LinkReference = MapReference

/** One walk of an iterator: what its program writes with bpf_seq_write() and bpf_seq_printf(). */
export interface KernelIterator {
  /** Runs the program until `into` is full or nothing is left. @returns bytes read; 0: it is over */
  read(into: Uint8Array): number
  /** Like `read()`, off the event loop's thread. */
  readAsync(into: Uint8Array): Promise<number>
  close(): void
}
