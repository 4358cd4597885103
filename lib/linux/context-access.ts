/**
 * What programs may read and write of their context, by program type: fields, sizes, and what a field is.
 *
 * Source: the structures of linux/bpf.h, the kernel's documentation of program types, and the answers of Linux 6.18 to programs that
 * access each byte in each size. Contexts that BTF describes (tp_btf, iterators, struct_ops) aren't here.
 */
import { BPF_ATTACH_TYPE as A } from './attach-types.js'
import { BPF_PROG_TYPE as P } from './program-types.js'

/** What a field holds. */
export type ContextValue =
  | 'number'
  | 'packet'
  | 'packet_meta'
  | 'packet_end'
  | 'flow_keys'
  | 'socket'
  | 'socket?'
  | 'sock_common?'
  | 'tp_buffer'
  | `btf:${string}`

export interface ContextField {
  readonly start: number
  /** Behind its last byte. */
  readonly end: number
  /** Sizes that may be read, as a sum of 1, 2, 4 and 8. */
  readonly read: number
  /** Sizes that may be written. */
  readonly write: number
  readonly value: ContextValue
  /** BPF_ATTACH_TYPE of programs that have it; undefined: all. */
  readonly attachTypes: readonly number[] | undefined
  /** Of programs that may write it; undefined: all. */
  readonly writers: readonly number[] | undefined
}

/** Fields of a context: the first that holds the accessed bytes counts; what is in none may not be accessed. */
export type Context = readonly ContextField[]

const NARROW = 7
const ANY = 15

interface Rule {
  readonly read?: number
  readonly write?: number
  readonly value?: ContextValue
  readonly attachTypes?: readonly number[]
  readonly writers?: readonly number[]
}

function field(start: number, size: number, rule: Rule = {}): ContextField {
  const { read = NARROW, write = 0, value = 'number', attachTypes, writers } = rule
  return { start, end: start + size, read, write, value, attachTypes, writers }
}

/** Consecutive fields of 4 bytes, each on its own. */
function words(start: number, count: number, rule: Rule = {}): ContextField[] {
  return Array.from({ length: count }, (_unused, i) => field(start + 4 * i, 4, rule))
}

/** A field of 4 bytes of which the first ones may be read alone, but no others. */
function parts(start: number, rule: Rule = {}): ContextField[] {
  return [1, 2, 4].map((size) => field(start, size, { ...rule, read: size }))
}

const FIXED: Rule = { read: 4 }
const LONG: Rule = { read: 8 }
const PACKET: Rule = { read: 4, value: 'packet' }
const PACKET_END: Rule = { read: 4, value: 'packet_end' }
const PACKET_META: Rule = { read: 4, value: 'packet_meta' }
const LONG_PACKET: Rule = { read: 8, value: 'packet' }
const LONG_PACKET_END: Rule = { read: 8, value: 'packet_end' }

const TSTAMP_TYPE = 180

/** Fields of struct __sk_buff that a program type sees. */
interface SkbView {
  readonly writable?: readonly (keyof typeof SKB_FIELD)[]
  readonly data?: boolean
  readonly meta?: boolean
  readonly hidden?: readonly (keyof typeof SKB_FIELD)[]
}

/** Members of struct __sk_buff, by offset. */
export const SKB_FIELD = {
  len: 0,
  pkt_type: 4,
  mark: 8,
  queue_mapping: 12,
  protocol: 16,
  vlan_present: 20,
  vlan_tci: 24,
  vlan_proto: 28,
  priority: 32,
  ingress_ifindex: 36,
  ifindex: 40,
  tc_index: 44,
  cb: 48,
  hash: 68,
  tc_classid: 72,
  data: 76,
  data_end: 80,
  napi_id: 84,
  family: 88,
  remote_ip4: 92,
  local_ip4: 96,
  remote_ip6: 100,
  local_ip6: 116,
  remote_port: 132,
  local_port: 136,
  data_meta: 140,
  tstamp: 152,
  wire_len: 160,
  gso_segs: 164,
  sk: 168,
  gso_size: 176,
  hwtstamp: 184,
} as const

