/**
 * What crosses the seam when a program is attached to a place that is named explicitly: one kind for each of libbpf's
 * `bpf_program__attach_*()` calls. Plain data: numbers, strings, descriptors and handles. Names are resolved as far as
 * the kind says; what is left out is what Linux does by default.
 *
 * Cookies are unsigned 64-bit numbers that the program reads with bpf_get_attach_cookie().
 */

/** A map or program of the same kernel: whoever is given one checks that it is its own. */
export interface KernelHandle {
  readonly info: { readonly name: string }
}

/** A handle of the same kernel, or a file descriptor, which stays the caller's. */
export type HandleOrFd = KernelHandle | number

export type AttachRequest =
  | KprobeRequest
  | KprobeMultiRequest
  | KsyscallRequest
  | UprobeRequest
  | UprobeMultiRequest
  | UsdtRequest
  | TracepointRequest
  | RawTracepointRequest
  | TraceRequest
  | LsmRequest
  | FreplaceRequest
  | PerfEventRequest
  | IteratorRequest
  | XdpRequest
  | TcRequest
  | CgroupRequest
  | NetnsRequest
  | NetfilterRequest
  | SockmapRequest
  | SocketRequest
  | LwtRequest

/** `'kprobe'`, `'kprobe.multi'`, `'xdp'` … */
export type AttachKind = AttachRequest['kind']

/** A request of one kind. */
export type RequestOf<K extends AttachKind> = Extract<AttachRequest, { readonly kind: K }>

interface WithCookie {
  readonly cookie?: bigint | undefined
}

/**
 * How a probe is made. `perf`: a perf event that is closed with the link; `link`: the same under a BPF link (Linux 5.15); `legacy`: an event in
 * tracefs (before Linux 4.17). undefined: the newest that the kernel has.
 */
export type ProbeMode = 'legacy' | 'perf' | 'link'

/** kprobe and kretprobe. Needs CONFIG_KPROBES. */
export interface KprobeRequest extends WithCookie {
  readonly kind: 'kprobe'
  readonly function: string
  /** Bytes behind the start of the function. */
  readonly offset?: number | undefined
  /** At the function's return. */
  readonly retprobe?: boolean | undefined
  readonly mode?: ProbeMode | undefined
}

/** Many functions of the kernel with one link; a session, if the program was loaded for one. Needs CONFIG_FPROBE; Linux 5.18, sessions 6.10. */
export interface KprobeMultiRequest {
  readonly kind: 'kprobe.multi'
  /** Names, or a pattern of names with `*` and `?`. */
  readonly functions: readonly string[] | string
  /** One for each function. */
  readonly cookies?: readonly bigint[] | undefined
  readonly retprobe?: boolean | undefined
}

/** A system call by its name without prefix: libbpf finds the architecture's function. */
export interface KsyscallRequest extends WithCookie {
  readonly kind: 'ksyscall'
  readonly syscall: string
  readonly retprobe?: boolean | undefined
}

/** uprobe and uretprobe. */
export interface UprobeRequest extends WithCookie {
  readonly kind: 'uprobe'
  /** Executable or shared library: a path, or a name that the kernel finds. */
  readonly binary: string
  readonly function?: string | undefined
  /** Bytes behind the start of `function`, or offset in the file. */
  readonly offset: number
  readonly retprobe?: boolean | undefined
  /** -1: every process; 0: this one. */
  readonly pid: number
  /** Offset in the file of a semaphore that counts the probes, as USDT has them; 0: none. */
  readonly refCtrOffset?: number | undefined
  readonly mode?: ProbeMode | undefined
}

/** Many places of one file with one link; a session, if the program was loaded for one. Linux 6.6, sessions 6.13. */
export interface UprobeMultiRequest {
  readonly kind: 'uprobe.multi'
  readonly binary: string
  /** Functions by name, or by a pattern with `*` and `?`; or offsets in the file. */
  readonly places: readonly string[] | string | readonly number[]
  /** Like `places`, one for each. */
  readonly refCtrOffsets?: readonly number[] | undefined
  readonly cookies?: readonly bigint[] | undefined
  readonly retprobe?: boolean | undefined
  /** 0: every process. */
  readonly pid: number
}

/** A user statically defined tracepoint: libbpf finds it in the ELF notes. */
export interface UsdtRequest extends WithCookie {
  readonly kind: 'usdt'
  readonly binary: string
  readonly provider: string
  readonly name: string
  /** -1: every process; 0: this one. */
  readonly pid: number
}

