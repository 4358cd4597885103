/**
 * What Linux must be, and what a process must hold, for a program type, a map type, an attachment or a helper.
 *
 * Source: Kconfig and Makefiles of Linux 6.18 (which option builds what), the capability checks of kernel/bpf/syscall.c,
 * kernel/bpf/verifier.c and of the attach paths, man pages capabilities(7) and bpf(2), and the releases in which the commits appeared.
 */
import type { Capability } from './capabilities.js'
import type { ConditionName } from './conditions.js'
import { helperById, helperByName } from './helpers.js'
import { mapType } from './map-types.js'
import { programType } from './program-types.js'

export interface Requirement {
  /** First Linux that has it. */
  readonly since: string
  /** Options with which the kernel must be built: all of them. */
  readonly config: readonly string[]
  /** What a process must hold; for an attachment, beside what its program takes. */
  readonly capabilities: readonly Capability[]
  /** What else must be so: a mount, a sysctl. */
  readonly conditions: readonly ConditionName[]
  /** What takes less, for people. */
  readonly instead?: string
  /** Anybody may, without any capability, where the sysctl kernel.unprivileged_bpf_disabled is 0. */
  readonly forEverybody?: true
}

/** Since July 2025: Linux 6.17, and the long-term kernels of that time. A probe within an instruction changes what is executed. */
const UPROBE_ALTERNATIVE =
  'CAP_PERFMON is enough for uprobe.multi (Linux 6.6), and was for single probes before July 2025'
const KPROBES = ['perf events', 'kprobes unlocked'] as const satisfies readonly ConditionName[]
const USDT_ALTERNATIVE = 'CAP_PERFMON is enough with libbpf 1.3 and Linux 6.6'

function needs(
  since: string,
  config: readonly string[] = [],
  capabilities: readonly Capability[] = [],
  more: Partial<Pick<Requirement, 'conditions' | 'instead' | 'forEverybody'>> = {},
): Requirement {
  return { since, config, capabilities, conditions: [], ...more }
}

