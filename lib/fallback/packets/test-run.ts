/** BPF_PROG_TEST_RUN of programs that get packets. net/bpf/test_run.c of Linux 6.18. */
import type { RunOptions, RunResult } from '../../kernel.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import { TEST_RUN_FLAGS } from '../../linux/test-run.js'
import { unsupported } from '../../errors.js'
import { E2BIG, EINVAL, ENODEV, ENOMEM, ENOSPC } from '../errors.js'
import type { Memory } from '../memory.js'
import { SKB_SIZE, XDP_SIZE } from './context-layout.js'
import type { PacketBuffer } from './packet-buffer.js'
import { SKB_FIELD } from '../../linux/context-access.js'
import { IP_HLEN, IPV6_HLEN, PROTOCOL, SKB_LINEAR, SkBuff } from './sk-buff.js'
import { AF_INET, AF_INET6 } from './socket.js'
import { isMetaSize, XDP_LINEAR, XdpBuffer } from './xdp-buffer.js'

/** What runs: a program, and where packets are known by their contexts' addresses. */
export interface PacketRunner {
  readonly memory: Memory
  readonly packets: Map<number, PacketBuffer>
  /** Whether the program may not access its context in place: see hidden-context.ts. */
  readonly hidesContext: boolean
  /** Runs it once. @returns r0 as an unsigned 32-bit number */
  execute(context: number): number
}

/** A result, or a negative errno. */
type Outcome = RunResult | number

const ETH_HLEN = 14
/** The only network interface that there is. */
const LOOPBACK = 1
const MAX_FRAGMENTS = 17
const PAGE = 4096

/** Types whose packets begin with the frame's header; of the others, with the network's. */
const HAVE_FRAME: ReadonlySet<number> = new Set([P.SCHED_CLS, P.SCHED_ACT])

/** Runs a program of a type with struct __sk_buff. */
export function runOnSkb(runner: PacketRunner, type: number, options: RunOptions): Outcome {
  const { data, cpu, flags = 0, batchSize = 0 } = options
  if (cpu !== undefined || batchSize !== 0) return EINVAL
  if ((flags & ~TEST_RUN_FLAGS.BPF_F_TEST_SKB_CHECKSUM_COMPLETE) !== 0) return EINVAL
  if (flags !== 0) throw unsupported('flag BPF_F_TEST_SKB_CHECKSUM_COMPLETE in the fallback kernel')
  if (data === undefined || data.length < ETH_HLEN || data.length > SKB_LINEAR) return EINVAL
  const ctx = contextOf(options.ctx, SKB_SIZE)
  if (typeof ctx === 'number') return ctx
  const hasFrame = HAVE_FRAME.has(type)
  const skb = new SkBuff(runner.memory, data, runner.hidesContext)
  try {
    if (!hasHeader(skb)) return EINVAL
    noteAddresses(skb)
    if (!hasFrame) skb.pull(ETH_HLEN)
    const error = takeContext(skb, ctx)
    if (error !== 0) return error
    const { retval, durationNs } = repeat(runner, skb, options)
    if (!hasFrame) skb.push(ETH_HLEN)
    if (ctx !== undefined) giveContext(skb, ctx)
    return given(options, { retval, durationNs, data: skb.contents() }, ctx)
  } finally {
    skb.close()
  }
}

/** Members of struct __sk_buff that may be set, as ranges; all others are zero. */
const SETTABLE: readonly (readonly [start: number, end: number])[] = [
  [SKB_FIELD.mark, SKB_FIELD.mark + 4],
  [SKB_FIELD.priority, SKB_FIELD.ifindex + 4],
  [SKB_FIELD.cb, SKB_FIELD.cb + 20],
  [SKB_FIELD.tstamp, SKB_FIELD.gso_segs + 4],
  [SKB_FIELD.gso_size, SKB_FIELD.gso_size + 4],
  [SKB_FIELD.hwtstamp, SKB_FIELD.hwtstamp + 8],
]
/** Those that the packet takes from the context, and those that come back in it. */
const TAKEN: readonly (readonly [start: number, size: number])[] = [
  [SKB_FIELD.mark, 4],
  [SKB_FIELD.priority, 4],
  [SKB_FIELD.ingress_ifindex, 4],
  [SKB_FIELD.cb, 20],
  [SKB_FIELD.tstamp, 8],
  [SKB_FIELD.wire_len, 4],
  [SKB_FIELD.gso_segs, 4],
  [SKB_FIELD.gso_size, 4],
  [SKB_FIELD.hwtstamp, 8],
]
const GIVEN = [...TAKEN.filter(([start]) => start !== SKB_FIELD.gso_size), [SKB_FIELD.ifindex, 4] as const]
/** GSO_MAX_SEGS, GSO_LEGACY_MAX_SIZE. */
const MAX_SEGMENTS = 65535
const MAX_WIRE_LENGTH = 65536

function takeContext(skb: SkBuff, ctx: Uint8Array | undefined): number {
  skb.setField(SKB_FIELD.ifindex, LOOPBACK)
  if (ctx === undefined) return 0
  const view = new DataView(ctx.buffer, ctx.byteOffset)
  if (view.getUint32(SKB_FIELD.ifindex, true) > LOOPBACK) return ENODEV
  const isSettable = (at: number): boolean => SETTABLE.some(([start, end]) => at >= start && at < end)
  if (ctx.some((byte, at) => byte !== 0 && !isSettable(at))) return EINVAL
  const wireLength = view.getUint32(SKB_FIELD.wire_len, true)
  if (wireLength !== 0 && (wireLength < skb.length || wireLength > MAX_WIRE_LENGTH)) return EINVAL
  if (view.getUint32(SKB_FIELD.gso_segs, true) > MAX_SEGMENTS) return EINVAL
  for (const [start, size] of TAKEN) skb.bytes.set(ctx.subarray(start, start + size), skb.context + start)
  if (wireLength === 0) skb.setField(SKB_FIELD.wire_len, skb.length)
  return 0
}

