/**
 * SEC() names: what the name of a program's section says about the program.
 *
 * Source: Documentation/bpf/libbpf/program_types.rst of the Linux kernel, as of libbpf 1.7.
 */
import { BpfError } from '../errors.js'
import { didYouMean, nearestWords } from '../nearest.js'
import { BPF_ATTACH_TYPE as A } from './attach-types.js'
import type { BpfAttachType } from './attach-types.js'
import { BPF_PROG_TYPE as P } from './program-types.js'
import type { BpfProgType } from './program-types.js'

export interface SectionEntry {
  /** The name, or the part of it in front of the target: `fentry`, `cgroup_skb/egress`. */
  readonly prefix: string
  readonly type: BpfProgType
  /** 0 where the type knows no attach types. */
  readonly expectedAttachType: BpfAttachType
  /** BPF_F_SLEEPABLE: the program may call helpers that sleep. */
  readonly sleepable: boolean
  /** BPF_F_XDP_HAS_FRAGS: the program knows about packets in several buffers. */
  readonly fragments: boolean
  /** Form of what may stand behind `prefix/`; undefined: nothing may. */
  readonly targetForm: string | undefined
  /**
   * Whether a name with a target says all that an attach takes. False: it takes an interface, a cgroup, a socket …
   * that the name can't tell.
   */
  readonly attachesByName: boolean
}

/** What a section's name was resolved to. */
export interface ResolvedSection extends SectionEntry {
  /** The part behind `prefix/`: `sched/sched_process_exec`; empty if there is none. */
  readonly target: string
}

interface Extras {
  readonly sleepable?: boolean
  readonly fragments?: boolean
  readonly target?: string
  readonly byName?: boolean
}

function row(
  prefix: string,
  type: BpfProgType,
  expectedAttachType: BpfAttachType = 0,
  { sleepable = false, fragments = false, target, byName = false }: Extras = {},
): SectionEntry {
  return {
    prefix,
    type,
    expectedAttachType,
    sleepable,
    fragments,
    targetForm: target,
    attachesByName: byName,
  }
}

const FUNCTION: Extras = { target: 'FUNCTION[+OFFSET]', byName: true }
const PATTERN: Extras = { target: 'PATTERN', byName: true }
const USER: Extras = { target: 'PATH:FUNCTION[+OFFSET]', byName: true }
const USER_PATTERN: Extras = { target: 'PATH:PATTERN', byName: true }
const SYSCALL: Extras = { target: 'SYSCALL', byName: true }
const USDT: Extras = { target: 'PATH:PROVIDER:NAME', byName: true }
const CATEGORY: Extras = { target: 'CATEGORY/NAME', byName: true }
const TRACEPOINT: Extras = { target: 'TRACEPOINT', byName: true }
const KERNEL: Extras = { target: 'FUNCTION', byName: true }
const HOOK: Extras = { target: 'HOOK', byName: true }
const ITERATOR: Extras = { target: 'ITERATOR', byName: true }
const SLEEPABLE = { sleepable: true } as const

