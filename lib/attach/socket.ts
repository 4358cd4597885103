/** Attaching to sockets, and to the maps that hold them. */
import type { Socket as DatagramSocket } from 'node:dgram'
import type { Server, Socket } from 'node:net'
import { checkBoolean, checkDescriptor, checkName } from '../checked-settings.js'
import { descriptorOf } from '../descriptor-of.js'
import { BpfError } from '../errors.js'
import type { KernelMap, KernelProgram } from '../kernel.js'
import type { Link } from '../link.js'
import { attachTypeByName, attachTypeName, BPF_ATTACH_TYPE as A } from '../linux/attach-types.js'
import { BPF_MAP_TYPE } from '../linux/map-types.js'
import { BPF_PROG_TYPE as P } from '../linux/program-types.js'
import { isMapLike, type MapLike } from '../program-like.js'
import { checkOneOf } from './options.js'
import { linkOf } from './kernel-probes.js'
import { requireVerb } from './verbs.js'

/** A socket: one of Node's that is open (a server that listens, a datagram socket that is bound), something with an `fd`, or a descriptor. */
export type SocketReference = Socket | Server | DatagramSocket | { readonly fd: number } | number

export interface SocketOptions {
  /** For all sockets that share the socket's port (SO_REUSEPORT), rather than for itself. Default: for `sk_reuseport` programs. */
  readonly reuseport?: boolean
}

export interface SockmapOptions {
  /** Under libbpf's name: `sk_skb_stream_verdict`. Without: what the `SEC()` name says. */
  readonly attachType?: string
  /** `link`: a BPF link, Linux 6.10. `map`: the attachment from before, which lasts as long as the map. Without: a link where Linux has them. */
  readonly via?: 'link' | 'map'
}

export function attachSocket(program: KernelProgram, socket: SocketReference, options: SocketOptions): Link {
  const what = 'attachSocket()'
  requireVerb(program.info, 'attachSocket')
  const isSelector = program.info.type === P.SK_REUSEPORT
  const { reuseport = isSelector } = options
  checkBoolean(`${what}: reuseport`, reuseport)
  if (isSelector && !reuseport) {
    throw new BpfError(
      'BAD_VALUE',
      `${what}: program '${program.info.name}' of type sk_reuseport chooses among sockets of a port`,
      {
        hint: 'Leave reuseport away',
      },
    )
  }
  return linkOf(program, { kind: 'socket', fd: socketDescriptor(what, socket), reuseport })
}

function socketDescriptor(what: string, socket: SocketReference): number {
  const fd = descriptorOf(socket)
  if (typeof fd === 'number') return checkDescriptor(`${what}: the socket`, fd)
  throw new BpfError('BAD_VALUE', `${what}: the socket has no descriptor`, {
    hint: 'A socket of Node has one from connecting or binding to closing: wait for that; or give the descriptor itself',
  })
}

const SOCKMAPS: ReadonlySet<number> = new Set([BPF_MAP_TYPE.SOCKMAP, BPF_MAP_TYPE.SOCKHASH])

/** Places of a map that holds sockets. */
const PLACES: readonly number[] = [
  A.SK_MSG_VERDICT,
  A.SK_SKB_STREAM_PARSER,
  A.SK_SKB_STREAM_VERDICT,
  A.SK_SKB_VERDICT,
]

export function attachSockmap(program: KernelProgram, map: MapLike | number, options: SockmapOptions): Link {
  const what = 'attachSockmap()'
  requireVerb(program.info, 'attachSockmap')
  const { attachType, via } = options
  if (attachType === undefined && !PLACES.includes(program.info.expectedAttachType)) {
    throw new BpfError(
      'BAD_VALUE',
      `${what}: program '${program.info.name}' of SEC("${program.info.section}") doesn't say its place`,
      {
        hint: `Give attachType: ${PLACES.map((type) => `'${attachTypeName(type)}'`).join(', ')}`,
      },
    )
  }
  return linkOf(program, {
    kind: 'sockmap',
    map: sockmapReference(what, map),
    attachType:
      attachType === undefined
        ? undefined
        : checkName(`${what}: attachType`, attachType, attachTypeByName, () => PLACES.map(attachTypeName)),
    via: checkOneOf(`${what}: via`, via, ['link', 'map']),
  })
}

function sockmapReference(what: string, map: MapLike | number): KernelMap | number {
  if (typeof map === 'number') return checkDescriptor(`${what}: the map`, map)
  if (!isMapLike(map)) throw new BpfError('BAD_VALUE', `${what} takes a map, or the file descriptor of one`)
  if (SOCKMAPS.has(map.kernelMap.info.type)) return map.kernelMap
  throw new BpfError('BAD_VALUE', `${what}: map '${map.kernelMap.info.name}' holds no sockets`, {
    hint: 'It takes one of type sockmap or sockhash',
  })
}
