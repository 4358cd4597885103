/** struct sk_buff: a packet as tc, socket filters and cgroups have it, in one piece. net/core/filter.c and net/core/skbuff.c of Linux 6.18. */
import { SKB_FIELD } from '../../linux/context-access.js'
import { EINVAL, ENOMEM, ENOTSUPP } from '../errors.js'
import type { Memory } from '../memory.js'
import { SKB_SIZE } from './context-layout.js'
import { PacketBuffer } from './packet-buffer.js'
import { TestSocket } from './socket.js'

/** NET_SKB_PAD and NET_IP_ALIGN of x86-64. */
export const SKB_HEADROOM = 64
/** What a page of 4 KiB has for a packet: without headroom, and struct skb_shared_info at its end. */
export const SKB_LINEAR = 4096 - SKB_HEADROOM - 320
/** SKB_MAX_ALLOC: what helpers may make of a packet. */
export const MAX_LENGTH = (4096 << 2) - 320
/** Of an Ethernet header, its two addresses, and a VLAN tag. */
const ETH_HLEN = 14
const ETH_ALENS = 12
const VLAN_HLEN = 4

/** Protocols as they lie in packets, read as little-endian numbers. */
export const PROTOCOL = { IP: 0x0008, IPV6: 0xdd86, VLAN: 0x0081, QINQ: 0xa888 } as const
const FIRST_ETHERTYPE = 1536
const PROTOCOL_802_3 = 0x0100
const PROTOCOL_802_2 = 0x0400
/** Bytes of headers without options. */
export const IP_HLEN = 20
export const IPV6_HLEN = 40

const F = SKB_FIELD

export class SkBuff extends PacketBuffer {
  /** Addresses of headers. */
  #mac: number
  #network: number
  /** Whether it is in a tunnel: skb->encapsulation. */
  isEncapsulated = false

  readonly socket: TestSocket
  /** How many checksums are known to be right, less one; -1: none. */
  checksumLevel = -1