/** Every section name that libbpf knows. */
export const SECTIONS: readonly SectionEntry[] = [
  row('socket', P.SOCKET_FILTER),
  row('sk_reuseport/migrate', P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT_OR_MIGRATE),
  row('sk_reuseport', P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT),

  row('kprobe', P.KPROBE, 0, FUNCTION),
  row('kretprobe', P.KPROBE, 0, { ...FUNCTION, target: 'FUNCTION' }),
  row('kprobe.multi', P.KPROBE, A.TRACE_KPROBE_MULTI, PATTERN),
  row('kretprobe.multi', P.KPROBE, A.TRACE_KPROBE_MULTI, PATTERN),
  row('kprobe.session', P.KPROBE, A.TRACE_KPROBE_SESSION, PATTERN),
  row('ksyscall', P.KPROBE, 0, SYSCALL),
  row('kretsyscall', P.KPROBE, 0, SYSCALL),

  row('uprobe', P.KPROBE, 0, USER),
  row('uprobe.s', P.KPROBE, 0, { ...USER, ...SLEEPABLE }),
  row('uretprobe', P.KPROBE, 0, USER),
  row('uretprobe.s', P.KPROBE, 0, { ...USER, ...SLEEPABLE }),
  row('uprobe.multi', P.KPROBE, A.TRACE_UPROBE_MULTI, USER_PATTERN),
  row('uprobe.multi.s', P.KPROBE, A.TRACE_UPROBE_MULTI, { ...USER_PATTERN, ...SLEEPABLE }),
  row('uretprobe.multi', P.KPROBE, A.TRACE_UPROBE_MULTI, USER_PATTERN),
  row('uretprobe.multi.s', P.KPROBE, A.TRACE_UPROBE_MULTI, { ...USER_PATTERN, ...SLEEPABLE }),
  row('uprobe.session', P.KPROBE, A.TRACE_UPROBE_SESSION, USER_PATTERN),
  row('uprobe.session.s', P.KPROBE, A.TRACE_UPROBE_SESSION, { ...USER_PATTERN, ...SLEEPABLE }),
  row('usdt', P.KPROBE, 0, USDT),
  row('usdt.s', P.KPROBE, 0, { ...USDT, ...SLEEPABLE }),

  row('tracepoint', P.TRACEPOINT, 0, CATEGORY),
  row('tp', P.TRACEPOINT, 0, CATEGORY),
  row('raw_tracepoint', P.RAW_TRACEPOINT, 0, TRACEPOINT),
  row('raw_tp', P.RAW_TRACEPOINT, 0, TRACEPOINT),
  row('raw_tracepoint.w', P.RAW_TRACEPOINT_WRITABLE, 0, TRACEPOINT),
  row('raw_tp.w', P.RAW_TRACEPOINT_WRITABLE, 0, TRACEPOINT),
  row('tp_btf', P.TRACING, A.TRACE_RAW_TP, TRACEPOINT),
  row('fentry', P.TRACING, A.TRACE_FENTRY, KERNEL),
  row('fentry.s', P.TRACING, A.TRACE_FENTRY, { ...KERNEL, ...SLEEPABLE }),
  row('fexit', P.TRACING, A.TRACE_FEXIT, KERNEL),
  row('fexit.s', P.TRACING, A.TRACE_FEXIT, { ...KERNEL, ...SLEEPABLE }),
  row('fsession', P.TRACING, A.TRACE_FSESSION, KERNEL),
  row('fsession.s', P.TRACING, A.TRACE_FSESSION, { ...KERNEL, ...SLEEPABLE }),
  row('fmod_ret', P.TRACING, A.MODIFY_RETURN, KERNEL),
  row('fmod_ret.s', P.TRACING, A.MODIFY_RETURN, { ...KERNEL, ...SLEEPABLE }),
  row('freplace', P.EXT, 0, KERNEL),
  row('lsm', P.LSM, A.LSM_MAC, HOOK),
  row('lsm.s', P.LSM, A.LSM_MAC, { ...HOOK, ...SLEEPABLE }),
  row('lsm_cgroup', P.LSM, A.LSM_CGROUP, { target: 'HOOK' }),
  row('iter', P.TRACING, A.TRACE_ITER, ITERATOR),
  row('iter.s', P.TRACING, A.TRACE_ITER, { ...ITERATOR, ...SLEEPABLE }),
  row('syscall', P.SYSCALL, 0, SLEEPABLE),
  row('perf_event', P.PERF_EVENT),
  row('struct_ops', P.STRUCT_OPS, 0, { target: 'MEMBER' }),
  row('struct_ops.s', P.STRUCT_OPS, 0, { target: 'MEMBER', ...SLEEPABLE }),

  row('xdp', P.XDP, A.XDP),
  row('xdp.frags', P.XDP, A.XDP, { fragments: true }),
  row('xdp/devmap', P.XDP, A.XDP_DEVMAP),
  row('xdp.frags/devmap', P.XDP, A.XDP_DEVMAP, { fragments: true }),
  row('xdp/cpumap', P.XDP, A.XDP_CPUMAP),
  row('xdp.frags/cpumap', P.XDP, A.XDP_CPUMAP, { fragments: true }),
  row('tc', P.SCHED_CLS),
  row('classifier', P.SCHED_CLS),
  row('action', P.SCHED_ACT),
  row('tc/ingress', P.SCHED_CLS, A.TCX_INGRESS),
  row('tc/egress', P.SCHED_CLS, A.TCX_EGRESS),
  row('tcx/ingress', P.SCHED_CLS, A.TCX_INGRESS),
  row('tcx/egress', P.SCHED_CLS, A.TCX_EGRESS),
  row('netkit/primary', P.SCHED_CLS, A.NETKIT_PRIMARY),
  row('netkit/peer', P.SCHED_CLS, A.NETKIT_PEER),
  row('netfilter', P.NETFILTER, A.NETFILTER),
  row('lwt_in', P.LWT_IN),
  row('lwt_out', P.LWT_OUT),
  row('lwt_xmit', P.LWT_XMIT),
  row('lwt_seg6local', P.LWT_SEG6LOCAL),
  row('flow_dissector', P.FLOW_DISSECTOR, A.FLOW_DISSECTOR),
  row('lirc_mode2', P.LIRC_MODE2, A.LIRC_MODE2),

  row('sockops', P.SOCK_OPS, A.CGROUP_SOCK_OPS),
  row('sk_skb', P.SK_SKB),
  row('sk_skb/stream_parser', P.SK_SKB, A.SK_SKB_STREAM_PARSER),
  row('sk_skb/stream_verdict', P.SK_SKB, A.SK_SKB_STREAM_VERDICT),
  row('sk_skb/verdict', P.SK_SKB, A.SK_SKB_VERDICT),
  row('sk_msg', P.SK_MSG, A.SK_MSG_VERDICT),
  row('sk_lookup', P.SK_LOOKUP, A.SK_LOOKUP),

  row('cgroup_skb/ingress', P.CGROUP_SKB, A.CGROUP_INET_INGRESS),
  row('cgroup_skb/egress', P.CGROUP_SKB, A.CGROUP_INET_EGRESS),
  row('cgroup/skb', P.CGROUP_SKB),
  row('cgroup/sock', P.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE),
  row('cgroup/sock_create', P.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE),
  row('cgroup/sock_release', P.CGROUP_SOCK, A.CGROUP_INET_SOCK_RELEASE),
  row('cgroup/post_bind4', P.CGROUP_SOCK, A.CGROUP_INET4_POST_BIND),
  row('cgroup/post_bind6', P.CGROUP_SOCK, A.CGROUP_INET6_POST_BIND),
  row('cgroup/bind4', P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_BIND),
  row('cgroup/bind6', P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_BIND),
  row('cgroup/connect4', P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_CONNECT),
  row('cgroup/connect6', P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_CONNECT),
  row('cgroup/connect_unix', P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_CONNECT),
  row('cgroup/sendmsg4', P.CGROUP_SOCK_ADDR, A.CGROUP_UDP4_SENDMSG),
  row('cgroup/sendmsg6', P.CGROUP_SOCK_ADDR, A.CGROUP_UDP6_SENDMSG),
  row('cgroup/sendmsg_unix', P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_SENDMSG),
  row('cgroup/recvmsg4', P.CGROUP_SOCK_ADDR, A.CGROUP_UDP4_RECVMSG),
  row('cgroup/recvmsg6', P.CGROUP_SOCK_ADDR, A.CGROUP_UDP6_RECVMSG),
  row('cgroup/recvmsg_unix', P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_RECVMSG),
  row('cgroup/getpeername4', P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_GETPEERNAME),
  row('cgroup/getpeername6', P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_GETPEERNAME),
  row('cgroup/getpeername_unix', P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_GETPEERNAME),
  row('cgroup/getsockname4', P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_GETSOCKNAME),
  row('cgroup/getsockname6', P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_GETSOCKNAME),
  row('cgroup/getsockname_unix', P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_GETSOCKNAME),
  row('cgroup/sysctl', P.CGROUP_SYSCTL, A.CGROUP_SYSCTL),
  row('cgroup/getsockopt', P.CGROUP_SOCKOPT, A.CGROUP_GETSOCKOPT),
  row('cgroup/setsockopt', P.CGROUP_SOCKOPT, A.CGROUP_SETSOCKOPT),
  row('cgroup/dev', P.CGROUP_DEVICE, A.CGROUP_DEVICE),
]