export interface TracepointRequest extends WithCookie {
  readonly kind: 'tracepoint'
  /** `sched` */
  readonly category: string
  /** `sched_process_exec` */
  readonly name: string
}

/** Cookie: Linux 6.10. */
export interface RawTracepointRequest extends WithCookie {
  readonly kind: 'rawTracepoint'
  /** Name without the category. */
  readonly name: string
}

/** tp_btf, fentry, fexit, fmod_ret: the place is known since the program was loaded. Cookie: Linux 6.0 (tp_btf 6.10). */
export interface TraceRequest extends WithCookie {
  readonly kind: 'trace'
}

/** An LSM hook, known since the program was loaded. */
export interface LsmRequest {
  readonly kind: 'lsm'
}

/** A function of another program; without a target, the one that the program was loaded for. Linux 5.10. */
export interface FreplaceRequest {
  readonly kind: 'freplace'
  readonly target?: { readonly program: HandleOrFd; readonly function: string } | undefined
}

/** A sampled or counted perf event: perf_event_open(2). */
export interface PerfEventRequest extends WithCookie {
  readonly kind: 'perfEvent'
  /** PERF_TYPE_*. */
  readonly type: number
  readonly config: bigint
  /** Of the attributes, what some types have to say beside `config`; of a breakpoint, address and length. */
  readonly config1?: bigint | undefined
  readonly config2?: bigint | undefined
  /** HW_BREAKPOINT_*. */
  readonly breakpoint?: number | undefined
  /** One event on each; undefined: every one that is on, or, of a process, wherever it runs. */
  readonly cpus?: readonly number[] | undefined
  /** -1: every process; 0: this one. */
  readonly pid: number
  /** Processes of this cgroup: a folder of cgroup2, or the descriptor of one. `pid` is -1 then. */
  readonly cgroup?: string | number | undefined
  /** What processes start after the attachment counts too. */
  readonly inherit?: boolean | undefined
  /** What isn't counted. */
  readonly exclude?:
    { readonly kernel: boolean; readonly user: boolean; readonly hypervisor: boolean } | undefined
  /** How near the sampled instruction must be to the event: attribute precise_ip, 0 to 3. */
  readonly precise?: number | undefined
  /** One or the other. */
  readonly sample: { readonly frequency: number } | { readonly period: bigint }
}

/** What an iterator walks over; without, what it does by itself: all tasks, all maps … */
export interface IteratorRequest {
  readonly kind: 'iter'
  /** iter/bpf_map_elem, bpf_sk_storage_map. */
  readonly map?: HandleOrFd | undefined
  /** iter/cgroup: a folder of cgroup2, or the descriptor of one. Linux 6.1. */
  readonly cgroup?: { readonly folder: string | number; readonly order: CgroupOrder } | undefined
  /** iter/task, task_file, task_vma. Linux 6.1. */
  readonly task?: TaskScope | undefined
}

/** Of `enum bpf_cgroup_iter_order`. */
export type CgroupOrder = 'self' | 'descendantsPre' | 'descendantsPost' | 'ancestorsUp'

/** One thread, all threads of a process, or those of a pidfd's process. */
export type TaskScope = { readonly tid: number } | { readonly pid: number } | { readonly pidFd: number }

// ── networks, cgroups, sockets ───────────────────────────────────────────────────────────────────────────────────────

/** A network namespace: a file that stands for it (`/run/netns/blue`, `/proc/42/ns/net`), or the descriptor of one. */
export type NetnsReference = string | number

/** A network interface of a namespace. */
interface AtInterface {
  /** Name or index. */
  readonly interface: string | number
  /** Where the interface is; undefined: in the namespace of this thread. */
  readonly netns?: NetnsReference | undefined
}

/** Where a packet meets an XDP program: in the driver, behind it, or on the card; undefined: in the driver if it can, else behind it. */
export type XdpMode = 'native' | 'generic' | 'offload'

/** A network interface's XDP hook. Linux 5.9 as a link, 4.8 without. */
export interface XdpRequest extends AtInterface {
  readonly kind: 'xdp'
  readonly mode?: XdpMode | undefined
  /** `link`: a BPF link; `netlink`: the older attachment, which lasts until it is taken away. */
  readonly via: 'link' | 'netlink'
  /** `netlink` only: takes the place of this program, or of whichever is there (true). Without: nothing may be there. */
  readonly replace?: HandleOrFd | boolean | undefined
}

