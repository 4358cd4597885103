/** Hashes of flows. Linux's have a secret of the boot; these are only alike in what they are of: addresses, protocol and ports. */
import { IP_HLEN, IPV6_HLEN, PROTOCOL, type SkBuff } from './sk-buff.js'

const PORTS = 4
/** Protocols of transport whose headers begin with ports: TCP, UDP, SCTP. */
const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 132])
/** FNV-1a. */
const BASIS = 0x811c9dc5
const PRIME = 0x01000193

/** Never 0, which stands for none. */
export function flowHash(skb: SkBuff): number {
  const { bytes, end, protocol } = skb
  const at = skb.networkHeader
  let hash = BASIS
  const add = (from: number, size: number): void => {
    for (let i = from; i < Math.min(from + size, end); i++)
      hash = Math.imul(hash ^ (bytes[i] as number), PRIME) >>> 0
  }
  if (protocol === PROTOCOL.IP) {
    const transport = bytes[at + 9] ?? 0
    add(at + 9, 1)
    add(at + 12, 8)
    if (WITH_PORTS.has(transport)) add(at + ((bytes[at] ?? 0) & 15) * 4, PORTS)
  } else if (protocol === PROTOCOL.IPV6) {
    const transport = bytes[at + 6] ?? 0
    add(at + 6, 1)
    add(at + 8, 32)
    if (WITH_PORTS.has(transport)) add(at + IPV6_HLEN, PORTS)
  } else add(at, IP_HLEN)
  return hash === 0 ? 1 : hash
}