const BY_PREFIX: ReadonlyMap<string, SectionEntry> = new Map(SECTIONS.map((entry) => [entry.prefix, entry]))

/**
 * What a SEC() name stands for: an entry's name itself, or, where the entry takes a target, the name, a slash and the
 * target. A leading `?` (don't load automatically) doesn't count.
 *
 * @returns undefined if no program type answers to the name
 */
export function resolveSection(name: string): ResolvedSection | undefined {
  const bare = name.startsWith('?') ? name.slice(1) : name
  const exact = BY_PREFIX.get(bare)
  if (exact !== undefined) return { ...exact, target: '' }
  const slash = bare.indexOf('/')
  const entry = slash < 0 ? undefined : BY_PREFIX.get(bare.slice(0, slash))
  if (entry?.targetForm === undefined) return undefined
  return { ...entry, target: bare.slice(slash + 1) }
}

/** The known section names nearest to one that isn't known, best first, with the target that it has: for messages. */
export function nearestSections(name: string): readonly string[] {
  const bare = name.startsWith('?') ? name.slice(1) : name
  const whole = nearestWords(bare, BY_PREFIX.keys())
  const slash = bare.indexOf('/')
  if (slash < 0) return whole
  const targeted = SECTIONS.filter((entry) => entry.targetForm !== undefined).map((entry) => entry.prefix)
  const prefixes = nearestWords(bare.slice(0, slash), targeted)
  return [...new Set([...prefixes.map((prefix) => prefix + bare.slice(slash)), ...whole])].slice(0, 3)
}

