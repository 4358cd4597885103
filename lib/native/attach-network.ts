/** Attaching to networks, cgroups and sockets of Linux: a request of the seam becomes what the addon takes. */
import { release } from 'node:os'
import type { Anchor, RequestOf, TcDirection, TcMechanism, XdpMode } from '../attach-request.js'
import { BpfError } from '../errors.js'
import type { ProgramInfo } from '../kernel.js'
import { errnoName } from "../linux/errno.js"
import { BPF_ATTACH_TYPE as A } from '../linux/attach-types.js'
import { ATTACH_FLAGS as F, LWT_HOOK, XDP_FLAGS } from '../linux/network.js'
import { BPF_PROG_TYPE as P } from '../linux/program-types.js'
import { isOlderThan } from '../linux/release.js'
import type { Addon, AddonLink, AddonProgram, AttachSettings } from './addon-types.js'
import { NativeLink } from './link.js'
import { fdOf } from './native-handle.js'
import { explainNetworkFailure, type NetworkPlace } from './network-failure.js'
import { findInterface, OpenTargets } from './network-targets.js'

/** Kinds of requests that this file answers. */
export type NetworkKind = 'xdp' | 'tc' | 'cgroup' | 'netns' | 'netfilter' | 'sockmap' | 'socket' | 'lwt'
export type NetworkRequest = RequestOf<NetworkKind>

/** What attaches, and where descriptors of things that it names are kept for that time. */
interface Attaching {
  readonly addon: Addon
  readonly handle: AddonProgram
  readonly program: ProgramInfo
  readonly targets: OpenTargets
}

type Attach<K extends NetworkKind> = (attaching: Attaching, request: RequestOf<K>) => NativeLink

const BY_KIND: { readonly [K in NetworkKind]: Attach<K> } = {
  xdp: attachXdp,
  tc: attachTc,
  cgroup: attachCgroup,
  netns: attachNetns,
  netfilter: attachNetfilter,
  sockmap: attachSockmap,
  socket: attachSocket,
  lwt: attachLwt,
}

/** Attaches where the request says. @throws BpfError that says what is missing, or which name was meant */
export function attachNetwork(
  addon: Addon,
  handle: AddonProgram,
  program: ProgramInfo,
  request: NetworkRequest,
): NativeLink {
  using targets = new OpenTargets()
  // The table's type says that they belong together; TypeScript can't follow a union there.
  const attach = BY_KIND[request.kind] as Attach<NetworkKind>
  return attach({ addon, handle, program, targets }, request)
}

const XDP_MODES: Readonly<Record<XdpMode, number>> = {
  generic: XDP_FLAGS.SKB_MODE,
  native: XDP_FLAGS.DRV_MODE,
  offload: XDP_FLAGS.HW_MODE,
}

function attachXdp(attaching: Attaching, { interface: wanted, netns, mode, via, replace }: RequestOf<'xdp'>): NativeLink {
  const netnsFd = attaching.targets.netns(netns)
  const { index, name } = findInterface(attaching.addon, wanted, netnsFd)
  const place = { kind: via === 'link' ? 'xdp.link' : 'xdp', target: `${name} xdp${mode === undefined ? '' : ` ${mode}`}` } as const
  const flags = mode === undefined ? 0 : XDP_MODES[mode]
  if (via === 'link') {
    return attach(attaching, place, 'link', { target: index, attachType: A.XDP, flags, netnsFd })
  }
  return attach(attaching, place, 'xdp.netlink', {
    target: index,
    // Linux takes an expected program for the permission to replace.
    flags: replace === undefined || replace === false ? flags | XDP_FLAGS.UPDATE_IF_NOEXIST : flags,
    mode: flags,
    replaceFd: replace === undefined || typeof replace === 'boolean' ? undefined : fdOf(replace, 'the program to replace'),
    netnsFd,
  })
}

const TC_ATTACH_TYPES: Readonly<Record<TcDirection, number>> = {
  ingress: A.TCX_INGRESS,
  egress: A.TCX_EGRESS,
  primary: A.NETKIT_PRIMARY,
  peer: A.NETKIT_PEER,
}

/** Answers of a kernel that has no tcx. */
const NO_TCX: ReadonlySet<string> = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOTSUPP'])

function attachTc(attaching: Attaching, request: RequestOf<'tc'>): NativeLink {
  const netnsFd = attaching.targets.netns(request.netns)
  const { index, name } = findInterface(attaching.addon, request.interface, netnsFd)
  const mechanisms = mechanismsFor(request)
  let refusal: unknown
  for (const mechanism of mechanisms) {
    const place = { kind: mechanism, target: `${name} ${request.direction} (${mechanism})` } as const
    try {
      return attachTcBy(attaching, place, request, index, netnsFd)
    } catch (error) {
      refusal = error
      if (!(error instanceof BpfError) || !NO_TCX.has(errnoName(error.errno ?? 0))) throw error
    }
  }
  throw refusal
}

/** What is tried, in this order. */
function mechanismsFor({ via, direction, order, expectedRevision, ...clsact }: RequestOf<'tc'>): readonly TcMechanism[] {
  if (via !== undefined) return [via]
  if (direction === 'primary' || direction === 'peer') return ['netkit']
  if (order !== undefined || expectedRevision !== undefined) return ['tcx']
  const { handle, priority, replace } = clsact
  if (handle !== undefined || priority !== undefined || replace !== undefined) return ['clsact']
  return isOlderThan(release(), '6.6') ? ['clsact'] : ['tcx', 'clsact']
}

