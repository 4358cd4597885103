/** Why Linux didn't attach a program to a network, cgroup or socket, in words that say what to do. */
import { BpfError } from '../errors.js'
import type { ProgramInfo } from '../kernel.js'
import { errnoName, errnoText } from '../linux/errno.js'
import { ATTACHMENTS, type Requirement } from '../linux/requirements.js'
import { lacksOf, readHost, type Host } from './lacks.js'
import { withRequirement } from './refusal.js'

/** What is attached to, as far as errors differ. */
export type NetworkPlaceKind = keyof typeof PLACES

export interface NetworkPlace {
  readonly kind: NetworkPlaceKind
  /** For people: `eth0 ingress (tcx)`. */
  readonly target: string
}

interface PlaceFacts {
  readonly requirement: Requirement
  /** By errno: what is wrong with the place, where the requirement is met. */
  readonly hints: Readonly<Record<string, string>>
}

const ORDER_HINTS = {
  ENOENT: 'The program or link that it was to go before or after is not attached there',
  ERANGE: 'The program or link that it was to go before or after is not attached there, or 64 are attached already',
  ESTALE: 'The list of programs has changed since that revision: look again, then decide again',
  EBUSY: 'Another program, or the same one, is attached in that way already',
  EEXIST: 'This program is attached there already',
} as const

/** Sources: kernel/bpf/{syscall,tcx,mprog,cgroup,net_namespace}.c, net/core/dev.c, net/netfilter/nf_bpf_link.c, net/core/sock_map.c of Linux 6.18. */
const PLACES = {
  xdp: {
    requirement: { ...ATTACHMENTS.xdp, since: '5.9' },
    hints: {
      EBUSY: "A program is attached to the interface's XDP hook already: update its link, or detach it first",
      EEXIST: 'A program is attached already, or XDP runs there in another mode: native and generic exclude each other',
      EINVAL: "The interface's driver has no XDP in this mode, or the program was loaded for devmap, cpumap or a card",
      EOPNOTSUPP: "The interface's driver has no XDP in this mode: try 'generic'; 'offload' takes a program that was loaded for the card",
      ERANGE: "The interface's MTU is too large for native XDP: lower it, or use SEC(\"xdp.frags\")",
    },
  },
  tcx: { requirement: ATTACHMENTS.tcx, hints: ORDER_HINTS },
  netkit: {
    requirement: ATTACHMENTS.netkit,
    hints: {
      ...ORDER_HINTS,
      ENXIO: 'The interface is no netkit device: ip link add … type netkit',
      EACCES: 'Programs of both ends are attached to the primary end of a netkit pair',
    },
  },
  clsact: {
    requirement: ATTACHMENTS.tc,
    hints: {
      EEXIST: 'A filter with that handle and priority is there already: replace it, or choose others',
      EINVAL: 'To replace a filter, give both its handle and its priority',
      EOPNOTSUPP: 'The interface has an ingress qdisc, which has no egress, in the place of clsact: tc qdisc del dev … ingress',
      ENOENT: 'This kernel has no such qdisc or filter',
    },
  },
  cgroup: {
    requirement: { ...ATTACHMENTS.cgroup, since: '5.7' },
    hints: {
      ...ORDER_HINTS,
      EPERM: 'A cgroup above, or this one, has a program that was attached exclusively, or in another mode than this one',
      EBADF: 'It is no cgroup of cgroup2',
      EINVAL: "The program's type has no such hook, or cgroup2 doesn't know the cgroup",
    },
  },
  lsm_cgroup: { requirement: ATTACHMENTS.lsmCgroup, hints: {} },
  netns: {
    requirement: ATTACHMENTS.netns,
    hints: {
      EEXIST: 'The namespace has a program that was attached without a link',
      EINVAL: 'It is no network namespace',
      E2BIG: 'The namespace is full: it takes one flow dissector, and 64 sk_lookup programs',
    },
  },
  netfilter: {
    requirement: ATTACHMENTS.netfilter,
    hints: {
      EBUSY: 'A program, or another user of netfilter, has this priority at this hook already: choose another one',
      EAFNOSUPPORT: 'NFPROTO_IPV4 and NFPROTO_IPV6 are what programs are attached to',
      EOPNOTSUPP: 'This kernel has no defragmentation for programs (Linux 6.6, CONFIG_NF_DEFRAG_IPV4, CONFIG_NF_DEFRAG_IPV6)',
      ERANGE: 'The least and the greatest 32-bit numbers are no priorities for programs',
    },
  },
  sockmap: {
    requirement: ATTACHMENTS.sockmap,
    hints: {
      EBUSY: 'A program is attached to the map in this way already; sk_skb/verdict and sk_skb/stream_verdict exclude each other',
      EOPNOTSUPP: 'The program has no place in maps of this type',
    },
  },
  'sockmap.link': {
    requirement: { ...ATTACHMENTS.sockmap, since: '6.10' },
    hints: {
      EBUSY: 'A program is attached to the map in this way already; sk_skb/verdict and sk_skb/stream_verdict exclude each other',
    },
  },
  socket: {
    requirement: ATTACHMENTS.socket,
    hints: {
      ENOTSOCK: 'The descriptor is no socket',
      EBADF: 'The descriptor is closed, or was never open',
      EINVAL: 'The program is no socket filter (sk_reuseport for a reuseport group), or the socket is not in a reuseport group: set SO_REUSEPORT before it is bound',
      EPERM: 'The socket was locked by SO_LOCK_FILTER',
      ENOPROTOOPT: 'This kernel has no such filters',
    },
  },
  lwt: {
    requirement: ATTACHMENTS.lwt,
    hints: {
      EEXIST: 'There is a route to that destination in the table already',
      ENETUNREACH: "The gateway can't be reached by the interface",
      EINVAL: 'The address has bits behind its prefix, or interface and destination do not go together',
      ENETDOWN: 'The interface is down: ip link set … up',
    },
  },
} as const satisfies Readonly<Record<string, PlaceFacts>>

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
  const { requirement, hints }: PlaceFacts = PLACES[kind]
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