/** The error for a program whose section no program type answers to. */
export function unknownSection(program: string, section: string): BpfError {
  const near = nearestSections(section)
  const hint =
    near.length > 0
      ? `Did you mean ${near.map((other) => `SEC("${other}")`).join(' or ')}?`
      : didYouMean(section, BY_PREFIX.keys())
  return new BpfError(
    'UNKNOWN_SECTION',
    `Program '${program}': no program type answers to SEC("${section}")`,
    hint === undefined ? {} : { hint },
  )
}

/** What a program needs that the name of its section can't tell, by program type; what isn't here has no such place. */
const NEEDED: Readonly<Partial<Record<number, string>>> = {
  [P.SOCKET_FILTER]: 'a socket',
  [P.SK_REUSEPORT]: 'a socket',
  [P.PERF_EVENT]: 'a perf event',
  [P.XDP]: 'a network interface',
  [P.SCHED_CLS]: 'a network interface',
  [P.SCHED_ACT]: 'a network interface',
  [P.NETFILTER]: 'a protocol family and a hook',
  [P.FLOW_DISSECTOR]: 'a network namespace',
  [P.SK_LOOKUP]: 'a network namespace',
  [P.LIRC_MODE2]: 'an infrared device',
  [P.SK_SKB]: 'a sockmap',
  [P.SK_MSG]: 'a sockmap',
  [P.CGROUP_SKB]: 'a cgroup',
  [P.CGROUP_SOCK]: 'a cgroup',
  [P.CGROUP_SOCK_ADDR]: 'a cgroup',
  [P.CGROUP_SYSCTL]: 'a cgroup',
  [P.CGROUP_SOCKOPT]: 'a cgroup',
  [P.CGROUP_DEVICE]: 'a cgroup',
  [P.SOCK_OPS]: 'a cgroup',
  [P.LSM]: 'a cgroup',
  [P.LWT_IN]: 'a route',
  [P.LWT_OUT]: 'a route',
  [P.LWT_XMIT]: 'a route',
  [P.LWT_SEG6LOCAL]: 'a route',
}

/**
 * Why a program can't be attached by the name of its section alone, for people; undefined if it can.
 *
 * @example whyNotAttachable('xdp') // "it needs a network interface"
 */
export function whyNotAttachable(section: string): string | undefined {
  const entry = resolveSection(section)
  if (entry === undefined) return `no program type answers to SEC("${section}")`
  if (entry.attachesByName) {
    if (entry.target !== '') return undefined
    return `its section names no target; SEC("${entry.prefix}/${entry.targetForm ?? ''}") would`
  }
  if (entry.type === P.STRUCT_OPS) return 'it is attached with its struct_ops map'
  if (entry.type === P.SYSCALL) return 'programs of SEC("syscall") are run, not attached'
  return `it needs ${NEEDED[entry.type] ?? 'a target'}`
}
