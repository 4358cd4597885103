/**
 * The part of the seam that looks rather than acts: what a kernel knows of programs, maps, links and BTF, and of what is attached where.
 *
 * Linux gives descriptors by id, and so all of this, to `CAP_SYS_ADMIN` only; by handle, to whoever has the handle.
 */
import type { BtfFacts, MapFacts, ProgramFacts } from './linux/object-info.js'

export type ObjectKind = 'program' | 'map' | 'btf' | 'link'

/** A program or map that is open: a `KernelProgram` or `KernelMap`. */
export interface OpenHandle {
  readonly info: { readonly id: number; readonly name: string }
}

/** By kernel id, or by handle. */
export type Reference = { readonly id: number } | { readonly handle: OpenHandle }

/** Instructions of a program, and what belongs to them. undefined: this process may not see it (kernel.bpf_jit_harden, kernel.kptr_restrict). */
export interface ProgramCode {
  /** BTF that the records refer to; 0: none. */
  readonly btfId: number
  /** Instructions as the verifier left them. */
  readonly xlated: Uint8Array | undefined
  /** Machine code, function after function. */
  readonly jited: Uint8Array | undefined
  /** By function: address (zeros where hidden), bytes of machine code. */
  readonly addresses: readonly bigint[]
  readonly lengths: readonly number[]
  /** `struct bpf_func_info` after `struct bpf_func_info`, of `functionSize` bytes each. */
  readonly functions: Uint8Array
  readonly functionSize: number
  /** `struct bpf_line_info`, of `lineSize` bytes each. */
  readonly lines: Uint8Array
  readonly lineSize: number
  /** By line record: address in the machine code. */
  readonly jitedLines: readonly bigint[]
}

/** A network namespace: a path, a name as `ip netns` gives them, or a file descriptor; undefined: that of the calling thread. */
export type NetnsName = string | number | undefined

/** Which programs are attached to something that has no ids of its own: BPF_PROG_QUERY. */
export interface AttachmentQuery {
  /** A cgroup's directory, an interface, or a network namespace itself. */
  readonly target:
    | { readonly cgroup: string }
    | { readonly ifindex: number; readonly netns: NetnsName }
    | { readonly netns: NetnsName }
  /** BPF_ATTACH_TYPE. */
  readonly attachType: number
  /** BPF_F_QUERY_EFFECTIVE: with what comes from ancestors. */
  readonly effective: boolean
  /** What the kernel is asked beside program ids: flags by program (cgroups, Linux 6.0), link ids (tcx and netkit, 6.6). */
  readonly details: 'none' | 'flags' | 'links'
}

export interface AttachedPrograms {
  /** BPF_F_ALLOW_OVERRIDE (1), BPF_F_ALLOW_MULTI (2). */
  readonly attachFlags: number
  /** In the order in which they run. */
  readonly programIds: readonly number[]
  /** One for each, if asked for. */
  readonly flags?: readonly number[]
  /** One for each, if asked for; 0: attached without a link. */
  readonly linkIds?: readonly number[]
}

/** What a descriptor of a process runs: BPF_TASK_FD_QUERY, Linux 4.18. */
export interface TaskFile {
  readonly programId: number
  /** BPF_FD_TYPE_*: see `TASK_FILE_TYPES`. */
  readonly type: number
  /** Of a tracepoint, function or file. */
  readonly name: string
  readonly offset: bigint
  readonly address: bigint
}

/** A process that has a descriptor of an object. */
export interface Holder {
  readonly id: number
  readonly pid: number
  readonly comm: string
  readonly fd: number
}

export interface KernelIntrospection {
  /** The least id above `after`; undefined: there is none. @throws BpfError `EPERM` */
  nextId(kind: ObjectKind, after: number): number | undefined
  program(program: Reference): ProgramFacts
  programCode(program: Reference): ProgramCode
  map(map: Reference): MapFacts
  btf(id: number): BtfFacts
  /** The blob. */
  btfBytes(id: number): Uint8Array
  /** Name of a type of a BTF object: the function of a tracing program, the struct of a struct_ops map; undefined where it can't be had. */
  btfTypeName(btf: number, type: number): string | undefined
  /** undefined: this kernel has no such attach type, or the target takes none. */
  attached(query: AttachmentQuery): AttachedPrograms | undefined
  /** undefined: nothing of BPF. */
  taskFile(pid: number, fd: number): TaskFile | undefined
  /** Every descriptor of an object of this kind in every process that this one may look into. */
  holders(kind: Exclude<ObjectKind, 'btf'>): readonly Holder[]
  /** Counts runs and their time, of all programs, until it is closed. Linux 5.8. */
  countRunTime(): { close(): void }
  /**
   * Asks rtnetlink.
   * @param request a message with its header
   * @returns the messages of the answer, without the last one that says that it is whole
   */
  netlink(request: Uint8Array, netns: NetnsName, subject: string): Uint8Array
}
