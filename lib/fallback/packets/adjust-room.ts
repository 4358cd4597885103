/** bpf_skb_adjust_room(): room for headers of tunnels, and without them again. net/core/filter.c of Linux 6.18. */
import { EALREADY, EFAULT, EINVAL, ENOTSUPP } from '../errors.js'
import { SKB_FIELD } from '../../linux/context-access.js'
import { IP_HLEN, IPV6_HLEN, MAX_LENGTH, PROTOCOL, type SkBuff } from './sk-buff.js'

/** BPF_F_ADJ_ROOM_* */
const FLAG = {
  FIXED_GSO: 1,
  ENCAP_L3_IPV4: 2,
  ENCAP_L3_IPV6: 4,
  ENCAP_L4_GRE: 8,
  ENCAP_L4_UDP: 16,
  NO_CSUM_RESET: 32,
  ENCAP_L2_ETH: 64,
  DECAP_L3_IPV4: 128,
  DECAP_L3_IPV6: 256,
} as const
const ALL = 511
const ENCAP = FLAG.ENCAP_L3_IPV4 | FLAG.ENCAP_L3_IPV6
const DECAP = FLAG.DECAP_L3_IPV4 | FLAG.DECAP_L3_IPV6
const GRE_AND_UDP = FLAG.ENCAP_L4_GRE | FLAG.ENCAP_L4_UDP
const MODE = { NET: 0, MAC: 1 } as const
const MAX_DIFFERENCE = 0xfff
const ETH_HLEN = 14

/** The flags of a call: bits, and the length of the inner link's header, which has the topmost eight. */
export interface AdjustFlags {
  readonly bits: number
  readonly innerMac: number
}

/** undefined: there are others among them. */
export function adjustFlags(low: number, high: number): AdjustFlags | undefined {
  if ((low & ~ALL) !== 0 || (high & 0xffffff) !== 0) return undefined
  return { bits: low, innerMac: high >>> 24 }
}

/** @returns 0 or a negative errno */
export function adjustRoom(skb: SkBuff, difference: number, mode: number, flags: AdjustFlags): number {
  const size = Math.abs(difference)
  if (size > MAX_DIFFERENCE) return EFAULT
  const { protocol } = skb
  if (protocol !== PROTOCOL.IP && protocol !== PROTOCOL.IPV6) return ENOTSUPP
  const headers = protocol === PROTOCOL.IP ? IP_HLEN : IPV6_HLEN
  if (mode !== MODE.NET && mode !== MODE.MAC) return ENOTSUPP
  const off = skb.macLength + (mode === MODE.NET ? headers : 0)
  const shrinks = difference < 0
  const decap = flags.bits & DECAP
  if (decap !== 0 && (!shrinks || decap === DECAP)) return EINVAL
  const least = decap === 0 ? headers : decap === FLAG.DECAP_L3_IPV4 ? IP_HLEN : IPV6_HLEN
  const length = skb.length - skb.networkOffset
  if (shrinks ? size >= length || length - size < least : skb.length + size > MAX_LENGTH) return ENOTSUPP
  const error = shrinks ? shrink(skb, off, size, flags) : grow(skb, off, size, flags)
  if (error === 0 && (flags.bits & FLAG.NO_CSUM_RESET) === 0) skb.checksumLevel = -1
  return error
}

function grow(skb: SkBuff, off: number, size: number, { bits, innerMac }: AdjustFlags): number {
  const encap = bits & ENCAP
  if (encap === 0) {
    skb.insertAt(off, size)
    return 0
  }
  if (encap === ENCAP || (bits & GRE_AND_UDP) === GRE_AND_UDP) return EINVAL
  if ((bits & FLAG.ENCAP_L2_ETH) !== 0 && innerMac < ETH_HLEN) return EINVAL
  if (skb.isEncapsulated) return EALREADY
  if (innerMac > size) return EINVAL
  skb.insertAt(off, size)
  skb.isEncapsulated = true
  skb.setField(SKB_FIELD.protocol, encap === FLAG.ENCAP_L3_IPV6 ? PROTOCOL.IPV6 : PROTOCOL.IP)
  return 0
}

function shrink(skb: SkBuff, off: number, size: number, { bits, innerMac }: AdjustFlags): number {
  if ((bits & ~(FLAG.FIXED_GSO | DECAP | FLAG.NO_CSUM_RESET)) !== 0 || innerMac !== 0) return EINVAL
  const error = skb.removeAt(off, size)
  if (error !== 0) return error
  if ((bits & FLAG.DECAP_L3_IPV6) !== 0) skb.setField(SKB_FIELD.protocol, PROTOCOL.IPV6)
  else if ((bits & FLAG.DECAP_L3_IPV4) !== 0) skb.setField(SKB_FIELD.protocol, PROTOCOL.IP)
  return 0
}