/** A program or link that is attached to the same hook, by its kernel id. */
export type Neighbour = { readonly programId: number } | { readonly linkId: number }

/** Where among the programs of a hook. */
export type Anchor = 'first' | 'last' | { readonly before: Neighbour } | { readonly after: Neighbour }

/** Where on its way a packet meets a program of traffic control; the last two are the ends of a netkit pair. */
export type TcDirection = 'ingress' | 'egress' | 'primary' | 'peer'

/** What holds a program of traffic control. tcx: Linux 6.6, netkit: 6.7. */
export type TcMechanism = 'tcx' | 'clsact' | 'netkit'

/** Traffic control. */
export interface TcRequest extends AtInterface {
  readonly kind: 'tc'
  readonly direction: TcDirection
  /** undefined: netkit for the ends of a pair, else tcx, and clsact where Linux has none. */
  readonly via?: TcMechanism | undefined
  /** tcx and netkit; undefined: `last`. */
  readonly order?: Anchor | undefined
  /** tcx and netkit: attaches only if the hook's list is at this revision. */
  readonly expectedRevision?: bigint | undefined
  /** clsact: of the filter; undefined: Linux chooses. */
  readonly handle?: number | undefined
  /** clsact: the smallest runs first, from 1; undefined: Linux chooses. */
  readonly priority?: number | undefined
  /** clsact: takes the place of the filter with the same handle and priority. */
  readonly replace?: boolean | undefined
}

/**
 * How a program shares a cgroup's hook. `link`: a BPF link, beside others. `multi`, `override`, `exclusive`: the older attachments, which last until
 * they are taken away: beside others, until a cgroup below has a program of its own, alone here and below.
 */
export type CgroupSharing = 'link' | 'multi' | 'override' | 'exclusive'

/** A cgroup's hook. Linux 4.10, as a link 5.7. */
export interface CgroupRequest {
  readonly kind: 'cgroup'
  /** A folder of cgroup2, or the descriptor of one. */
  readonly cgroup: string | number
  /** BPF_CGROUP_*; undefined: the program's expected one. */
  readonly attachType?: number | undefined
  readonly sharing: CgroupSharing
  /** `multi` only: the program whose place it takes. Linux 5.5. */
  readonly replace?: HandleOrFd | undefined
  /** `link` only; undefined: `last`. Linux 6.17. */
  readonly order?: Anchor | undefined
  /** As for {@link TcRequest}. Linux 6.17. */
  readonly expectedRevision?: bigint | undefined
}

/** flow_dissector (Linux 5.8 as a link) and sk_lookup (5.9). */
export interface NetnsRequest {
  readonly kind: 'netns'
  readonly netns: NetnsReference
}

/** Linux 6.4. */
export interface NetfilterRequest {
  readonly kind: 'netfilter'
  /** NFPROTO_IPV4 or NFPROTO_IPV6. */
  readonly protocolFamily: number
  /** NF_INET_*. */
  readonly hook: number
  /** The smallest runs first. Neither the least nor the greatest 32-bit number. */
  readonly priority: number
  /** BPF_F_NETFILTER_IP_DEFRAG. */
  readonly flags: number
  readonly netns?: NetnsReference | undefined
}

/** sk_msg and sk_skb programs on a sockmap or sockhash. A link since Linux 6.10. */
export interface SockmapRequest {
  readonly kind: 'sockmap'
  readonly map: HandleOrFd
  /** BPF_SK_*; undefined: the program's expected one. */
  readonly attachType?: number | undefined
  /** undefined: a link where Linux has them. */
  readonly via?: 'link' | 'map' | undefined
}

/** SO_ATTACH_BPF or, of a group that shares a port, SO_ATTACH_REUSEPORT_EBPF. */
export interface SocketRequest {
  readonly kind: 'socket'
  /** It stays the caller's. */
  readonly fd: number
  readonly reuseport: boolean
}

/** A route whose packets pass a program of type lwt_in, lwt_out or lwt_xmit. Linux 4.10. */
export interface LwtRequest extends AtInterface {
  readonly kind: 'lwt'
  /** Of the destination: `10.1.0.0`, `fd00::` */
  readonly address: string
  readonly prefixLength: number
  readonly gateway?: string | undefined
  /** RT_TABLE_*; undefined: main. */
  readonly table?: number | undefined
  /** Bytes of headroom that an lwt_xmit program adds at most; 256 is the limit. */
  readonly headroom?: number | undefined
}