function skb({ writable = [], data = false, meta = false, hidden = [] }: SkbView): Context {
  const fields: ContextField[] = []
  const writes = (name: keyof typeof SKB_FIELD, size: number): number => (writable.includes(name) ? size : 0)
  const add = (name: keyof typeof SKB_FIELD, ...added: readonly ContextField[]): void => {
    if (!hidden.includes(name)) fields.push(...added)
  }
  for (const [name, start] of Object.entries(SKB_FIELD) as [keyof typeof SKB_FIELD, number][]) {
    switch (name) {
      case 'cb':
        // Any size, also across its elements.
        add(name, field(start, 20, { read: ANY, write: writes(name, ANY) }))
        break
      case 'data':
        if (data) add(name, field(start, 4, PACKET))
        break
      case 'data_end':
        if (data) add(name, field(start, 4, PACKET_END))
        break
      case 'data_meta':
        if (meta) add(name, field(start, 4, PACKET_META))
        break
      case 'remote_ip4':
      case 'local_ip4':
        add(name, field(start, 4, FIXED))
        break
      case 'remote_ip6':
      case 'local_ip6':
        add(name, ...words(start, 4, FIXED))
        break
      case 'tstamp':
        add(name, field(start, 8, { read: 8, write: writes(name, 8) }))
        if (meta) add(name, field(TSTAMP_TYPE, 1))
        break
      case 'hwtstamp':
        add(name, field(start, 8, LONG))
        break
      case 'sk':
        add(name, field(start, 8, { read: 8, value: 'sock_common?' }))
        break
      default:
        add(name, field(start, 4, { write: writes(name, 4) }))
    }
  }
  return fields
}

const ADDRESSES = [
  'family',
  'remote_ip4',
  'local_ip4',
  'remote_ip6',
  'local_ip6',
  'remote_port',
  'local_port',
] as const

const SOCKET_FILTER = skb({
  writable: ['cb'],
  hidden: ['tc_classid', 'tstamp', 'wire_len', 'hwtstamp', ...ADDRESSES],
})
const SCHED = skb({
  writable: ['mark', 'tc_index', 'priority', 'tc_classid', 'cb', 'tstamp', 'queue_mapping'],
  data: true,
  meta: true,
  hidden: ADDRESSES,
})
const CGROUP_SKB = skb({
  writable: ['mark', 'priority', 'cb', 'tstamp'],
  data: true,
  hidden: ['tc_classid', 'wire_len'],
})
const LWT = skb({
  writable: ['mark', 'priority', 'cb'],
  data: true,
  hidden: ['tc_classid', 'tstamp', 'wire_len', 'hwtstamp', ...ADDRESSES],
})
const SK_SKB = skb({
  writable: ['tc_index', 'priority'],
  data: true,
  hidden: ['mark', 'tc_classid', 'tstamp', 'wire_len', 'hwtstamp'],
})
const FLOW_DISSECTOR: Context = [
  field(76, 4, PACKET),
  field(80, 4, PACKET_END),
  field(144, 8, { read: 8, value: 'flow_keys' }),
]

const XDP: Context = [
  field(0, 4, PACKET),
  field(4, 4, PACKET_END),
  field(8, 4, PACKET_META),
  ...words(12, 2, FIXED),
  field(20, 4, { read: 4, attachTypes: [A.XDP_DEVMAP] }),
]

const SK_MSG: Context = [
  field(0, 8, LONG_PACKET),
  field(8, 8, LONG_PACKET_END),
  ...words(16, 14, FIXED),
  field(72, 8, { read: 8, value: 'socket' }),
]

const SK_REUSEPORT: Context = [
  field(0, 8, LONG_PACKET),
  field(8, 8, LONG_PACKET_END),
  field(16, 4),
  field(20, 4, { read: 6 }),
  ...words(24, 2),
  field(32, 4, FIXED),
  field(40, 8, { read: 8, value: 'socket' }),
  field(48, 8, { read: 8, value: 'sock_common?' }),
]

