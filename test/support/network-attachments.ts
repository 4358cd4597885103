/** Attachments of networks, cgroups and sockets that are BPF links: how each is attached, and how it is made to fire. */
import type { Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { BpfObject, Link, LinkInfo, Program } from '../../lib/index.js'
import type { TestCgroup } from './cgroup.js'
import type { KernelNeeds } from './kernel-needs.js'
import type { TestNetwork } from './network.js'

/** What the rows attach to, once for all of them. */
export interface NetworkScene {
  readonly network: TestNetwork
  readonly cgroup: TestCgroup
  /** A socket that is bound. */
  readonly receiver: DatagramSocket
}

export interface NetworkAttachment {
  readonly name: string
  /** Of bpf/test. */
  readonly object: 'network' | 'cgroup' | 'sockmap'
  /** Name behind `on_`. */
  readonly program: string
  /** A program that may take its place; undefined: Linux lets none. */
  readonly other?: string
  readonly needs: KernelNeeds
  /** Of the link's info; `'none'`: it is no BPF link. */
  readonly type: LinkInfo['type']
  /** First Linux where it is a BPF link; undefined: always. */
  readonly linkSince?: string
  readonly attach: (program: Program, scene: NetworkScene, object: BpfObject) => Link
  readonly fire: (scene: NetworkScene, object: BpfObject) => unknown
}

const receive = ({ network }: NetworkScene): void => network.receive()
const inCgroup = ({ cgroup }: NetworkScene, command: string): unknown => cgroup.run('bash', '-c', command)
const connectInCgroup = (scene: NetworkScene): unknown => inCgroup(scene, 'echo > /dev/udp/127.0.0.1/9')
const toCgroup: NetworkAttachment['attach'] = (program, { cgroup }) => program.attachCgroup(cgroup.path)
const toNetns: NetworkAttachment['attach'] = (program, { network }) => program.attachNetns(network.near.path)

/** A question for a neighbour is of no socket: to choose the queue that it leaves by, Linux takes it apart. */
function askForNeighbour({ network }: NetworkScene): void {
  network.near.ip('neigh flush dev near')
  network.transmit()
}

/** Nobody has the address: its neighbour entry is made, or nothing would be sent before an answer. Without the route there is no way to it. */
function transmitByRoute({ network }: NetworkScene): void {
  if (network.near.ip('route show 10.77.0.0/24') === '') return
  network.near.ip('neigh replace 10.77.0.5 lladdr 02:00:00:00:00:01 dev near')
  network.near.send('10.77.0.5')
}

/** The program has run before the datagram is there. */
async function receiveDatagram({ receiver }: NetworkScene): Promise<void> {
  const received = once(receiver, 'message')
  receiver.send('datagram', receiver.address().port, '127.0.0.1')
  await received
}

/** The two ends of a connection over the loopback interface. */
async function connection(use: (near: Socket, far: Socket) => Promise<void>): Promise<void> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no address')
  const near = connect(address.port, '127.0.0.1')
  const [far] = (await accepted) as [Socket]
  if (near.connecting) await once(near, 'connect')
  await use(near, far)
  for (const end of [near, far, server]) await close(end)
}

/** A socket has the programs that its map had when it was put in. */
async function sendFromMap(_: NetworkScene, object: BpfObject): Promise<void> {
  await connection(async (near, far) => {
    object.map('sockets').set(0, near)
    near.write('packet')
    await once(far, 'data')
  })
}

/** What a verdict passes comes as it does without one. */
async function receiveInMap(_: NetworkScene, object: BpfObject): Promise<void> {
  await connection(async (near, far) => {
    object.map('sockets').set(0, far)
    near.write('packet')
    await once(far, 'data')
  })
}

async function close(end: { destroy(): unknown } | { close(): unknown }): Promise<void> {
  const closed = once(end as Socket, 'close')
  if ('destroy' in end) end.destroy()
  else end.close()
  await closed
}