function attachTcBy(
  attaching: Attaching,
  place: NetworkPlace,
  { direction, order, expectedRevision, handle, priority, replace }: RequestOf<'tc'>,
  ifindex: number,
  netnsFd: number | undefined,
): NativeLink {
  if (place.kind === 'clsact') {
    const egress = direction === 'egress'
    return attach(attaching, place, 'clsact', { target: ifindex, egress, handle, priority, replace, netnsFd })
  }
  return attach(attaching, place, 'link', {
    target: ifindex,
    attachType: TC_ATTACH_TYPES[direction],
    ...ordered(order),
    expectedRevision,
    netnsFd,
  })
}

/** Where a program goes: flags, and the id of its neighbour. */
function ordered(anchor: Anchor | undefined): { readonly flags?: number; readonly relative?: number } {
  if (anchor === undefined) return {}
  if (anchor === 'first') return { flags: F.BEFORE }
  if (anchor === 'last') return { flags: F.AFTER }
  const [side, neighbour] = 'before' in anchor ? [F.BEFORE, anchor.before] : [F.AFTER, anchor.after]
  return 'linkId' in neighbour
    ? { flags: side | F.ID | F.LINK, relative: neighbour.linkId }
    : { flags: side | F.ID, relative: neighbour.programId }
}

/** Flags of attachments that are no links. */
const SHARING = { multi: F.ALLOW_MULTI, override: F.ALLOW_OVERRIDE, exclusive: 0 } as const

function attachCgroup(attaching: Attaching, request: RequestOf<'cgroup'>): NativeLink {
  const { cgroup, attachType, sharing, replace, order, expectedRevision } = request
  const kind = attaching.program.type === P.LSM ? 'lsm_cgroup' : sharing === 'link' ? 'cgroup.link' : 'cgroup'
  const place = { kind, target: `cgroup ${cgroup}` } as const
  const target = attaching.targets.cgroup(cgroup)
  if (sharing === 'link') {
    return attach(attaching, place, 'link', { target, attachType, ...ordered(order), expectedRevision })
  }
  return attach(attaching, place, 'program', {
    target,
    attachType,
    flags: replace === undefined ? SHARING[sharing] : SHARING[sharing] | F.REPLACE,
    replaceFd: replace === undefined ? undefined : fdOf(replace, 'the program to replace'),
  })
}

function attachNetns(attaching: Attaching, { netns }: RequestOf<'netns'>): NativeLink {
  const place = { kind: 'netns', target: `network namespace ${netns}` } as const
  return attach(attaching, place, 'link', { target: attaching.targets.netns(netns) })
}

function attachNetfilter(attaching: Attaching, request: RequestOf<'netfilter'>): NativeLink {
  const { protocolFamily, hook, priority, flags, netns } = request
  const place = { kind: 'netfilter', target: `netfilter ${protocolFamily}/${hook} (${priority})` } as const
  const netnsFd = attaching.targets.netns(netns)
  return attach(attaching, place, 'netfilter', { protocolFamily, hook, priority, flags, netnsFd })
}

function attachSockmap(attaching: Attaching, { map, attachType, via }: RequestOf<'sockmap'>): NativeLink {
  const place = { kind: 'sockmap', target: typeof map === 'number' ? `map of descriptor ${map}` : `map ${map.info.name}` } as const
  const settings = { target: fdOf(map, 'the map of sockets'), attachType }
  const linked = via === 'link' || (via === undefined && !isOlderThan(release(), '6.10'))
  return attach(attaching, linked ? { ...place, kind: 'sockmap.link' } : place, linked ? 'link' : 'program', settings)
}

function attachSocket(attaching: Attaching, { fd, reuseport }: RequestOf<'socket'>): NativeLink {
  const place = { kind: 'socket', target: `socket of descriptor ${fd}` } as const
  return attach(attaching, place, 'socket', { target: fd, reuseport })
}

const LWT_HOOKS: Readonly<Record<number, number>> = {
  [P.LWT_IN]: LWT_HOOK.in,
  [P.LWT_OUT]: LWT_HOOK.out,
  [P.LWT_XMIT]: LWT_HOOK.xmit,
  [P.LWT_SEG6LOCAL]: LWT_HOOK.segment,
}

function attachLwt(attaching: Attaching, request: RequestOf<'lwt'>): NativeLink {
  const { interface: wanted, netns, address, prefixLength, gateway, table, headroom } = request
  const hook = LWT_HOOKS[attaching.program.type]
  const netnsFd = attaching.targets.netns(netns)
  const { index, name } = findInterface(attaching.addon, wanted, netnsFd)
  const kind = hook === LWT_HOOK.segment ? 'seg6local' : 'lwt'
  const place = { kind, target: `route to ${address}/${prefixLength} by ${name}` } as const
  return attach(attaching, place, 'lwt', { target: index, hook, address, prefixLength, gateway, table, headroom, netnsFd })
}

function attach({ handle, program }: Attaching, place: NetworkPlace, kind: string, settings: AttachSettings): NativeLink {
  let link: AddonLink
  try {
    link = handle.attachTo(kind, settings, `link of program '${program.name}' (${place.target})`)
  } catch (error) {
    throw explainNetworkFailure(error, program, place)
  }
  return new NativeLink(link, place.target)
}