/** By the `kind` of an attach request. */
export const ATTACHMENTS = {
  kprobe: needs('4.1', ['CONFIG_KPROBES', 'CONFIG_KPROBE_EVENTS'], ['CAP_PERFMON'], { conditions: KPROBES }),
  'kprobe.multi': needs('5.18', ['CONFIG_KPROBES', 'CONFIG_FPROBE'], ['CAP_PERFMON']),
  'kprobe.session': needs('6.10', ['CONFIG_KPROBES', 'CONFIG_FPROBE'], ['CAP_PERFMON']),
  ksyscall: needs('4.1', ['CONFIG_KPROBES', 'CONFIG_KPROBE_EVENTS'], ['CAP_PERFMON'], {
    conditions: KPROBES,
  }),
  uprobe: needs('4.1', ['CONFIG_UPROBES', 'CONFIG_UPROBE_EVENTS'], ['CAP_SYS_ADMIN'], {
    instead: UPROBE_ALTERNATIVE,
  }),
  'uprobe.multi': needs('6.6', ['CONFIG_UPROBES'], ['CAP_PERFMON']),
  'uprobe.session': needs('6.13', ['CONFIG_UPROBES'], ['CAP_PERFMON']),
  usdt: needs('4.20', ['CONFIG_UPROBES', 'CONFIG_UPROBE_EVENTS'], ['CAP_SYS_ADMIN'], {
    instead: USDT_ALTERNATIVE,
  }),
  tracepoint: needs('4.7', ['CONFIG_BPF_EVENTS'], ['CAP_PERFMON'], {
    conditions: ['tracefs', 'perf events'],
  }),
  rawTracepoint: needs('4.17', ['CONFIG_BPF_EVENTS'], ['CAP_PERFMON']),
  trace: needs('5.5', ['CONFIG_BPF_EVENTS', 'CONFIG_BPF_JIT', 'CONFIG_DEBUG_INFO_BTF'], ['CAP_PERFMON']),
  fentry: needs(
    '5.5',
    [
      'CONFIG_BPF_EVENTS',
      'CONFIG_BPF_JIT',
      'CONFIG_DEBUG_INFO_BTF',
      'CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS',
    ],
    ['CAP_PERFMON'],
  ),
  lsm: needs('5.7', ['CONFIG_BPF_LSM', 'CONFIG_DEBUG_INFO_BTF'], ['CAP_PERFMON'], {
    conditions: ['bpf module'],
  }),
  lsm_cgroup: needs('6.0', ['CONFIG_BPF_LSM', 'CONFIG_CGROUP_BPF'], ['CAP_PERFMON', 'CAP_NET_ADMIN'], {
    conditions: ['bpf module'],
  }),
  freplace: needs('5.6', ['CONFIG_BPF_JIT', 'CONFIG_DEBUG_INFO_BTF'], ['CAP_PERFMON', 'CAP_NET_ADMIN']),
  perfEvent: needs('4.9', ['CONFIG_PERF_EVENTS'], ['CAP_PERFMON'], { conditions: ['perf events'] }),
  iter: needs('5.8', ['CONFIG_DEBUG_INFO_BTF'], ['CAP_PERFMON']),
  xdp: needs('4.8', ['CONFIG_NET'], ['CAP_NET_ADMIN']),
  'xdp.link': needs('5.9', ['CONFIG_NET'], ['CAP_NET_ADMIN']),
  tcx: needs('6.6', ['CONFIG_NET_XGRESS'], ['CAP_NET_ADMIN']),
  clsact: needs(
    '4.5',
    ['CONFIG_NET_CLS_BPF', 'CONFIG_NET_CLS_ACT', 'CONFIG_NET_SCH_INGRESS'],
    ['CAP_NET_ADMIN'],
  ),
  netkit: needs('6.7', ['CONFIG_NETKIT'], ['CAP_NET_ADMIN']),
  cgroup: needs('4.10', ['CONFIG_CGROUP_BPF'], ['CAP_NET_ADMIN'], { conditions: ['cgroup2'] }),
  'cgroup.link': needs('5.7', ['CONFIG_CGROUP_BPF'], ['CAP_NET_ADMIN'], { conditions: ['cgroup2'] }),
  netns: needs('5.8', ['CONFIG_NET'], ['CAP_NET_ADMIN']),
  netfilter: needs('6.4', ['CONFIG_NETFILTER_BPF_LINK'], ['CAP_NET_ADMIN']),
  sockmap: needs('4.14', ['CONFIG_NET', 'CONFIG_BPF_STREAM_PARSER'], ['CAP_NET_ADMIN']),
  'sockmap.link': needs('6.10', ['CONFIG_NET', 'CONFIG_BPF_STREAM_PARSER'], ['CAP_NET_ADMIN']),
  socket: needs('3.19', ['CONFIG_NET']),
  structOps: needs('5.6', ['CONFIG_BPF_JIT', 'CONFIG_DEBUG_INFO_BTF'], ['CAP_NET_ADMIN']),
  lwt: needs('4.10', ['CONFIG_LWTUNNEL_BPF'], ['CAP_NET_ADMIN']),
  seg6local: needs('4.18', ['CONFIG_IPV6_SEG6_BPF'], ['CAP_NET_ADMIN']),
  lirc: needs('4.18', ['CONFIG_BPF_LIRC_MODE2']),
} as const satisfies Readonly<Record<string, Requirement>>

export type AttachmentName = keyof typeof ATTACHMENTS

/** Options that a program type takes beside CONFIG_BPF_SYSCALL, by its name. */
const PROGRAM_CONFIG: Readonly<Record<string, readonly string[]>> = {
  kprobe: ['CONFIG_BPF_EVENTS'],
  tracepoint: ['CONFIG_BPF_EVENTS'],
  perf_event: ['CONFIG_BPF_EVENTS'],
  raw_tracepoint: ['CONFIG_BPF_EVENTS'],
  raw_tracepoint_writable: ['CONFIG_BPF_EVENTS'],
  tracing: ['CONFIG_BPF_EVENTS', 'CONFIG_BPF_JIT', 'CONFIG_DEBUG_INFO_BTF'],
  cgroup_device: ['CONFIG_CGROUP_BPF'],
  cgroup_sysctl: ['CONFIG_CGROUP_BPF'],
  cgroup_sockopt: ['CONFIG_CGROUP_BPF'],
  lirc_mode2: ['CONFIG_BPF_LIRC_MODE2'],
  sk_reuseport: ['CONFIG_INET'],
  sk_lookup: ['CONFIG_INET'],
  struct_ops: ['CONFIG_BPF_JIT', 'CONFIG_DEBUG_INFO_BTF'],
  ext: ['CONFIG_BPF_JIT', 'CONFIG_DEBUG_INFO_BTF'],
  lsm: ['CONFIG_BPF_LSM', 'CONFIG_DEBUG_INFO_BTF'],
  netfilter: ['CONFIG_NETFILTER_BPF_LINK'],
}
const NETWORK_PROGRAMS: ReadonlySet<string> = new Set([
  'socket_filter', 'sched_cls', 'sched_act', 'xdp', 'cgroup_skb', 'cgroup_sock', 'lwt_in', 'lwt_out', 'lwt_xmit', 'sock_ops', 'sk_skb',
  'sk_msg', 'cgroup_sock_addr', 'lwt_seg6local', 'flow_dissector',
]) // prettier-ignore

