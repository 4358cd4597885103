/**
 * BPF program types: numbers, names, and what it takes to load one.
 *
 * Source: `enum bpf_prog_type` of linux/bpf.h, `is_net_admin_prog_type()` and `is_perfmon_prog_type()` of
 * kernel/bpf/syscall.c (Linux 6.18), man page bpf(2) and the commits' release for versions.
 */

/** BPF_PROG_TYPE_* without the prefix. */
export const BPF_PROG_TYPE = {
  UNSPEC: 0,
  SOCKET_FILTER: 1,
  KPROBE: 2,
  SCHED_CLS: 3,
  SCHED_ACT: 4,
  TRACEPOINT: 5,
  XDP: 6,
  PERF_EVENT: 7,
  CGROUP_SKB: 8,
  CGROUP_SOCK: 9,
  LWT_IN: 10,
  LWT_OUT: 11,
  LWT_XMIT: 12,
  SOCK_OPS: 13,
  SK_SKB: 14,
  CGROUP_DEVICE: 15,
  SK_MSG: 16,
  RAW_TRACEPOINT: 17,
  CGROUP_SOCK_ADDR: 18,
  LWT_SEG6LOCAL: 19,
  LIRC_MODE2: 20,
  SK_REUSEPORT: 21,
  FLOW_DISSECTOR: 22,
  CGROUP_SYSCTL: 23,
  RAW_TRACEPOINT_WRITABLE: 24,
  CGROUP_SOCKOPT: 25,
  TRACING: 26,
  STRUCT_OPS: 27,
  EXT: 28,
  LSM: 29,
  SK_LOOKUP: 30,
  SYSCALL: 31,
  NETFILTER: 32,
} as const

export type BpfProgType = (typeof BPF_PROG_TYPE)[keyof typeof BPF_PROG_TYPE]

/** A capability that a program type needs beside CAP_BPF (CAP_SYS_ADMIN has them all). */
export type ProgramCapability = 'perfmon' | 'net_admin'

export interface ProgramTypeInfo {
  readonly type: BpfProgType
  /** As bpftool and libbpf print it: `sched_cls`, `raw_tracepoint`. */
  readonly name: string
  /** Beside CAP_BPF, for loading. Attaching may need more: a cgroup's or a network namespace's CAP_NET_ADMIN. */
  readonly capabilities: readonly ProgramCapability[]
  /** First Linux that has the type. */
  readonly since: string
}

const NONE: readonly ProgramCapability[] = []
const NET: readonly ProgramCapability[] = ['net_admin']
const PERF: readonly ProgramCapability[] = ['perfmon']
const BOTH: readonly ProgramCapability[] = ['perfmon', 'net_admin']

/** Every type but UNSPEC, by number: the entry of type n is at n - 1. */
export const PROGRAM_TYPES: readonly ProgramTypeInfo[] = [
  { type: 1, name: 'socket_filter', capabilities: NONE, since: '3.19' },
  { type: 2, name: 'kprobe', capabilities: PERF, since: '4.1' },
  { type: 3, name: 'sched_cls', capabilities: NET, since: '4.1' },
  { type: 4, name: 'sched_act', capabilities: NET, since: '4.1' },
  { type: 5, name: 'tracepoint', capabilities: PERF, since: '4.7' },
  { type: 6, name: 'xdp', capabilities: NET, since: '4.8' },
  { type: 7, name: 'perf_event', capabilities: PERF, since: '4.9' },
  { type: 8, name: 'cgroup_skb', capabilities: NONE, since: '4.10' },
  { type: 9, name: 'cgroup_sock', capabilities: NET, since: '4.10' },
  { type: 10, name: 'lwt_in', capabilities: NET, since: '4.10' },
  { type: 11, name: 'lwt_out', capabilities: NET, since: '4.10' },
  { type: 12, name: 'lwt_xmit', capabilities: NET, since: '4.10' },
  { type: 13, name: 'sock_ops', capabilities: NET, since: '4.13' },
  { type: 14, name: 'sk_skb', capabilities: NET, since: '4.14' },
  { type: 15, name: 'cgroup_device', capabilities: NET, since: '4.15' },
  { type: 16, name: 'sk_msg', capabilities: NET, since: '4.17' },
  { type: 17, name: 'raw_tracepoint', capabilities: PERF, since: '4.17' },
  { type: 18, name: 'cgroup_sock_addr', capabilities: NET, since: '4.17' },
  { type: 19, name: 'lwt_seg6local', capabilities: NET, since: '4.18' },
  { type: 20, name: 'lirc_mode2', capabilities: NONE, since: '4.18' },
  { type: 21, name: 'sk_reuseport', capabilities: NONE, since: '4.19' },
  { type: 22, name: 'flow_dissector', capabilities: NET, since: '4.20' },
  { type: 23, name: 'cgroup_sysctl', capabilities: NET, since: '5.2' },
  { type: 24, name: 'raw_tracepoint_writable', capabilities: PERF, since: '5.2' },
  { type: 25, name: 'cgroup_sockopt', capabilities: NET, since: '5.3' },
  { type: 26, name: 'tracing', capabilities: PERF, since: '5.5' },
  { type: 27, name: 'struct_ops', capabilities: PERF, since: '5.6' },
  { type: 28, name: 'ext', capabilities: BOTH, since: '5.6' },
  { type: 29, name: 'lsm', capabilities: PERF, since: '5.7' },
  { type: 30, name: 'sk_lookup', capabilities: NONE, since: '5.9' },
  { type: 31, name: 'syscall', capabilities: NONE, since: '5.14' },
  { type: 32, name: 'netfilter', capabilities: NET, since: '6.4' },
]

/** Flags of BPF_PROG_LOAD: what a program's `flags` take. */
export const BPF_PROGRAM_FLAGS = {
  /** Check alignment as on machines that insist on it. */
  BPF_F_STRICT_ALIGNMENT: 1 << 0,
  BPF_F_ANY_ALIGNMENT: 1 << 1,
  BPF_F_TEST_RND_HI32: 1 << 2,
  BPF_F_TEST_STATE_FREQ: 1 << 3,
  /** May call helpers that sleep. Linux 5.10. */
  BPF_F_SLEEPABLE: 1 << 4,
  /** XDP: knows about packets in several buffers. Linux 5.18. */
  BPF_F_XDP_HAS_FRAGS: 1 << 5,
  BPF_F_XDP_DEV_BOUND_ONLY: 1 << 6,
  BPF_F_TEST_REG_INVARIANTS: 1 << 7,
} as const

/** Number of a program type by its name, as {@link programTypeName} gives it; undefined for what is none. */
export function programTypeByName(name: string): BpfProgType | undefined {
  return PROGRAM_TYPES.find((info) => info.name === name)?.type
}

/** Knowledge about a BPF_PROG_TYPE_* number; undefined for UNSPEC and for types that are newer than this table. */
export function programType(type: number): ProgramTypeInfo | undefined {
  return PROGRAM_TYPES[type - 1]
}

/** Name of a BPF_PROG_TYPE_* number as bpftool prints it; `type 99` for a number that isn't known. */
export function programTypeName(type: number): string {
  return type === BPF_PROG_TYPE.UNSPEC ? 'unspec' : (PROGRAM_TYPES[type - 1]?.name ?? `type ${type}`)
}