function giveContext(skb: SkBuff, ctx: Uint8Array): void {
  const { bytes, context } = skb
  for (const [start, size] of GIVEN) ctx.set(bytes.subarray(context + start, context + start + size), start)
}

/** What says to be IP has a header of it. */
function hasHeader({ protocol, networkHeader, end }: SkBuff): boolean {
  const least = protocol === PROTOCOL.IP ? IP_HLEN : protocol === PROTOCOL.IPV6 ? IPV6_HLEN : 0
  return networkHeader + least <= end
}

const IPV4_ADDRESSES = 12
const IPV6_ADDRESSES = 8

/** The packet's socket is one of the run's own, with the packet's addresses. */
function noteAddresses(skb: SkBuff): void {
  const { bytes, context, protocol, socket } = skb
  const copy = (member: number, from: number, size: number): void => {
    bytes.copyWithin(context + member, from, from + size)
  }
  if (protocol === PROTOCOL.IP) {
    const from = skb.networkHeader + IPV4_ADDRESSES
    skb.setField(SKB_FIELD.family, AF_INET)
    copy(SKB_FIELD.local_ip4, from, 4)
    copy(SKB_FIELD.remote_ip4, from + 4, 4)
    socket.takeAddresses(AF_INET, from)
  } else if (protocol === PROTOCOL.IPV6) {
    const from = skb.networkHeader + IPV6_ADDRESSES
    skb.setField(SKB_FIELD.family, AF_INET6)
    copy(SKB_FIELD.local_ip6, from, 16)
    copy(SKB_FIELD.remote_ip6, from + 16, 16)
    socket.takeAddresses(AF_INET6, from)
  }
}

const MD = {
  data: 0,
  data_end: 4,
  data_meta: 8,
  ingress_ifindex: 12,
  rx_queue_index: 16,
  egress_ifindex: 20,
} as const

/** Runs an XDP program. */
export function runOnXdp(runner: PacketRunner, options: RunOptions): Outcome {
  const { data, cpu, flags = 0, batchSize = 0 } = options
  if ((flags & ~TEST_RUN_FLAGS.BPF_F_TEST_XDP_LIVE_FRAMES) !== 0 || cpu !== undefined) return EINVAL
  if (flags !== 0) throw unsupported('flag BPF_F_TEST_XDP_LIVE_FRAMES in the fallback kernel')
  if (batchSize !== 0) return EINVAL
  const ctx = contextOf(options.ctx, XDP_SIZE)
  if (typeof ctx === 'number') return ctx
  const { length = 0 } = data ?? {}
  const view = ctx === undefined ? undefined : new DataView(ctx.buffer, ctx.byteOffset)
  const member = (offset: number): number => view?.getUint32(offset, true) ?? 0
  const start = member(MD.data)
  const end = view === undefined ? length : member(MD.data_end)
  if (member(MD.data_meta) !== 0 || end > length || start > end) return EINVAL
  if (start > 0 && (!isMetaSize(start) || start > length - ETH_HLEN)) return EINVAL
  const linear = Math.min(end, XDP_LINEAR + start)
  if (data === undefined || length < ETH_HLEN) return EINVAL
  if (length - linear > MAX_FRAGMENTS * PAGE) return ENOMEM
  const device = deviceError(member(MD.ingress_ifindex), member(MD.rx_queue_index), member(MD.egress_ifindex))
  if (device !== 0) return device
  const xdp = new XdpBuffer(runner.memory, data, start, linear, runner.hidesContext)
  try {
    xdp.setDevice(LOOPBACK, 0)
    const { retval, durationNs } = repeat(runner, xdp, options)
    view?.setUint32(MD.data, xdp.data - xdp.meta, true)
    view?.setUint32(MD.data_end, xdp.end - xdp.meta, true)
    return given(options, { retval, durationNs, data: xdp.contents() }, ctx)
  } finally {
    xdp.close()
  }
}

/** The loopback interface has one queue. */
function deviceError(ingress: number, queue: number, egress: number): number {
  if (egress !== 0 || (ingress === 0 && queue !== 0)) return EINVAL
  if (ingress > LOOPBACK) return ENODEV
  return queue === 0 ? 0 : EINVAL
}

/** A copy of as many bytes as Linux knows, or a negative errno. */
function contextOf(given: Uint8Array | undefined, size: number): Uint8Array | number | undefined {
  if (given === undefined || given.length === 0) return undefined
  if (given.subarray(size).some((byte) => byte !== 0)) return E2BIG
  const known = new Uint8Array(size)
  known.set(given.subarray(0, size))
  return known
}

/** The context comes back whole, or not at all. */
function given(options: RunOptions, result: RunResult, ctx: Uint8Array | undefined): Outcome {
  if (ctx === undefined) return result
  return (options.ctx?.length ?? 0) < ctx.length ? ENOSPC : { ...result, ctx }
}

/** All runs get the same packet: each finds what the one before has left. */
function repeat(
  runner: PacketRunner,
  packet: PacketBuffer,
  { repeat: times = 0 }: RunOptions,
): Pick<RunResult, 'retval' | 'durationNs'> {
  const { packets } = runner
  const { context } = packet
  const count = Math.max(times, 1)
  packets.set(context, packet)
  const start = performance.now()
  try {
    let retval = 0
    for (let i = 0; i < count; i++) retval = runner.execute(context)
    return { retval, durationNs: Math.round(((performance.now() - start) * 1e6) / count) }
  } finally {
    packets.delete(context)
  }
}