/** What it takes to load a program of a type; undefined for a type that isn't known. Before Linux 5.8, all of it is CAP_SYS_ADMIN. */
export function programRequirement(type: number): Requirement | undefined {
  const info = programType(type)
  if (info === undefined) return undefined
  const config = PROGRAM_CONFIG[info.name] ?? (NETWORK_PROGRAMS.has(info.name) ? ['CONFIG_NET'] : [])
  const capabilities = info.capabilities.map((one) => (one === 'perfmon' ? 'CAP_PERFMON' : 'CAP_NET_ADMIN'))
  return needs(
    info.since,
    ['CONFIG_BPF_SYSCALL', ...config],
    ['CAP_BPF', ...capabilities],
    EVERYBODYS_PROGRAMS.has(info.name) ? { forEverybody: true } : {},
  )
}

/** Types that need no capability where kernel.unprivileged_bpf_disabled is 0. */
const EVERYBODYS_PROGRAMS: ReadonlySet<string> = new Set(['socket_filter', 'cgroup_skb'])
const EVERYBODYS_MAPS: ReadonlySet<string> = new Set([
  'array', 'percpu_array', 'prog_array', 'perf_event_array', 'cgroup_array', 'array_of_maps', 'hash', 'percpu_hash', 'hash_of_maps',
  'ringbuf', 'user_ringbuf', 'cgroup_storage', 'percpu_cgroup_storage',
]) // prettier-ignore

/** The condition under which a program may call a helper, beside its type; undefined: none. @param id BPF_FUNC_* */
export function helperCondition(id: number): ConditionName | undefined {
  const name = helperById(id)?.name ?? ''
  if (name === 'probe_write_user') return 'user memory unlocked'
  return KERNEL_READERS.has(name) ? 'kernel memory unlocked' : undefined
}

/** Helpers that lockdown takes away, for they read any memory of the kernel. */
const KERNEL_READERS: ReadonlySet<string> = new Set([
  'probe_read',
  'probe_read_str',
  'probe_read_kernel',
  'probe_read_kernel_str',
])

/** Options that a map type takes beside CONFIG_BPF_SYSCALL, by its name. */
const MAP_CONFIG: Readonly<Record<string, readonly string[]>> = {
  perf_event_array: ['CONFIG_PERF_EVENTS'],
  stack_trace: ['CONFIG_PERF_EVENTS'],
  cgroup_array: ['CONFIG_CGROUPS'],
  devmap: ['CONFIG_NET'],
  devmap_hash: ['CONFIG_NET'],
  cpumap: ['CONFIG_NET'],
  sockmap: ['CONFIG_NET'],
  sockhash: ['CONFIG_NET'],
  sk_storage: ['CONFIG_NET'],
  xskmap: ['CONFIG_XDP_SOCKETS'],
  cgroup_storage: ['CONFIG_CGROUP_BPF'],
  percpu_cgroup_storage: ['CONFIG_CGROUP_BPF'],
  reuseport_sockarray: ['CONFIG_INET'],
  struct_ops: ['CONFIG_BPF_JIT', 'CONFIG_DEBUG_INFO_BTF'],
  inode_storage: ['CONFIG_BPF_LSM'],
  cgrp_storage: ['CONFIG_CGROUPS'],
  arena: ['CONFIG_MMU', 'CONFIG_64BIT'],
}
const NET_ADMIN_MAPS: ReadonlySet<string> = new Set([
  'sockmap',
  'sockhash',
  'devmap',
  'devmap_hash',
  'xskmap',
])

