/**
 * What the addon offers: the one typed door between TypeScript and C++.
 *
 * The C++ checks the type and size of every argument, so none of this can crash the process; but it words nothing.
 * Failures come as {@link RawFailure}, which `failure.ts` makes a `BpfError`.
 */
import type { AddonIntrospection, AddonProbes } from './introspection-types.js'

export interface Addon extends AddonIntrospection, AddonProbes, AddonScratchCalls {
  readonly facts: AddonFacts
  /** Sets what makes an Error of a failure, for this thread. */
  setFailureFactory(factory: (raw: RawFailure) => Error): void
  possibleCpus(): number
  /** Creates and closes a tiny array map: 0, or the errno with which the kernel refused. */
  probe(): number
  /**
   * @param fd a file of lines that can be polled and doesn't block; it is duplicated
   * @param folder is removed when the reader is closed, or its environment ends: a worker that is terminated. Empty: none
   */
  openLines(
    deliver: BatchDelivery,
    batchBytes: number,
    batchRecords: number,
    floodIntervalMs: number,
    floodWakeups: number,
    floodPeriodMs: number,
    fd: number,
    subject: string,
    folder: string,
  ): AddonReader
  /** @param subject what failures are about: `object 'execsnoop'` */
  openObject(image: Uint8Array, settings: AddonOpenSettings, subject: string): AddonObject
  createMap(attributes: AddonMapAttributes, subject: string): AddonMap
  openMapById(id: number, subject: string): AddonMap
  openMapByPin(path: string, subject: string): AddonMap
  openMapByFd(fd: number, subject: string): AddonMap
  /** @param netnsFd of the network namespace; undefined: that of this thread */
  interfaces(netnsFd: number | undefined, subject: string): readonly { readonly index: number; readonly name: string }[]
  openLinkById(id: number, subject: string): AddonLink
  openLinkByPin(path: string, subject: string): AddonLink
  openLinkByFd(fd: number, subject: string): AddonLink
  /** @returns a file descriptor that the caller closes */
  openPidfd(pid: number, subject: string): number
}

export interface LibbpfVersion {
  readonly major: number
  readonly minor: number
}

/** Facts of the build. */
export interface AddonFacts {
  /** libbpf's headers. */
  readonly compiledWith: LibbpfVersion
  /** libbpf's code: may be newer where it is a shared library. */
  readonly runsWith: LibbpfVersion
  readonly staticLibbpf: boolean
  /** What depends on a libbpf newer than 1.1, and whether this build has it. */
  readonly features: Readonly<Record<AddonFeature, boolean>>
}

export type AddonFeature =
  | 'tcx'
  | 'netkit'
  | 'netfilter'
  | 'uprobeMulti'
  | 'ringObjects'
  | 'structOpsLink'
  | 'token'
  | 'ringConsumeN'
  | 'prepare'
  | 'programStreams'

/** See `enum class Reason` in native/failure.h. The empty one: `errno` tells. */
export type FailureReason =
  | ''
  | 'closed'
  | 'busy'
  | 'phase'
  | 'reentrant'
  | 'argument'
  | 'range'
  | 'size'
  | 'noLink'
  | 'unsupported'

/** All that C++ knows of a failure. */
export interface RawFailure {
  /** The system call or libbpf function. */
  readonly call: string
  /** Positive; 0 where no errno tells; from 4000 on, libbpf's own numbers. */
  readonly errno: number
  readonly subject: string
  /** What libbpf printed during the call. */
  readonly log: string
  readonly reason: FailureReason
  /** For `size`: bytes wanted. For `range`: the limit that was exceeded. */
  readonly expected: number
  /** For `size` and `range`: what was given. */
  readonly actual: number
}

/** Maps and programs go by their index in `mapSpecs()` and `programSpecs()`. */
export interface AddonObject {
  mapSpecs(): readonly AddonMapSpec[]
  programSpecs(): readonly AddonProgramSpec[]
  setMap(map: number, setting: MapNumber, value: number): void
  setMapExtra(map: number, value: bigint): void
  setInnerMap(map: number, fd: number): void
  setPinPath(map: number, path: string | undefined): void
  reuseMap(map: number, fd: number): void
  setProgram(program: number, setting: ProgramNumber, value: number): void
  /** @param fd of a program; 0: the target is the kernel's */
  setAttachTarget(program: number, fd: number, name: string): void
  initialValue(map: number): Uint8Array | undefined
  setInitialValue(map: number, offset: number, bytes: Uint8Array): void
  /** @returns what libbpf printed: warnings, and the logs of programs with a log level */
  load(): string
  loadAsync(): Promise<string>
  map(map: number, subject: string): AddonMap
  program(program: number, subject: string): AddonProgram
  /** @returns a link for each program that was attached; holes for the others */
  attachPrograms(subjects: readonly string[]): readonly (AddonLink | undefined)[]
  attachStructOps(map: number, subject: string): AddonLink
  /** @param link of a struct_ops map, as `attachStructOps()` made it */
  updateStructOps(map: number, link: AddonLink, subject: string): void
  close(): void
}

