/** Packets in the fallback kernel are Linux's: the same programs on the same packets answer the same, leave the same bytes and contexts, and fail alike. */
import { describe, expect, it } from 'vitest'
import { createKernel } from '../../lib/fallback/index.js'
import { assemble } from '../../lib/isa/index.js'
import { open, type BpfObject, type Kernel, type Program, type RunOptions } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { FRAMES, ipv4Frame, PACKET_CASES } from '../support/packet-cases.js'
import { RAW_PROGRAM, rawObject } from '../support/raw-object.js'
import { describeSince } from '../support/require-kernel.js'

type Options = RunOptions<object>

/** What a run gives but for its time, or the code of the error that it ends with. */
function outcome(program: Program, options: Options): unknown {
  let answer: unknown
  const failed = code(() => {
    const { retval, data, ctx } = program.run(options)
    answer = { retval, data: data && Buffer.from(data).toString('hex'), ctx }
  })
  return failed ?? answer
}

function load(object: Uint8Array, kernel: 'native' | Kernel): BpfObject {
  return open(object, { kernel }).load()
}

const wasm = createKernel({ engine: 'wasm' })
const interpreter = createKernel({ engine: 'interpreter' })
/** The engines differ in how they come to a packet, not in what is in it. */
const FOR_THE_INTERPRETER: ReadonlySet<string> = new Set(['ipv4', 'vlan'])