/** struct bpf_sock: a context, and what socket pointers point to. */
function sock(rules: Readonly<Record<number, Rule>>): Context {
  return [
    field(0, 4, { read: 4, ...rules[0] }),
    ...parts(4),
    ...parts(8),
    ...parts(12),
    field(16, 4, { read: 4, ...rules[16] }),
    field(20, 4, { read: 4, ...rules[20] }),
    field(24, 4, rules[24]),
    ...words(28, 4, rules[28]),
    ...parts(44, rules[44]),
    // The port has two bytes; four may be read from there for the sake of old programs.
    field(48, 2, { read: 3 }),
    field(48, 4, { read: 4 }),
    field(52, 4),
    ...words(56, 4),
    ...parts(72),
    ...parts(76),
  ]
}

const AT_CREATION: Rule = {
  write: 4,
  attachTypes: [A.CGROUP_INET_SOCK_CREATE, A.CGROUP_INET_SOCK_RELEASE],
}
const CGROUP_SOCK = sock({
  0: AT_CREATION,
  16: AT_CREATION,
  20: AT_CREATION,
  24: { attachTypes: [A.CGROUP_INET4_POST_BIND] },
  28: { attachTypes: [A.CGROUP_INET6_POST_BIND] },
  44: { attachTypes: [A.CGROUP_INET4_POST_BIND, A.CGROUP_INET6_POST_BIND] },
})

const INET4 = [
  A.CGROUP_INET4_BIND,
  A.CGROUP_INET4_CONNECT,
  A.CGROUP_INET4_GETPEERNAME,
  A.CGROUP_INET4_GETSOCKNAME,
  A.CGROUP_UDP4_SENDMSG,
  A.CGROUP_UDP4_RECVMSG,
]
const INET6 = [
  A.CGROUP_INET6_BIND,
  A.CGROUP_INET6_CONNECT,
  A.CGROUP_INET6_GETPEERNAME,
  A.CGROUP_INET6_GETSOCKNAME,
  A.CGROUP_UDP6_SENDMSG,
  A.CGROUP_UDP6_RECVMSG,
]
const SEND4 = { write: 4, attachTypes: [A.CGROUP_UDP4_SENDMSG] }
const SEND6 = { write: 4, attachTypes: [A.CGROUP_UDP6_SENDMSG] }
const SOCK_ADDR: Context = [
  field(0, 4, FIXED),
  field(4, 4, { write: 4, attachTypes: INET4 }),
  field(8, 8, { read: 8, write: 8, attachTypes: INET6 }),
  field(16, 8, { read: 8, write: 8, attachTypes: INET6 }),
  ...words(8, 4, { write: 4, attachTypes: INET6 }),
  field(24, 4, { write: 4 }),
  ...words(28, 3, FIXED),
  field(40, 4, SEND4),
  field(48, 8, { read: 8, write: 8, attachTypes: [A.CGROUP_UDP6_SENDMSG] }),
  ...words(44, 4, SEND6),
  field(64, 8, { read: 8, value: 'socket' }),
]

const SOCK_OPS: Context = [
  field(0, 4, FIXED),
  field(4, 4, { read: 4, write: 4 }),
  ...words(8, 39, FIXED),
  field(164, 4, { read: 4, write: 4 }),
  field(168, 8, LONG),
  field(176, 8, LONG),
  field(184, 8, { read: 8, value: 'socket?' }),
  field(192, 8, LONG_PACKET),
  field(200, 8, LONG_PACKET_END),
  field(208, 4, FIXED),
  ...parts(212),
  field(216, 8, LONG),
]

const GET = [A.CGROUP_GETSOCKOPT]
const SET = [A.CGROUP_SETSOCKOPT]
const SOCKOPT: Context = [
  field(0, 8, { read: 8, value: 'socket' }),
  field(8, 8, LONG_PACKET),
  field(16, 8, LONG_PACKET_END),
  field(24, 4, { read: 4, write: 4, writers: SET }),
  field(28, 4, { read: 4, write: 4, writers: SET }),
  field(32, 4, { read: 4, write: 4 }),
  field(36, 4, { read: 4, write: 4, attachTypes: GET }),
]

const SK_LOOKUP: Context = [
  field(0, 8, { read: 8, value: 'socket?' }),
  ...words(8, 8),
  field(40, 4),
  ...words(44, 4),
  ...words(60, 2),
]

