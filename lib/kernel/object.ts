/** An object, from open to close, and what is made without one. */
import type { Privileges } from '../linux/capabilities.js'
import type { KernelLink, KernelMap, KernelProgram } from './handles.js'
import type { MapTypes } from './map-data.js'
import type { ObjectFile } from '../object-file/types.js'

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
  /** Of an extension. */
  readonly target?: ExtendedProgram | undefined
}

/** The program that an extension extends. */
export interface ExtendedProgram {
  readonly file: ObjectFile
  readonly object: OpenObjectOptions
  readonly program: string
  /** The function whose place the extension takes; undefined: the one that its SEC() name says. */
  readonly name: string | undefined
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