  /** A frame as it came in: what eth_type_trans() makes of it. */
  constructor(memory: Memory, frame: Uint8Array, hidesContext = false) {
    const room = { front: SKB_HEADROOM, behind: SKB_LINEAR - frame.length }
    super(memory, SKB_SIZE, frame, room, hidesContext)
    this.socket = new TestSocket(memory)
    this.socket.tell(this.context + F.sk)
    this.#mac = this.data
    this.setField(F.protocol, this.#frameProtocol(this.data + ETH_ALENS))
    this.setField(F.pkt_type, packetType(frame))
    this.#network = this.data + ETH_HLEN
    this.#noteLength()
  }

  get protocol(): number {
    return this.field(F.protocol)
  }

  /** Bytes of the headers in front of the network's; also fewer than none. */
  get networkOffset(): number {
    return this.#network - this.data
  }

  get macHeader(): number {
    return this.#mac
  }

  get networkHeader(): number {
    return this.#network
  }

  /** Leaves headers in front behind. */
  pull(size: number): void {
    this.setBounds(this.data + size, this.end)
    this.#noteLength()
  }

  /** Takes in zeroed bytes in front. */
  push(size: number): void {
    this.#reserve(size, 0)
    const data = this.data - size
    this.bytes.fill(0, data, this.data)
    this.setBounds(data, this.end)
    this.#noteLength()
  }

  override close(): void {
    this.socket.close()
    super.close()
  }

  contents(): Uint8Array {
    return this.bytes.slice(this.data, this.end)
  }

  /** Where `size` bytes at a signed offset lie, as LD_ABS has it: below 0 from the network header, or from the link's. -1: nowhere. */
  addressOf(offset: number, size: number): number {
    if (offset < -2 * NETWORK_OFFSET) return -1
    const at =
      offset >= 0
        ? this.data + offset
        : offset >= -NETWORK_OFFSET
          ? this.#network + offset + NETWORK_OFFSET
          : this.#mac + offset + 2 * NETWORK_OFFSET
    // No more than Linux's: it may be in front of the packet, but not of its room.
    return at >= this.block && at + size <= this.end ? at : -1
  }

  /** Where `size` bytes from an unsigned offset lie; -1: they aren't all there. */
  inside(offset: number, size: number): number {
    return offset + size <= this.length ? this.data + offset : -1
  }

  /** bpf_skb_pull_data(). @returns 0 or a negative errno, like all that follow */
  pullData(size: number): number {
    return size > this.length ? ENOMEM : 0
  }

  /** bpf_skb_change_tail() */
  changeTail(length: number): number {
    if (length > MAX_LENGTH || length < Math.max(0, this.networkOffset)) return EINVAL
    const { length: old } = this
    if (length > old) {
      this.#reserve(0, length - old)
      this.bytes.fill(0, this.end, this.data + length)
    }
    this.setBounds(this.data, this.data + length)
    this.#noteLength()
    return 0
  }

  /** bpf_skb_change_head() */
  changeHead(size: number): number {
    if ((size | 0) < 0 || this.length + size > MAX_LENGTH) return EINVAL
    this.push(size)
    this.#mac = this.data
    return 0
  }

  /** bpf_skb_change_type() */
  changeType(type: number): number {
    if (this.field(F.pkt_type) > OTHER_HOST || type > OTHER_HOST) return EINVAL
    this.setField(F.pkt_type, type)
    return 0
  }

  /** bpf_csum_level(): one more (1), one fewer (2), none (3) */
  changeChecksumLevel(change: number): number {
    const most = 3
    if (change === 1) this.checksumLevel = Math.min(most, this.checksumLevel + 1)
    else this.checksumLevel = change === 2 ? Math.max(-1, this.checksumLevel - 1) : -1
    return 0
  }

  /** bpf_skb_change_proto(): between IPv4 and IPv6; the headers' contents are the program's. */
  changeProtocol(protocol: number): number {
    const { protocol: from } = this
    const off = this.#network - this.#mac
    if (from === PROTOCOL.IP && protocol === PROTOCOL.IPV6) this.#insert(off, IPV6_HLEN - IP_HLEN)
    else if (from === PROTOCOL.IPV6 && protocol === PROTOCOL.IP) {
      const error = this.#remove(off, IPV6_HLEN - IP_HLEN)
      if (error !== 0) return error
    } else return ENOTSUPP
    this.setField(F.protocol, protocol)
    this.setField(F.hash, 0)
    return 0
  }

  /** bpf_skb_vlan_push(): the innermost tag stays beside the packet, as the hardware has it. */
  pushVlan(protocol: number, tag: number): number {
    const isKnown = protocol === PROTOCOL.VLAN || protocol === PROTOCOL.QINQ
    if (this.field(F.vlan_present) !== 0) {
      const inner = this.field(F.vlan_proto)
      this.#reserve(VLAN_HLEN, 0)
      const { bytes } = this
      const data = this.data - VLAN_HLEN
      bytes.copyWithin(data, this.data, this.data + ETH_ALENS)
      this.setBounds(data, this.end)
      this.#setShort(data + ETH_ALENS, inner)
      this.#setShort(data + ETH_ALENS + 2, swapped(this.field(F.vlan_tci)))
      this.#mac -= VLAN_HLEN
      this.#network -= VLAN_HLEN
      this.setField(F.protocol, inner)
      this.#noteLength()
    }
    this.#setTag(isKnown ? protocol : PROTOCOL.VLAN, tag)
    return 0
  }

  /** bpf_skb_vlan_pop(): the tag beside the packet goes, and the next one takes its place. */
  popVlan(): number {
    if (this.field(F.vlan_present) !== 0) {
      this.setField(F.vlan_present, 0)
      this.setField(F.vlan_tci, 0)
      this.setField(F.vlan_proto, 0)
    } else {
      if (!isVlan(this.protocol)) return 0
      if (this.length < ETH_HLEN + VLAN_HLEN) return ENOMEM
      this.#takeTag()
    }
    const { protocol } = this
    if (!isVlan(protocol)) return 0
    if (this.length < ETH_HLEN + VLAN_HLEN) return ENOMEM
    this.#setTag(protocol, this.#takeTag())
    return 0
  }

  /** Zeroed bytes behind the first `off` ones of the frame; headers in front move. */
  insertAt(off: number, size: number): void {
    this.#insert(off, size)
  }

  /** Takes bytes out behind the first `off` ones of the frame. */
  removeAt(off: number, size: number): number {
    return this.#remove(off, size)
  }

  get macLength(): number {
    return this.#network - this.#mac
  }

  #insert(off: number, size: number): void {
    this.#reserve(size, 0)
    const { bytes } = this
    const data = this.data - size
    bytes.copyWithin(data, this.data, this.data + off)
    bytes.fill(0, data + off, data + off + size)
    this.setBounds(data, this.end)
    this.#mac -= size
    this.#network -= size
    this.#noteLength()
  }