const DEVICE: Context = [field(0, 4), ...words(4, 2, FIXED)]
const SYSCTL: Context = [field(0, 4), field(4, 4, { write: 4 })]
/** struct pt_regs, x86-64. */
const REGISTERS: Context = [field(0, 168, { read: ANY })]
const LONG_REGISTERS: Context = Array.from({ length: 21 }, (_unused, i) => field(8 * i, 8, LONG))
const PERF_EVENT: Context = [...LONG_REGISTERS, field(168, 8, { read: ANY }), field(176, 8, { read: ANY })]
const TRACEPOINT: Context = [field(8, 8192 - 8, { read: ANY })]
const RAW_TRACEPOINT: Context = [field(0, 96, { read: ANY })]
const RAW_TRACEPOINT_WRITABLE: Context = [
  field(0, 8, { read: 8, value: 'tp_buffer' }),
  field(1, 7),
  field(8, 88, { read: ANY }),
]
const SYSCALL: Context = [field(0, 0xffff, { read: ANY, write: ANY })]
const NETFILTER: Context = [
  field(0, 8, { read: 8, value: 'btf:nf_hook_state' }),
  field(8, 8, { read: 8, value: 'btf:sk_buff' }),
]

const CONTEXTS: ReadonlyMap<number, Context> = new Map<number, Context>([
  [P.SOCKET_FILTER, SOCKET_FILTER],
  [P.KPROBE, REGISTERS],
  [P.SCHED_CLS, SCHED],
  [P.SCHED_ACT, SCHED],
  [P.TRACEPOINT, TRACEPOINT],
  [P.XDP, XDP],
  [P.PERF_EVENT, PERF_EVENT],
  [P.CGROUP_SKB, CGROUP_SKB],
  [P.CGROUP_SOCK, CGROUP_SOCK],
  [P.LWT_IN, LWT],
  [P.LWT_OUT, LWT],
  [P.LWT_XMIT, LWT],
  [P.LWT_SEG6LOCAL, LWT],
  [P.SOCK_OPS, SOCK_OPS],
  [P.SK_SKB, SK_SKB],
  [P.CGROUP_DEVICE, DEVICE],
  [P.SK_MSG, SK_MSG],
  [P.RAW_TRACEPOINT, RAW_TRACEPOINT],
  [P.CGROUP_SOCK_ADDR, SOCK_ADDR],
  [P.LIRC_MODE2, [field(0, 4, FIXED)]],
  [P.SK_REUSEPORT, SK_REUSEPORT],
  [P.FLOW_DISSECTOR, FLOW_DISSECTOR],
  [P.CGROUP_SYSCTL, SYSCTL],
  [P.RAW_TRACEPOINT_WRITABLE, RAW_TRACEPOINT_WRITABLE],
  [P.CGROUP_SOCKOPT, SOCKOPT],
  [P.SK_LOOKUP, SK_LOOKUP],
  [P.SYSCALL, SYSCALL],
  [P.NETFILTER, NETFILTER],
])

/** undefined: contexts of this type are described by BTF. */
export function contextOf(programType: number): Context | undefined {
  return CONTEXTS.get(programType)
}

/** What pointers to sockets point to. */
export const SOCKET_FIELDS: Context = sock({})
export const SOCK_COMMON_FIELDS: Context = SOCKET_FIELDS.filter(({ start }) => start < 8 || start >= 24)
export const TCP_SOCK_FIELDS: Context = [
  ...words(0, 20, FIXED),
  field(80, 8, LONG),
  field(88, 8, LONG),
  ...words(96, 4, FIXED),
]
export const XDP_SOCK_FIELDS: Context = [field(0, 4, FIXED)]

/**
 * The field that an access of `size` bytes at `offset` is to; undefined: there is none that allows it.
 *
 * @param signExtends the load extends the sign: not allowed where a field isn't a number
 */
export function accessedField(
  context: Context,
  offset: number,
  size: number,
  write: boolean,
  attachType: number,
  signExtends = false,
): ContextField | undefined {
  if (offset % size !== 0) return undefined
  for (const known of context) {
    if (offset < known.start || offset + size > known.end) continue
    if (((write ? known.write : known.read) & size) === 0) continue
    if (known.attachTypes?.includes(attachType) === false) continue
    if (write && known.writers?.includes(attachType) === false) continue
    if (signExtends && known.value !== 'number') continue
    return known
  }
  return undefined
}
