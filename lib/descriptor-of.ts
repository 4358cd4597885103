/** File descriptors out of what holds them: files, sockets, servers. */
import { Socket as DatagramSocket } from 'node:dgram'

/** Where a datagram socket of Node's keeps its handle: its `_handle` is the same, but warns who reads it. */
const DATAGRAM_STATE = 'state symbol'

interface HasFd {
  readonly fd?: unknown
  readonly _handle?: { readonly fd?: unknown } | null
}

/**
 * The number of the file descriptor that a thing holds: of anything with a numeric `fd` (`fs.promises` file handles, streams of files, plain
 * objects), and of Node's sockets and servers. Everything else is answered as it is.
 */
export function descriptorOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const { fd } = value as HasFd
  if (typeof fd === 'number') return fd
  // Node has no official way to ask a socket for its descriptor; this one has been there since its first versions.
  const handle =
    datagramHandle(value) ?? (value instanceof DatagramSocket ? undefined : (value as HasFd)._handle)
  return typeof handle?.fd === 'number' ? handle.fd : value
}

function datagramHandle(value: object): HasFd['_handle'] {
  const symbol = Object.getOwnPropertySymbols(value).find(({ description }) => description === DATAGRAM_STATE)
  const state: unknown = symbol === undefined ? undefined : Reflect.get(value, symbol)
  return typeof state === 'object' && state !== null && 'handle' in state
    ? (state.handle as HasFd['_handle'])
    : undefined
}
