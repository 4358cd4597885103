/** What is attached to network interfaces and namespaces, as `bpftool net` shows it. */
import type { KernelIntrospection, NetnsName } from '../kernel-introspection.js'
import { BPF_ATTACH_TYPE as A, attachTypeName } from '../linux/attach-types.js'
import { structView } from '../linux/struct-view.js'
import { attributes, dumpRequest, messages } from './netlink.js'

export interface XdpAttachment {
  readonly ifindex: number
  readonly devname: string
  /** `driver`: native, in the driver; `generic`: for every driver; `offload`: in the hardware. */
  readonly mode: 'driver' | 'generic' | 'offload'
  readonly id: number
}

export interface TcAttachment {
  readonly ifindex: number
  readonly devname: string
  /** `clsact/ingress`, `tcx/egress`, `netkit/primary` … */
  readonly kind:
    `clsact/${'ingress' | 'egress'}` | `tcx/${'ingress' | 'egress'}` | `netkit/${'primary' | 'peer'}`
  readonly id: number
  /** Of a clsact filter: its name, protocol (ETH_P_*), priority and handle, and whether its verdict counts. */
  readonly name?: string
  readonly protocol?: number
  readonly priority?: number
  readonly handle?: number
  readonly directAction?: boolean
  /** Of tcx and netkit: id of the link; 0: attached without one. */
  readonly linkId?: number
}

export interface NetnsAttachment {
  readonly attachType: string
  readonly id: number
}

export interface NetworkOptions {
  /** The network namespace: a path, a name as `ip netns` gives them, or a file descriptor. Without: that of the calling thread. */
  readonly netns?: string | number
}

/** Of one network namespace. */
export interface NetworkAttachments {
  readonly xdp: readonly XdpAttachment[]
  /** In the order in which they run, by interface and kind. */
  readonly tc: readonly TcAttachment[]
  /** Flow dissector and sk_lookup. */
  readonly netns: readonly NetnsAttachment[]
}

interface Interface {
  readonly ifindex: number
  readonly devname: string
  /** `netkit`, `veth` …; empty for what is no virtual device. */
  readonly kind: string
  readonly xdp: ReadonlyMap<number, Uint8Array> | undefined
}

const RTM_GETLINK = 18
const RTM_GETTFILTER = 46
const IFINFOMSG = 16
const TCMSG = 20
const IFLA = { IFNAME: 3, LINKINFO: 18, XDP: 43 } as const
const IFLA_INFO_KIND = 1
/** IFLA_XDP_* of the program ids, by mode. */
const XDP_MODES = [
  ['driver', 5],
  ['generic', 6],
  ['offload', 7],
] as const
const TCA = { KIND: 1, OPTIONS: 2 } as const
const TCA_BPF = { NAME: 7, FLAGS: 8, ID: 11 } as const
const TCA_BPF_FLAG_ACT_DIRECT = 1

/** The hooks of a clsact qdisc, by the parent of their filters. */
const CLSACT = [
  ['clsact/ingress', 0xfffffff2],
  ['clsact/egress', 0xfffffff3],
] as const
const TCX = [
  ['tcx/ingress', A.TCX_INGRESS],
  ['tcx/egress', A.TCX_EGRESS],
] as const
const NETKIT = [
  ['netkit/primary', A.NETKIT_PRIMARY],
  ['netkit/peer', A.NETKIT_PEER],
] as const
const NETNS = [A.FLOW_DISSECTOR, A.SK_LOOKUP] as const

/** Where one looks: a kernel, and a network namespace of it. */
interface Network {
  readonly kernel: KernelIntrospection
  readonly netns: NetnsName
}

export function networkAttachments(
  kernel: KernelIntrospection,
  { netns }: NetworkOptions,
): NetworkAttachments {
  const network: Network = { kernel, netns }
  const interfaces = interfacesOf(network)
  return {
    xdp: interfaces.flatMap(xdpOf),
    tc: interfaces.flatMap((one) => [
      ...CLSACT.flatMap(([kind, parent]) => filtersOf(network, one, kind, parent)),
      ...[...TCX, ...(one.kind === 'netkit' ? NETKIT : [])].flatMap(([kind, type]) =>
        listOf(network, one, kind, type),
      ),
    ]),
    netns: ofNamespace(network),
  }
}

function interfacesOf({ kernel, netns }: Network): readonly Interface[] {
  const answer = kernel.netlink(dumpRequest(RTM_GETLINK, new Uint8Array(IFINFOMSG)), netns, 'interfaces')
  return Array.from(messages(answer), ({ body }) => {
    const found = attributes(body.subarray(IFINFOMSG))
    const info = found.get(IFLA.LINKINFO)
    const xdp = found.get(IFLA.XDP)
    return {
      ifindex: structView(body).i32(4),
      devname: textOf(found.get(IFLA.IFNAME)),
      kind: info === undefined ? '' : textOf(attributes(info).get(IFLA_INFO_KIND)),
      xdp: xdp && attributes(xdp),
    }
  })
}

function xdpOf({ ifindex, devname, xdp }: Interface): readonly XdpAttachment[] {
  return XDP_MODES.flatMap(([mode, attribute]) => {
    const id = numberOf(xdp?.get(attribute))
    return id === 0 ? [] : [{ ifindex, devname, mode, id }]
  })
}

function filtersOf(
  { kernel, netns }: Network,
  { ifindex, devname }: Interface,
  kind: TcAttachment['kind'],
  parent: number,
): readonly TcAttachment[] {
  const request = new Uint8Array(TCMSG)
  const view = new DataView(request.buffer)
  view.setInt32(4, ifindex, true)
  view.setUint32(12, parent, true)
  const answer = kernel.netlink(dumpRequest(RTM_GETTFILTER, request), netns, `filters of ${devname}`)
  return Array.from(messages(answer)).flatMap(({ body }) => {
    const found = attributes(body.subarray(TCMSG))
    const options = found.get(TCA.OPTIONS)
    if (textOf(found.get(TCA.KIND)) !== 'bpf' || options === undefined) return []
    const filter = attributes(options)
    const header = structView(body)
    return [
      {
        ifindex,
        devname,
        kind,
        id: numberOf(filter.get(TCA_BPF.ID)),
        name: textOf(filter.get(TCA_BPF.NAME)),
        // In network byte order.
        protocol: swapped(header.u32(16) & 0xffff),
        priority: header.u32(16) >>> 16,
        handle: header.u32(8),
        directAction: (numberOf(filter.get(TCA_BPF.FLAGS)) & TCA_BPF_FLAG_ACT_DIRECT) !== 0,
      },
    ]
  })
}

function listOf(
  { kernel, netns }: Network,
  { ifindex, devname }: Interface,
  kind: TcAttachment['kind'],
  attachType: number,
): readonly TcAttachment[] {
  const list = kernel.attached({ target: { ifindex, netns }, attachType, effective: false, details: 'links' })
  return (list?.programIds ?? []).map((id, i) => ({
    ifindex,
    devname,
    kind,
    id,
    linkId: list?.linkIds?.[i] ?? 0,
  }))
}

function ofNamespace({ kernel, netns }: Network): readonly NetnsAttachment[] {
  return NETNS.flatMap((attachType) => {
    const list = kernel.attached({ target: { netns }, attachType, effective: false, details: 'none' })
    return (list?.programIds ?? []).map((id) => ({ attachType: attachTypeName(attachType), id }))
  })
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : structView(bytes).text(0, bytes.length)
}

function numberOf(bytes: Uint8Array | undefined): number {
  return bytes === undefined ? 0 : structView(bytes).u32(0)
}

function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8)
}
