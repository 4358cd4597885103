/** Why Linux didn't attach a program to a network, cgroup or socket, in words that say what to do. */
import { BpfError } from '../errors.js'
import type { ProgramInfo } from '../kernel.js'
import { errnoName, errnoText } from '../linux/errno.js'
import { ATTACHMENTS, type AttachmentName } from '../linux/requirements.js'
import { lacksOf, readHost, type Host } from './lacks.js'
import { withRequirement } from './refusal.js'

/** What is attached to, as far as errors differ. */
export type NetworkPlaceKind = keyof typeof HINTS

export interface NetworkPlace {
  readonly kind: NetworkPlaceKind
  /** For people: `eth0 ingress (tcx)`. */
  readonly target: string
}

/** By errno: what is wrong with the place, where what it takes is there. */
type Hints = Readonly<Record<string, string>>

const ORDER_HINTS = {
  ENOENT: 'The program or link that it was to go before or after is not attached there',
  ERANGE: 'The program or link that it was to go before or after is not attached there, or 64 are attached already',
  ESTALE: 'The list of programs has changed since that revision: look again, then decide again',
  EBUSY: 'Another program, or the same one, is attached in that way already',
  EEXIST: 'This program is attached there already',
} as const

const XDP_HINTS = {
  EBUSY: "A program is attached to the interface's XDP hook already: update its link, or detach it first",
  EEXIST: 'A program is attached already, or XDP runs there in another mode: native and generic exclude each other',
  EINVAL: "The interface's driver has no XDP in this mode, or the program was loaded for devmap, cpumap or a card",
  EOPNOTSUPP: "The interface's driver has no XDP in this mode: try 'generic'; 'offload' takes a program that was loaded for the card",
  ERANGE: "The interface's MTU is too large for native XDP: lower it, or use SEC(\"xdp.frags\")",
} as const

const CGROUP_HINTS = {
  ...ORDER_HINTS,
  EPERM: 'A cgroup above, or this one, has a program that was attached exclusively, or in another mode than this one',
  EBADF: 'It is no cgroup of cgroup2',
  EINVAL: "The program's type has no such hook, or cgroup2 doesn't know the cgroup",
} as const

const SOCKMAP_HINTS = {
  EBUSY: 'A program is attached to the map in this way already; sk_skb/verdict and sk_skb/stream_verdict exclude each other',
} as const

const ROUTE_HINTS = {
  EEXIST: 'There is a route to that destination in the table already',
  ENETUNREACH: "The gateway can't be reached by the interface",
  EINVAL: 'The address has bits behind its prefix, or interface and destination do not go together',
  ENETDOWN: 'The interface is down: ip link set … up',
} as const

/**
 * By place. Sources: kernel/bpf/{syscall,tcx,mprog,cgroup,net_namespace}.c, net/core/dev.c, net/netfilter/nf_bpf_link.c, net/core/sock_map.c,
 * net/ipv6/seg6_local.c of Linux 6.18.
 */
const HINTS = {
  xdp: XDP_HINTS,
  'xdp.link': XDP_HINTS,
  tcx: ORDER_HINTS,
  netkit: {
    ...ORDER_HINTS,
    ENXIO: 'The interface is no netkit device: ip link add … type netkit',
    EACCES: 'Programs of both ends are attached to the primary end of a netkit pair',
  },
  clsact: {
    EEXIST: 'A filter with that handle and priority is there already: replace it, or choose others',
    EINVAL: 'To replace a filter, give both its handle and its priority',
    EOPNOTSUPP: 'The interface has an ingress qdisc, which has no egress, in the place of clsact: tc qdisc del dev … ingress',
    ENOENT: 'This kernel has no such qdisc or filter',
  },
  cgroup: CGROUP_HINTS,
  'cgroup.link': CGROUP_HINTS,
  lsm_cgroup: {},
  netns: {
    EEXIST: 'The namespace has a program that was attached without a link',
    EINVAL: 'It is no network namespace',
    E2BIG: 'The namespace is full: it takes one flow dissector, and 64 sk_lookup programs',
  },
  netfilter: {
    EBUSY: 'A program, or another user of netfilter, has this priority at this hook already: choose another one',
    EAFNOSUPPORT: 'NFPROTO_IPV4 and NFPROTO_IPV6 are what programs are attached to',
    EOPNOTSUPP: 'This kernel has no defragmentation for programs (Linux 6.6, CONFIG_NF_DEFRAG_IPV4, CONFIG_NF_DEFRAG_IPV6)',
    ERANGE: 'The least and the greatest 32-bit numbers are no priorities for programs',
  },
  sockmap: { ...SOCKMAP_HINTS, EOPNOTSUPP: 'The program has no place in maps of this type' },
  'sockmap.link': SOCKMAP_HINTS,
  socket: {
    ENOTSOCK: 'The descriptor is no socket',
    EBADF: 'The descriptor is closed, or was never open',
    EINVAL: 'The program is no socket filter (sk_reuseport for a reuseport group), or the socket is not in a reuseport group: set SO_REUSEPORT before it is bound',
    EPERM: 'The socket was locked by SO_LOCK_FILTER',
    ENOPROTOOPT: 'This kernel has no such filters',
  },
  lwt: ROUTE_HINTS,
  seg6local: { ...ROUTE_HINTS, EINVAL: 'Segment routing is of IPv6 alone; or the address has bits behind its prefix' },
} as const satisfies Readonly<Partial<Record<AttachmentName, Hints>>>

/** Errnos with which Linux answers what it doesn't know. */
const UNKNOWN_TO_LINUX: ReadonlySet<string> = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOTSUPP', 'E2BIG', 'EBADF'])
const DENIED: ReadonlySet<string> = new Set(['EPERM', 'EACCES'])

/**
 * A refused attach as it is told: names program, place and reason. An error of another kind is given back as it is.
 *
 * @param error what the addon threw
 */
export function explainNetworkFailure(
  error: unknown,
  { name, section }: ProgramInfo,
  { kind, target }: NetworkPlace,
  host: Host = readHost(),
): unknown {
  if (!(error instanceof BpfError) || error.errno === undefined || error.call === undefined) return error
  const requirement = ATTACHMENTS[kind]
  const hints: Hints = HINTS[kind]
  const { errno, call } = error
  const code = errnoName(errno)
  const hint = [error.hint, hints[code]].filter((part) => part !== undefined).join('. ')
  const what = `program '${name}' of SEC("${section}") cannot be attached to ${target}`
  const failure = new BpfError(code, `${what}: ${call} failed: ${errnoText(errno)} (${code})`, {
    errno,
    call,
    cause: error,
    ...(hint !== '' && { hint }),
  })
  const { capabilities, options, version } = lacksOf(requirement, host)
  const isLacking = DENIED.has(code)
    ? capabilities.length > 0
    : UNKNOWN_TO_LINUX.has(code) && (version !== undefined || options.length > 0)
  return isLacking || hint === '' ? withRequirement(failure, kind, requirement, host) : failure
}
