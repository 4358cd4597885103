/**
 * What a kernel tells of an attachment, by link type.
 *
 * Source: `struct bpf_link_info` of linux/bpf.h (Linux 6.18). What an older kernel doesn't tell is undefined.
 */

/** What every link tells. */
interface LinkBase {
  /** Kernel id (Linux 5.8); 0 for what is no BPF link. */
  readonly id: number
  /** Id of the program, the current one after an update; 0 where there is none (struct_ops). */
  readonly programId: number
}

/** A raw tracepoint: of `raw_tp` and `tp_btf` programs. */
export interface RawTracepointLinkInfo extends LinkBase {
  readonly type: 'raw_tracepoint'
  /** Name of the tracepoint. */
  readonly name: string
  /** Linux 6.17. */
  readonly cookie: bigint | undefined
}

/** fentry, fexit, fmod_ret, LSM, freplace. */
export interface TracingLinkInfo extends LinkBase {
  readonly type: 'tracing'
  /** Under libbpf's name: `trace_fentry`. */
  readonly attachType: string
  /** Id of the BTF object (of the kernel, a module) or, for freplace, of the program that is extended; 0: not told (before Linux 5.13). */
  readonly targetObjectId: number
  /** The function's type there. */
  readonly targetBtfId: number
  /** Linux 6.17. */
  readonly cookie: bigint | undefined
}

export interface CgroupLinkInfo extends LinkBase {
  readonly type: 'cgroup'
  /** 0: the cgroup is gone. */
  readonly cgroupId: bigint
  readonly attachType: string
}

export interface IteratorLinkInfo extends LinkBase {
  readonly type: 'iter'
  /** `task`, `bpf_map`, `bpf_map_elem` … */
  readonly name: string
  /** Of iterators over a map's elements. */
  readonly mapId: number | undefined
  /** Of iterators over cgroups. */
  readonly cgroup: { readonly id: bigint; readonly order: string } | undefined
  /** Of iterators over tasks; 0: not limited. */
  readonly task: { readonly tid: number; readonly pid: number } | undefined
}

export interface NetnsLinkInfo extends LinkBase {
  readonly type: 'netns'
  /** Inode of the network namespace, as in /proc/PID/ns/net; 0: it is gone. */
  readonly netnsInode: number
  readonly attachType: string
}

export interface XdpLinkInfo extends LinkBase {
  readonly type: 'xdp'
  /** 0: detached, or the interface is gone. */
  readonly ifindex: number
}

export interface StructOpsLinkInfo extends LinkBase {
  readonly type: 'struct_ops'
  readonly mapId: number
}

export interface NetfilterLinkInfo extends LinkBase {
  readonly type: 'netfilter'
  /** NFPROTO_*. */
  readonly protocolFamily: number
  /** NF_INET_*. */
  readonly hook: number
  readonly priority: number
  readonly flags: number
}

export interface KprobeMultiLinkInfo extends LinkBase {
  readonly type: 'kprobe_multi'
  /** Addresses; zeros where kptr_restrict hides them. Linux 6.6. */
  readonly addresses: readonly bigint[]
  /** One for each address; empty where none were given. Linux 6.9. */
  readonly cookies: readonly bigint[]
  readonly retprobe: boolean
  /** Runs that the kernel left out since the program was running on that CPU. Linux 6.7. */
  readonly missed: bigint
}

export interface UprobeMultiLinkInfo extends LinkBase {
  readonly type: 'uprobe_multi'
  readonly path: string
  readonly offsets: readonly bigint[]
  /** Zeros where there are none. */
  readonly refCtrOffsets: readonly bigint[]
  readonly cookies: readonly bigint[]
  readonly retprobe: boolean
  /** 0: every process. */
  readonly pid: number
}

export interface TcxLinkInfo extends LinkBase {
  readonly type: 'tcx' | 'netkit'
  readonly ifindex: number
  readonly attachType: string
}

export interface SockmapLinkInfo extends LinkBase {
  readonly type: 'sockmap'
  readonly mapId: number
  readonly attachType: string
}

/** A link over perf events: kprobe, uprobe, USDT, tracepoint, sampled event. What it is over, Linux tells since 6.6. */
export interface PerfEventLinkInfo extends LinkBase {
  readonly type: 'perf_event'
  readonly event: PerfEventInfo | undefined
}

export type PerfEventInfo =
  | {
      readonly kind: 'uprobe' | 'uretprobe'
      readonly path: string
      readonly offset: number
      readonly cookie: bigint | undefined
      /** Linux 6.17. */
      readonly refCtrOffset: bigint | undefined
    }
  | {
      readonly kind: 'kprobe' | 'kretprobe'
      readonly function: string
      readonly offset: number
      /** 0 where kptr_restrict hides it. */
      readonly address: bigint
      readonly missed: bigint | undefined
      readonly cookie: bigint | undefined
    }
  | { readonly kind: 'tracepoint'; readonly name: string; readonly cookie: bigint | undefined }
  | {
      readonly kind: 'event'
      /** PERF_TYPE_* and its config. */
      readonly eventType: number
      readonly config: bigint
      readonly cookie: bigint | undefined
    }

/** Several links that were made as one: a perf event on each CPU, the probes of a USDT. */
export interface LinkGroupInfo extends LinkBase {
  readonly type: 'group'
  readonly links: readonly LinkInfo[]
}

/** An attachment that is no BPF link, such as a clsact filter, a socket filter, or a probe before Linux 5.15: it can't be pinned. */
export interface NoLinkInfo extends LinkBase {
  readonly type: 'none'
  /** Of a clsact filter, as is the priority: what it takes to replace it. */
  readonly handle?: number
  readonly priority?: number
}

/** A link whose type is newer than this library. */
export interface UnknownLinkInfo extends LinkBase {
  readonly type: 'unknown'
  /** BPF_LINK_TYPE_*. */
  readonly number: number
}

/** Told apart by `type`. */
export type LinkInfo =
  | RawTracepointLinkInfo
  | TracingLinkInfo
  | CgroupLinkInfo
  | IteratorLinkInfo
  | NetnsLinkInfo
  | XdpLinkInfo
  | PerfEventLinkInfo
  | KprobeMultiLinkInfo
  | StructOpsLinkInfo
  | NetfilterLinkInfo
  | TcxLinkInfo
  | UprobeMultiLinkInfo
  | SockmapLinkInfo
  | LinkGroupInfo
  | NoLinkInfo
  | UnknownLinkInfo
