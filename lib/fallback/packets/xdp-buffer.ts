/** struct xdp_buff: a packet as XDP programs have it. net/core/filter.c and include/net/xdp.h of Linux 6.18. */
import { EACCES, EFAULT, EINVAL, EOPNOTSUPP } from '../errors.js'
import type { Memory } from '../memory.js'
import { XDP_SIZE } from './context-layout.js'
import { PacketBuffer } from './packet-buffer.js'

/** XDP_PACKET_HEADROOM. */
export const XDP_HEADROOM = 256
/** What a page of 4 KiB has for the packet's first piece: without headroom, and struct skb_shared_info at its end. */
export const XDP_LINEAR = 4096 - XDP_HEADROOM - 320
/** Of the headroom: bytes of struct xdp_frame, which lies in front of everything. */
const FRAME_SIZE = 40
/** Bytes of an Ethernet header: no packet is shorter. */
const ETH_HLEN = 14
/** What skb_shared_info can say of the metadata's length. */
const MAX_META = 255
const MAX_OFFSET = 0xffff

const FIELD = { ingress_ifindex: 12, rx_queue_index: 16 } as const

export class XdpBuffer extends PacketBuffer {
  /** The pieces behind the first one, which programs reach by helpers alone. */
  #fragments: Uint8Array

  /**
   * @param meta   bytes of metadata that the packet begins with
   * @param linear bytes of the first piece, metadata among them
   */
  constructor(memory: Memory, packet: Uint8Array, meta: number, linear: number, hidesContext = false) {
    const room = { front: XDP_HEADROOM - meta, behind: XDP_LINEAR + meta - linear }
    super(memory, XDP_SIZE, packet.subarray(0, linear), room, hidesContext)
    this.#fragments = packet.slice(linear)
    this.setBounds(this.data + meta, this.end, this.data)
  }

  override get totalLength(): number {
    return this.length + this.#fragments.length
  }

  /** Where it came from, as programs see it. */
  setDevice(ifindex: number, queue: number): void {
    this.setField(FIELD.ingress_ifindex, ifindex)
    this.setField(FIELD.rx_queue_index, queue)
  }

  /** All of it, metadata first. */
  contents(): Uint8Array {
    const linear = this.bytes.subarray(this.meta, this.end)
    const all = new Uint8Array(linear.length + this.#fragments.length)
    all.set(linear)
    all.set(this.#fragments, linear.length)
    return all
  }

  /** bpf_xdp_adjust_head(). @returns 0 or a negative errno, like all that follow */
  adjustHead(offset: number): number {
    const { bytes, meta } = this
    const metaSize = this.data - meta
    const data = this.data + offset
    if (data < this.#frameEnd + metaSize || data > this.end - ETH_HLEN) return EINVAL
    // What was written there by nobody is zero here, and whatever was there before in Linux.
    bytes.copyWithin(meta + offset, meta, meta + metaSize)
    this.setBounds(data, this.end, meta + offset)
    return 0
  }

  /** bpf_xdp_adjust_tail() */
  adjustTail(offset: number): number {
    if (this.#fragments.length > 0) return this.#adjustFragments(offset)
    const end = this.end + offset
    if (end > this.blockEnd || end < this.data + ETH_HLEN) return EINVAL
    if (offset > 0) this.bytes.fill(0, this.end, end)
    this.setBounds(this.data, end, this.meta)
    return 0
  }

  /** Fragments of a test run can't grow. */
  #adjustFragments(offset: number): number {
    if (offset >= 0) return EOPNOTSUPP
    if (-offset > this.totalLength - ETH_HLEN) return EINVAL
    const left = this.#fragments.length + offset
    this.#fragments = this.#fragments.subarray(0, Math.max(0, left))
    if (left < 0) this.setBounds(this.data, this.end + left, this.meta)
    return 0
  }

  /** bpf_xdp_adjust_meta() */
  adjustMeta(offset: number): number {
    const meta = this.meta + offset
    if (meta < this.#frameEnd || meta > this.data) return EINVAL
    const size = this.data - meta
    if (size % 4 !== 0 || size > MAX_META) return EACCES
    this.setBounds(this.data, this.end, meta)
    return 0
  }

  /** Whether bytes are in the packet, as bpf_xdp_load_bytes() and bpf_xdp_store_bytes() ask. @returns 0 or a negative errno */
  check(offset: number, size: number): number {
    if (offset > MAX_OFFSET || size > MAX_OFFSET) return EFAULT
    return offset + size > this.totalLength ? EINVAL : 0
  }

  /** Copies bytes of the packet, which are in it, to an address. */
  load(offset: number, size: number, to: number): void {
    const { bytes, data, length } = this
    const linear = Math.max(0, Math.min(size, length - offset))
    bytes.copyWithin(to, data + offset, data + offset + linear)
    if (linear === size) return
    const from = offset + linear - length
    bytes.set(this.#fragments.subarray(from, from + size - linear), to + linear)
  }

  /** Copies bytes from an address into the packet, in which there is room for them. */
  store(offset: number, size: number, from: number): void {
    const { bytes, data, length } = this
    const linear = Math.max(0, Math.min(size, length - offset))
    bytes.copyWithin(data + offset, from, from + linear)
    if (linear < size)
      this.#fragments.set(bytes.subarray(from + linear, from + size), offset + linear - length)
  }

  get #frameEnd(): number {
    return this.block + FRAME_SIZE
  }
}

/** Whether a packet may begin with so much metadata. */
export function isMetaSize(size: number): boolean {
  return size % 4 === 0 && size <= XDP_HEADROOM - FRAME_SIZE
}