export interface AddonOpenSettings {
  readonly name: string
  readonly pinRootPath: string | undefined
  readonly kconfig: string | undefined
  readonly bpfTokenPath: string | undefined
  readonly btf: Uint8Array | undefined
  readonly kernelLogLevel: number | undefined
}

/** See native/object_settings.cc. Booleans are 0 and 1. */
export type MapNumber = 'type' | 'keySize' | 'valueSize' | 'maxEntries' | 'flags' | 'numaNode' | 'autocreate'
export type ProgramNumber = 'type' | 'expectedAttachType' | 'flags' | 'logLevel' | 'autoload' | 'autoattach'

export interface AddonMapSpec {
  /** libbpf's: of global data, `execsnoo.rodata`. */
  readonly name: string
  /** Whether it holds global data. */
  readonly internal: boolean
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  readonly flags: number
  readonly numaNode: number
  /** Absent for 0. */
  readonly mapExtra?: bigint
  readonly autocreate: boolean
  readonly pinPath?: string
  /** Of a map of maps, where the object has a template for what it holds. */
  readonly inner?: AddonMapSpec
}

export interface AddonProgramSpec {
  readonly name: string
  readonly section: string
  readonly type: number
  readonly expectedAttachType: number
  readonly flags: number
  readonly logLevel: number
  readonly autoload: boolean
  readonly autoattach: boolean
}

/** All are there: C++ checks their types only. */
export interface AddonMapAttributes {
  readonly name: string
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  readonly flags: number
  readonly mapExtra: bigint
  readonly numaNode: number
  readonly innerMapFd: number | undefined
  readonly btf: Uint8Array | undefined
  readonly btfKeyType: number
  readonly btfValueType: number
  readonly bpfTokenPath: string | undefined
}

export interface AddonBatchOutcome {
  readonly count: number
  readonly errno: number
}

/** The buffers as the call left them. */
export interface AddonAsyncBatchOutcome extends AddonBatchOutcome {
  readonly cursor: Uint8Array
  readonly keys: Uint8Array
  readonly values: Uint8Array
}

/** The key from 0 on, the value from `valueOffset` on. */
export interface AddonScratch {
  readonly bytes: Uint8Array
  readonly valueOffset: number
  /** What chooses the map in `chosenScratch`, until it is closed; another map may have it then. */
  readonly number: number
}

/** The quickest way to one entry, with flags of 0. All maps have the same functions: V8 calls directly what a place in the code sees one of. */
export interface AddonScratchCalls {
  /** One number, written before each call: which map. Quicker than an argument. */
  readonly chosenScratch: Uint32Array
  /** @returns undefined if the key is there */
  lookupScratch(this: void): undefined | false
  updateScratch(this: void): void
  /** @returns undefined if the key was there */
  deleteScratch(this: void): undefined | false
}

export interface AddonMapDetails {
  /** As the kernel has it: 15 bytes at most. */
  readonly name: string
  readonly mapExtra: bigint
  readonly ifindex: number
  readonly btfId: number
  readonly btfKeyType: number
  readonly btfValueType: number
}

export interface AddonMap {
  info(): AddonMapInfo
  lookup(key: Uint8Array, value: Uint8Array, flags: number): boolean
  update(key: Uint8Array, value: Uint8Array, flags: number): void
  delete(key: Uint8Array): boolean
  nextKey(key: Uint8Array | null, next: Uint8Array): boolean
  lookupAndDelete(key: Uint8Array, value: Uint8Array, flags: number): boolean
  /** @param operation see `enum class BatchOperation` in native/map_batch.h */
  batch(
    operation: number,
    first: boolean,
    cursor: Uint8Array,
    keys: Uint8Array,
    values: Uint8Array,
    count: number,
    flags: number,
  ): AddonBatchOutcome
  batchAsync(
    operation: number,
    first: boolean,
    cursor: Uint8Array,
    keys: Uint8Array,
    values: Uint8Array,
    count: number,
    flags: number,
  ): Promise<AddonAsyncBatchOutcome>
  freeze(): void
  pin(path: string): void
  details(): AddonMapDetails
  duplicate(): AddonMap
  fd(): number
  /** For one caller: a second call ends what the first one gave. Undefined where the runtime can't share memory. */
  scratch(): AddonScratch | undefined
  memory(): Uint8Array | undefined
  openRing(
    deliver: BatchDelivery,
    batchBytes: number,
    batchRecords: number,
    floodIntervalMs: number,
    floodWakeups: number,
    floodPeriodMs: number,
    furtherFds?: readonly number[],
  ): AddonReader
  openPerf(
    deliver: BatchDelivery,
    batchBytes: number,
    batchRecords: number,
    floodIntervalMs: number,
    floodWakeups: number,
    floodPeriodMs: number,
    pages: number,
    wakeupEvents: number,
    wakeupBytes: number,
    timestamps: boolean,
  ): AddonReader
  /** Like `openPerf`, of buffers whose new records overwrite old ones. */
  openOverwritable: AddonMap['openPerf']
  openUserRing(): AddonUserRing
  close(): void
}