describeSince('6.18')('packets in the fallback kernel', () => {
  describe('run as in Linux', () => {
    it.each(PACKET_CASES.map((one) => [one.title, one.object] as const))('%s', (_title, object) => {
      using native = load(object, 'native')
      using compiled = load(object, wasm)
      using interpreted = load(object, interpreter)
      for (const [frame, data] of Object.entries(FRAMES)) {
        const input = { data, ctx: {} }
        const expected = { frame, answer: outcome(native.program(RAW_PROGRAM), input) }
        expect({ frame, answer: outcome(compiled.program(RAW_PROGRAM), input) }).toEqual(expected)
        if (!FOR_THE_INTERPRETER.has(frame)) continue
        expect({ frame, answer: outcome(interpreted.program(RAW_PROGRAM), input) }).toEqual(expected)
      }
    })
  })

  const data = ipv4Frame()
  const sized = (length: number): Options => ({ data: new Uint8Array(length) })
  const bytes = (length: number, set: Readonly<Record<number, number>> = {}): Options => {
    const ctx = new Uint8Array(length)
    for (const [at, byte] of Object.entries(set)) ctx[Number(at)] = byte
    return { data, ctx }
  }
  const COMMON: readonly Options[] = [
    {},
    { data },
    { data, cpu: 0 },
    { data, flags: 8 },
    { data, batchSize: 4 },
    { data, ctx: {}, repeat: 5 },
    ...[0, 13, 14, 3500, 3520, 3521, 3712, 3713, 4096, 8000].map(sized),
  ]
  const SKB_OPTIONS: readonly Options[] = [
    ...COMMON,
    ...[
      { len: 1 },
      { mark: 5, priority: 7, ingress_ifindex: 3, cb: [1, 2, 3, 4, 5], tstamp: 9n, hwtstamp: 10n },
      { ifindex: 1 },
      { ifindex: 99 },
      { hash: 1 },
      { gso_segs: 65535 },
      { gso_segs: 65536 },
      { gso_size: 7, gso_segs: 2 },
      { wire_len: 63 },
      { wire_len: 64 },
      { wire_len: 65536 },
      { wire_len: 65537 },
      { queue_mapping: 1 },
      { tc_index: 1 },
      { protocol: 1 },
      { tstamp_type: 1 },
      { sk: 1n },
      { vlan_tci: 1 },
    ].map((ctx) => ({ data, ctx })),
    ...[1, 100, 191, 192, 193, 200].map((size) => bytes(size)),
    ...[100, 191, 192, 193].map((size) => bytes(size, { [size - 1]: 1 })),
  ]
  const XDP_OPTIONS: readonly Options[] = [
    ...COMMON,
    ...[
      { ingress_ifindex: 1 },
      { ingress_ifindex: 1, rx_queue_index: 1 },
      { rx_queue_index: 1 },
      { ingress_ifindex: 77 },
      { egress_ifindex: 1 },
      { data: 4 },
      { data: 5 },
      { data: 48 },
      { data: 52 },
      { data: 64 },
      { data: 252 },
      { data_meta: 4 },
      { data_end: 0 },
      { data_end: 13 },
      { data_end: 14 },
      { data_end: 63 },
      { data_end: 65 },
    ].map((ctx) => ({ data, ctx })),
    ...[212, 216, 220, 252, 256].map((meta) => ({ data: new Uint8Array(400).fill(3), ctx: { data: meta } })),
    ...[8, 23, 24, 25, 32].map((size) => bytes(size, { 4: 64 })),
    bytes(25, { 4: 64, 24: 1 }),
    { data: new Uint8Array(9000).fill(7), ctx: {} },
    { data: new Uint8Array(9000).fill(7), ctx: { data: 64 } },
    { data: new Uint8Array(4096 * 18).fill(7), ctx: {} },
    { data: new Uint8Array(4096 * 19).fill(7), ctx: {} },
    ...[3520, 3524, 3584, 3585].map((length) => ({ data: new Uint8Array(length).fill(7), ctx: { data: 64 } })),
  ]

  const LOOKUP = { family: 2, protocol: 6, local_port: 7, remote_port: 9, local_ip4: 5, remote_ip4: 6 }
  const LOOKUP_OPTIONS: readonly Options[] = [
    {},
    { data },
    { data, ctx: LOOKUP },
    ...[
      LOOKUP,
      { ...LOOKUP, local_port: 8 },
      { ...LOOKUP, remote_port: 10 },
      { ...LOOKUP, local_port: 65535 },
      { ...LOOKUP, local_port: 65536 },
      { ...LOOKUP, family: 10, local_ip6: [1, 2, 3, 4], remote_ip6: [5, 6, 7, 8] },
      { ...LOOKUP, family: 1 },
      { ...LOOKUP, family: 0x10002, protocol: 0x10006 },
      { ...LOOKUP, cookie: 1n },
      { ...LOOKUP, ingress_ifindex: 1 },
      {},
    ].map((ctx) => ({ ctx })),
    { ctx: LOOKUP, repeat: 4 },
    { ctx: LOOKUP, cpu: 0 },
    { ctx: LOOKUP, flags: 1 },
    { ctx: new Uint8Array(60) },
    { ctx: new Uint8Array(60).fill(2, 8, 9) },
    { ctx: new Uint8Array(80).fill(2, 8, 9) },
    { ctx: new Uint8Array(80).fill(2, 8, 9).fill(2, 79) },
  ]
  /** Passes what goes to an odd sum of all that it sees. */
  const CHOOSER = `r0 = 0\n${[8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64].map((at) => `r2 = *(u32 *)(r1 +${at})\nr0 += r2`).join('\n')}\nr2 = *(u64 *)(r1 +0)\nif r2 == 0 goto out\nr0 = 0\nout: r0 &= 1\nexit`

  /** Adds to what the run before has left. */
  const COUNTER = 'r0 = *(u32 *)(r1 +8)\nr0 += 1\n*(u32 *)(r1 +8) = r0\nexit'
  const FILTER = 'r0 = *(u32 *)(r1 +0)\nexit'
  const MOVER =
    'r6 = r1\nr1 = r6\nr2 = 4\ncall bpf_xdp_adjust_head\nr7 = r0\nr1 = r6\nr2 = -4\ncall bpf_xdp_adjust_tail\nr7 += r0\nr1 = r6\ncall bpf_xdp_get_buff_len\nr0 += r7\nexit'
  it.each([
    ['tc', COUNTER, SKB_OPTIONS],
    ['cgroup_skb/ingress', `r0 = 1\n${COUNTER.replace(/r0/g, 'r2')}`, SKB_OPTIONS],
    ['socket', FILTER, SKB_OPTIONS],
    ['lwt_xmit', COUNTER, SKB_OPTIONS],
    ['xdp', MOVER, XDP_OPTIONS],
    ['sk_lookup', CHOOSER, LOOKUP_OPTIONS],
  ] as const)('take the input that Linux takes, and refuse the rest: %s', (section, text, inputs) => {
    const object = rawObject(assemble(text), section)
    using native = load(object, 'native')
    using simulated = load(object, wasm)
    for (const input of inputs) {
      const answer = outcome(simulated.program(RAW_PROGRAM), input)
      expect({ input, answer }).toEqual({ input, answer: outcome(native.program(RAW_PROGRAM), input) })
    }
  })
})