/** What it takes to create a map of a type; undefined for a type that isn't known. */
export function mapRequirement(type: number): Requirement | undefined {
  const info = mapType(type)
  if (info === undefined) return undefined
  const capability: readonly Capability[] = NET_ADMIN_MAPS.has(info.name)
    ? ['CAP_BPF', 'CAP_NET_ADMIN']
    : ['CAP_BPF']
  return needs(
    info.since,
    ['CONFIG_BPF_SYSCALL', ...(MAP_CONFIG[info.name] ?? [])],
    capability,
    EVERYBODYS_MAPS.has(info.name) ? { forEverybody: true } : {},
  )
}

/** Ids are given out in order: the last one of each release. */
const LAST_HELPERS: readonly (readonly [id: number, since: string])[] = [
  [3, '3.19'], [11, '4.1'], [16, '4.2'], [22, '4.3'], [25, '4.4'], [26, '4.5'], [30, '4.6'], [36, '4.8'], [41, '4.9'], [44, '4.10'],
  [45, '4.11'], [47, '4.12'], [50, '4.13'], [53, '4.14'], [57, '4.15'], [59, '4.16'], [64, '4.17'], [80, '4.18'], [83, '4.19'],
  [90, '4.20'], [92, '5.0'], [98, '5.1'], [108, '5.2'], [110, '5.3'], [116, '5.5'], [119, '5.6'], [124, '5.7'], [135, '5.8'],
  [141, '5.9'], [155, '5.10'], [162, '5.11'], [163, '5.12'], [165, '5.13'], [168, '5.14'], [175, '5.15'], [179, '5.16'],
  [185, '5.17'], [193, '5.18'], [203, '5.19'], [207, '6.0'], [209, '6.1'], [211, '6.2'],
] // prettier-ignore

/** First Linux that has a helper in some program type; undefined for one that isn't known. @param name with or without `bpf_` */
export function helperSince(name: string): string | undefined {
  const id = helperByName(name)?.id
  return id === undefined ? undefined : LAST_HELPERS.find(([last]) => id <= last)?.[1]
}

/** What a SEC() name attaches as: the first row that fits the name's prefix. A prefix that isn't here is attached to nothing (`syscall`). */
const SECTION_ATTACHMENTS: readonly (readonly [prefix: RegExp, attachment: AttachmentName])[] = [
  [/^(kprobe|kretprobe)\.multi/, 'kprobe.multi'],
  [/^kprobe\.session/, 'kprobe.session'],
  [/^(kprobe|kretprobe)/, 'kprobe'],
  [/^(ksyscall|kretsyscall)/, 'ksyscall'],
  [/^(uprobe|uretprobe)\.multi/, 'uprobe.multi'],
  [/^uprobe\.session/, 'uprobe.session'],
  [/^(uprobe|uretprobe)/, 'uprobe'],
  [/^usdt/, 'usdt'],
  [/^(tracepoint|tp)$/, 'tracepoint'],
  [/^raw_t/, 'rawTracepoint'],
  [/^tp_btf/, 'trace'],
  [/^(fentry|fexit|fsession|fmod_ret)/, 'fentry'],
  [/^freplace/, 'freplace'],
  [/^lsm_cgroup/, 'lsm_cgroup'],
  [/^lsm/, 'lsm'],
  [/^iter/, 'iter'],
  [/^perf_event/, 'perfEvent'],
  [/^struct_ops/, 'structOps'],
  [/^xdp/, 'xdp'],
  [/^netkit/, 'netkit'],
  [/^tcx/, 'tcx'],
  [/^(tc|classifier|action)/, 'clsact'],
  [/^netfilter/, 'netfilter'],
  [/^lwt_seg6local/, 'seg6local'],
  [/^lwt/, 'lwt'],
  [/^(flow_dissector|sk_lookup)/, 'netns'],
  [/^lirc/, 'lirc'],
  [/^(cgroup|sockops)/, 'cgroup'],
  [/^(sk_skb|sk_msg)/, 'sockmap'],
  [/^(socket|sk_reuseport)/, 'socket'],
]

/** What it takes to attach a program, by the prefix of its SEC() name; undefined where it is attached to nothing. */
export function sectionRequirement(prefix: string): Requirement | undefined {
  const name = SECTION_ATTACHMENTS.find(([pattern]) => pattern.test(prefix))?.[1]
  return name && ATTACHMENTS[name]
}