export const NETWORK_ATTACHMENTS: readonly NetworkAttachment[] = [
  {
    name: 'XDP', object: 'network', program: 'xdp', other: 'xdp_other', needs: { since: '5.9' }, type: 'xdp', fire: receive,
    attach: (program, { network }) => program.attachXdp('near', { netns: network.near.path }),
  },
  {
    name: 'tcx', object: 'network', program: 'tc', other: 'tc_other', needs: { since: '6.6', config: ['NET_XGRESS'] }, type: 'tcx', fire: receive,
    attach: (program, { network }) => program.attachTc('near', { netns: network.near.path, direction: 'ingress' }),
  },
  {
    name: 'cgroup', object: 'cgroup', program: 'connect4', other: 'connect4_second', needs: { since: '5.9' }, type: 'cgroup',
    attach: toCgroup, fire: connectInCgroup,
  },
  {
    name: 'cgroup device', object: 'cgroup', program: 'device', needs: { since: '5.9' }, type: 'cgroup',
    attach: toCgroup, fire: (scene) => inCgroup(scene, ': < /dev/zero'),
  },
  {
    name: 'lsm_cgroup', object: 'cgroup', program: 'socket_bind', needs: { since: '6.0', config: ['BPF_LSM'], machine: true }, type: 'cgroup',
    attach: toCgroup, fire: ({ cgroup }) => cgroup.run('perl', '-MSocket', '-e', 'socket(S, AF_INET, SOCK_DGRAM, 0); bind(S, pack_sockaddr_in(0, INADDR_LOOPBACK))'),
  },
  {
    name: 'sk_lookup', object: 'network', program: 'sk_lookup', other: 'sk_lookup_other', needs: { since: '5.9' }, type: 'netns',
    attach: toNetns, fire: receive,
  },
  {
    name: 'flow_dissector', object: 'network', program: 'flow_dissector', needs: { since: '5.9' }, type: 'netns',
    attach: toNetns, fire: askForNeighbour,
  },
  {
    name: 'netfilter', object: 'network', program: 'netfilter', needs: { since: '6.4', config: ['NETFILTER_BPF_LINK'] }, type: 'netfilter', fire: receive,
    attach: (program, { network }) =>
      program.attachNetfilter({ netns: network.near.path, protocol: 'ipv4', hook: 'input', priority: 5 }),
  },
  {
    name: 'XDP by netlink', object: 'network', program: 'xdp', needs: { since: '5.8' }, type: 'none', fire: receive,
    attach: (program, { network }) => program.attachXdp('near', { netns: network.near.path, via: 'netlink' }),
  },
  {
    name: 'clsact', object: 'network', program: 'tc', needs: { since: '5.8', config: ['NET_CLS_BPF'] }, type: 'none', fire: receive,
    attach: (program, { network }) => program.attachTc('near', { netns: network.near.path, direction: 'ingress', via: 'clsact' }),
  },
  {
    name: 'cgroup without a link', object: 'cgroup', program: 'connect4', needs: { since: '5.8' }, type: 'none', fire: connectInCgroup,
    attach: (program, { cgroup }) => program.attachCgroup(cgroup.path, { sharing: 'multi' }),
  },
  {
    name: 'lwt_xmit', object: 'network', program: 'lwt_xmit', needs: { since: '5.8', config: ['LWTUNNEL_BPF'] }, type: 'none',
    attach: (program, { network }) => program.attachLwt('10.77.0.0/24', { interface: 'near', netns: network.near.path }),
    fire: transmitByRoute,
  },
  {
    name: 'lwt_seg6local', object: 'network', program: 'lwt_seg6local', needs: { since: '5.8', config: ['IPV6_SEG6_BPF'] }, type: 'none',
    attach: (program, { network }) => program.attachLwt('fd88::1/128', { interface: 'near', netns: network.near.path }),
    fire: ({ network }) => network.receiveSegments('fd88::1'),
  },
  {
    name: 'socket filter', object: 'network', program: 'socket_filter', needs: { since: '5.8' }, type: 'none', fire: receiveDatagram,
    attach: (program, { receiver }) => program.attachSocket(receiver),
  },
  {
    name: 'sk_skb verdict', object: 'sockmap', program: 'verdict', needs: { since: '6.10', config: ['BPF_STREAM_PARSER'] }, type: 'sockmap',
    attach: (program, _, object) => program.attachSockmap(object.map('sockets')), fire: receiveInMap,
  },
  {
    name: 'sk_msg without a link', object: 'sockmap', program: 'msg', needs: { since: '5.13', config: ['BPF_STREAM_PARSER'] }, type: 'none',
    attach: (program, _, object) => program.attachSockmap(object.map('sockets'), { via: 'map' }), fire: sendFromMap,
  },
  {
    name: 'sk_msg', object: 'sockmap', program: 'msg', other: 'msg_other', needs: { since: '6.10', config: ['BPF_STREAM_PARSER'] }, type: 'sockmap',
    attach: (program, _, object) => program.attachSockmap(object.map('sockets')), fire: sendFromMap,
  },
] // prettier-ignore

/** Both ends of a netkit pair; its primary end is `near`'s. */
export const NETKIT_ATTACHMENTS: readonly NetworkAttachment[] = [
  {
    name: 'netkit, primary', object: 'network', program: 'netkit', other: 'netkit_peer', needs: { since: '6.7', config: ['NETKIT'] }, type: 'netkit',
    attach: (program, { network }) => program.attachTc('kit', { netns: network.near.path, direction: 'primary' }),
    fire: ({ network }) => network.near.send('10.98.0.2'),
  },
  {
    name: 'netkit, peer', object: 'network', program: 'netkit_peer', other: 'netkit', needs: { since: '6.7', config: ['NETKIT'] }, type: 'netkit',
    attach: (program, { network }) => program.attachTc('kit', { netns: network.near.path, direction: 'peer' }),
    fire: ({ network }) => network.far.send('10.98.0.1'),
  },
] // prettier-ignore

/** Puts a netkit pair between the two namespaces, beside the cable. */
export function addNetkit({ near, far }: TestNetwork): void {
  near.ip('link add kit type netkit')
  const name = /^\d+: (\w+)@kit/m.exec(near.ip('link show'))?.[1]
  if (name === undefined) throw new Error('the pair has one end')
  near.ip(`link set ${name} netns ${far.pid}`)
  for (const [namespace, end, address] of [
    [near, 'kit', '10.98.0.1'],
    [far, name, '10.98.0.2'],
  ] as const) {
    namespace.ip(`addr add ${address}/24 dev ${end}`)
    namespace.ip(`link set ${end} up`)
  }
}