/** The arrays come with the first batch, and whenever one was replaced; which there are, see `RecordBatch`. */
export type BatchDelivery = (
  count: number,
  bytes?: Uint8Array,
  index?: Uint32Array,
  origins?: Uint32Array,
  times?: BigUint64Array,
  lost?: Float64Array,
) => void

export interface AddonMapInfo {
  readonly id: number
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  readonly bufferSize: number
  readonly maxEntries: number
  readonly flags: number
}

export interface AddonProgram {
  readStream(stream: number, into: Uint8Array): number
  fd(): number
  info(): { readonly id: number; readonly type: number; readonly tag: Uint8Array }
  attach(subject: string): AddonLink
  /** @param kind see `kKinds` in native/attach_tracing.cc and attach_network.cc */
  attachTo(kind: string, settings: AttachSettings, subject: string): AddonLink
  run(options: AddonRunOptions): AddonRunResult
  runAsync(options: AddonRunOptions): Promise<AddonRunResult>
  close(): void
}

/** All numbers are there: C++ checks their types only. */
export interface AddonRunOptions {
  readonly data: Uint8Array | undefined
  readonly dataOutSize: number
  readonly ctx: Uint8Array | undefined
  readonly ctxOutSize: number
  readonly repeat: number
  readonly cpu: number
  readonly flags: number
  readonly batchSize: number
}

export interface AddonRunResult {
  readonly retval: number
  readonly durationNs: number
  /** Where `dataOutSize` was not 0. */
  readonly dataOut?: Uint8Array
  /** Where `ctxOutSize` was not 0. */
  readonly ctxOut?: Uint8Array
  /** The context that went in, as it is now: programs of type syscall change it. */
  readonly ctxIn?: Uint8Array
}

export interface AddonLink {
  /** Undefined for attachments that are no BPF links; the methods down to `openIterator` throw for those. */
  fd(): number | undefined
  info(): RawLinkInfo
  /** Numbers that Linux chose for what is no BPF link: handle and priority of a clsact filter. */
  facts(): Readonly<Record<string, number>>
  /** @param fd of a program, or of a struct_ops map */
  update(fd: number, expectedFd: number | undefined): void
  pin(path: string): void
  detach(): void
  /** @returns a file descriptor that the caller closes */
  openIterator(): number
  /** Ends the handle, not the attachment. @param pinned a pin holds it; else its descriptors are left open */
  disown(pinned: boolean): void
  close(): void
}

/** `struct bpf_link_info`, and what the kernel wrote where its pointers pointed: empty where the type has no such thing. */
export interface RawLinkInfo {
  readonly info: Uint8Array
  /** Name of a tracepoint, function or iterator, or path of a file. */
  readonly name: string
  readonly addresses: readonly bigint[]
  readonly offsets: readonly bigint[]
  readonly refCtrOffsets: readonly bigint[]
  readonly cookies: readonly bigint[]
}

/** What native/attach_tracing.cc and attach_network.cc read, by the kind's own names. Lists of 64-bit numbers are BigUint64Arrays. */
export type AttachSettings = Readonly<
  Record<string, string | number | bigint | boolean | readonly string[] | BigUint64Array | undefined>
>

export interface AddonUserRing {
  reserve(size: number): number
  submit(reservation: number, bytes: Uint8Array): void
  discard(reservation: number): void
  output(bytes: Uint8Array): boolean
  /** An empty record for each drain. */
  openDrains(
    deliver: BatchDelivery,
    batchBytes: number,
    batchRecords: number,
    floodIntervalMs: number,
    floodWakeups: number,
    floodPeriodMs: number,
  ): AddonReader
  close(): void
}

export interface AddonReader {
  consume(): number
  available(): number | undefined
  pause(): void
  resume(): void
  ref(): void
  unref(): void
  close(): void
}
