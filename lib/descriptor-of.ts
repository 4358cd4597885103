/** File descriptors out of what holds them: files, sockets, servers. */

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
  const { fd, _handle: handle } = value as HasFd
  if (typeof fd === 'number') return fd
  // Node has no official way to ask a socket for its descriptor; this one has been there since its first versions.
  return typeof handle?.fd === 'number' ? handle.fd : value
}