  #remove(off: number, size: number): number {
    if (off + size > this.length) return ENOMEM
    const data = this.data + size
    this.bytes.copyWithin(data, this.data, this.data + off)
    this.setBounds(data, this.end)
    this.#mac += size
    this.#network += size
    this.#noteLength()
    return 0
  }

  /** Takes the first tag out of the packet. @returns it */
  #takeTag(): number {
    const { data, bytes } = this
    const tag = swapped(this.#short(data + ETH_HLEN))
    this.setField(F.protocol, this.#frameProtocol(data + ETH_HLEN + 2))
    bytes.copyWithin(data + VLAN_HLEN, data, data + ETH_ALENS)
    this.setBounds(data + VLAN_HLEN, this.end)
    this.#mac += VLAN_HLEN
    if (this.networkOffset < ETH_HLEN) this.#network = this.data + ETH_HLEN
    this.#noteLength()
    return tag
  }

  /** What follows a type, or a length of the older frames. */
  #frameProtocol(at: number): number {
    const type = this.#short(at)
    if (swapped(type) >= FIRST_ETHERTYPE) return type
    return at + 4 <= this.end && this.#short(at + 2) === 0xffff ? PROTOCOL_802_3 : PROTOCOL_802_2
  }

  #setTag(protocol: number, tag: number): void {
    this.setField(F.vlan_present, 1)
    this.setField(F.vlan_tci, tag & 0xffff)
    this.setField(F.vlan_proto, protocol)
  }

  #reserve(front: number, behind: number): void {
    const moved = this.makeRoom({ front, behind })
    this.#mac += moved
    this.#network += moved
  }

  #noteLength(): void {
    this.setField(F.len, this.length)
  }

  #short(address: number): number {
    return this.memory.view.getUint16(address, true)
  }

  #setShort(address: number, value: number): void {
    this.memory.view.setUint16(address, value, true)
  }
}

/** SKF_NET_OFF of Linux, and half of SKF_LL_OFF, without their signs. */
const NETWORK_OFFSET = 0x100000
/** PACKET_OTHERHOST; above it are types that no program may set. */
const OTHER_HOST = 3
const PACKET_HOST = 0
const PACKET_MULTICAST = 2

/** To whom a frame goes, for the loopback interface: its address is all zeroes, and so is its broadcast address. */
function packetType(frame: Uint8Array): number {
  if (frame.subarray(0, 6).every((byte) => byte === 0)) return PACKET_HOST
  return ((frame[0] ?? 0) & 1) !== 0 ? PACKET_MULTICAST : OTHER_HOST
}

export function swapped(value: number): number {
  return ((value & 0xff) << 8) | ((value >> 8) & 0xff)
}

function isVlan(protocol: number): boolean {
  return protocol === PROTOCOL.VLAN || protocol === PROTOCOL.QINQ
}
