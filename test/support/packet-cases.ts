/** Small programs on packets, each for something that Linux does with them. What they answer is for whoever runs them to compare. */
import { assemble } from '../../lib/isa/index.js'
import { rawObject } from './raw-object.js'

export interface PacketCase {
  readonly title: string
  /** A SEC() name. */
  readonly section: string
  readonly object: Uint8Array
}

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values)

/** Ethernet, IPv4 and UDP, with 22 bytes in it. */
export function ipv4Frame(): Uint8Array {
  const frame = new Uint8Array(64)
  frame.set(bytes(2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 50, 0x12, 0x34, 0x40, 0, 64, 17))
  frame.set(bytes(0x7a, 0x31, 10, 0, 0, 1, 10, 1, 2, 3, 0x12, 0x34, 0, 53, 0, 30, 0xbe, 0xef), 24)
  for (let i = 42; i < frame.length; i++) frame[i] = i
  return frame
}

/** Ethernet, IPv6 and TCP. */
export function ipv6Frame(): Uint8Array {
  const frame = new Uint8Array(90)
  frame.set(
    bytes(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 36, 6, 64),
  )
  for (let i = 22; i < frame.length; i++) frame[i] = 255 - i
  return frame
}

/** Ethernet, two VLAN tags, and IPv4. */
export function vlanFrame(): Uint8Array {
  const frame = new Uint8Array(72)
  frame.set(ipv4Frame().subarray(0, 12))
  frame.set(bytes(0x88, 0xa8, 0x20, 7, 0x81, 0, 0x30, 9), 12)
  frame.set(ipv4Frame().subarray(12), 20)
  return frame
}

/** A frame of the older kind, whose type is a length. */
export function oldFrame(second: number): Uint8Array {
  const frame = new Uint8Array(40).fill(0x11)
  frame.set(bytes(0, 26, second, second), 12)
  return frame
}

export const FRAMES: Readonly<Record<string, Uint8Array>> = {
  ipv4: ipv4Frame(),
  ipv6: ipv6Frame(),
  vlan: vlanFrame(),
  old: oldFrame(0x42),
  raw: oldFrame(0xff),
  short: ipv4Frame().subarray(0, 33),
  short6: ipv6Frame().subarray(0, 53),
  empty: new Uint8Array(14),
  headers: ipv4Frame().subarray(0, 34),
  long: Uint8Array.from({ length: 1400 }, (_unused, i) => (i < 64 ? (ipv4Frame()[i] as number) : i & 0xff)),
}

function one(title: string, section: string, text: string): PacketCase {
  return { title, section, object: rawObject(assemble(text), section) }
}

/** Puts the context in r6, runs `text`, and leaves with what r0 holds. */
function body(title: string, section: string, text: string): PacketCase {
  return one(`${section}: ${title}`, section, `r6 = r1\n${text}\nexit`)
}

const TC = 'tc'

/** Leaves with a result, having noted another one in the context. */
const noted = (text: string): string => `${text}\n*(u32 *)(r6 +48) = r0`

const SKB_FIELDS = [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 68, 72, 84, 160, 164, 176]

const vlan = (protocol: number, tag: number): string =>
  `r1 = r6\nr2 = ${protocol}\nr3 = ${tag}\ncall bpf_skb_vlan_push`
const popVlan = 'r1 = r6\ncall bpf_skb_vlan_pop'
const FIELDS = [
  'r0 = *(u32 *)(r6 +0)\n*(u32 *)(r6 +48) = r0',
  'r0 = *(u32 *)(r6 +16)\n*(u32 *)(r6 +52) = r0',
  'r0 = *(u32 *)(r6 +24)\n*(u32 *)(r6 +56) = r0',
  'r0 = *(u32 *)(r6 +28)\n*(u32 *)(r6 +60) = r0',
  'r0 = *(u32 *)(r6 +20)\n*(u32 *)(r6 +64) = r0',
].join('\n')
/** Leaves with 1 where the packet's second half of addresses of headers is where it was. */
const relative = (start: number): string =>
  `r1 = r6\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 4\nr5 = ${start}\ncall bpf_skb_load_bytes_relative\nr0 = *(u32 *)(r10 -8)\n*(u32 *)(r6 +8) = r0`
const room = (difference: number, mode: number, flags = 0): string =>
  `r1 = r6\nr2 = ${difference}\nr3 = ${mode}\nr4 = ${flags}\ncall bpf_skb_adjust_room`

const SKB_CASES: readonly PacketCase[] = [
  ...SKB_FIELDS.map((at) => body(`member at ${at}`, TC, `r0 = *(u32 *)(r6 +${at})`)),
  ...[88, 92, 96, 100, 112, 116, 128, 132, 136].map((at) =>
    body(`member at ${at}`, 'cgroup_skb/egress', `${noted(`r0 = *(u32 *)(r6 +${at})`)}\nr0 = 1`),
  ),
  body('part of a member', TC, 'r0 = *(u8 *)(r6 +17)'),
  ...[8, 12, 32, 44, 72].map((at) =>
    body(
      `writes the member at ${at}`,
      TC,
      `r0 = ${at === 12 ? 0x5678 : 0x12345678}\n*(u32 *)(r6 +${at}) = r0\nr0 = *(u32 *)(r6 +${at})`,
    ),
  ),
  body('writes tstamp', TC, 'r0 = 77\n*(u64 *)(r6 +152) = r0\nr0 = *(u64 *)(r6 +152)'),
  body(
    'writes a part of cb',
    TC,
    'r0 = 0x1234\n*(u8 *)(r6 +51) = r0\n*(u16 *)(r6 +60) = r0\nr0 = *(u64 *)(r6 +48)',
  ),
  ...['tc', 'action', 'cgroup_skb/ingress', 'lwt_in', 'lwt_out', 'lwt_xmit'].map((section) =>
    body(
      'sums its first bytes',
      section,
      'r2 = *(u32 *)(r6 +76)\nr3 = *(u32 *)(r6 +80)\nr0 = 1\nr4 = r2\nr4 += 4\nif r4 > r3 goto out\nr0 = *(u32 *)(r2 +0)\n*(u32 *)(r6 +48) = r0\nr0 = 0\nout: r0 += 0',
    ),
  ),
  body(
    'writes its packet',
    TC,
    'r2 = *(u32 *)(r6 +76)\nr3 = *(u32 *)(r6 +80)\nr0 = 2\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\n*(u32 *)(r2 +0) = 0x01020304\nr0 = 0\nout: r0 += 0',
  ),
  body('its metadata is empty', TC, 'r2 = *(u32 *)(r6 +76)\nr3 = *(u32 *)(r6 +140)\nr0 = r2\nr0 -= r3'),
  ...[0, 1, 12, 20, 30, 60, -1048576, -1048568, -2097152, -2097140, -1, -4, -2097160].flatMap((offset) =>
    (['u8', 'u16', 'u32'] as const).map((size) =>
      body(`${size} skb[${offset}]`, 'socket', `r7 = 9\nr0 = *(${size} *)skb[${offset}]\nr0 += 1`),
    ),
  ),
  body('indirect', 'socket', 'r7 = 12\nr0 = *(u16 *)skb[r7 + 2]'),
  body('indirect, of a frame', TC, 'r7 = 10\nr0 = *(u16 *)skb[r7 + 2]'),
  ...[
    [0, 4],
    [10, 8],
    [56, 8],
    [57, 8],
    [63, 1],
    [64, 1],
    [0, 64],
    [0x7fffffff, 4],
    [-1, 4],
  ].map(([offset, size]) =>
    body(
      `loads ${size} bytes at ${offset}`,
      TC,
      `*(u64 *)(r10 -64) = 7\n*(u64 *)(r10 -56) = 7\n*(u64 *)(r10 -48) = 7\n*(u64 *)(r10 -40) = 7\n*(u64 *)(r10 -32) = 7\n*(u64 *)(r10 -24) = 7\n*(u64 *)(r10 -16) = 7\n*(u64 *)(r10 -8) = 7\nr1 = r6\nr2 = ${offset}\nr3 = r10\nr3 += -64\nr4 = ${size}\ncall bpf_skb_load_bytes\n*(u32 *)(r6 +48) = r0\nr0 = *(u64 *)(r10 -64)\n*(u64 *)(r6 +56) = r0`,
    ),
  ),
  ...[
    [0, 0],
    [0, 1],
    [12, 0],
    [12, 1],
    [0xffff, 1],
    [0x10000, 1],
    [28, 1],
    [46, 1],
    [47, 1],
    [0, 2],
  ].map(([offset, start]) =>
    body(
      `loads at ${offset} of header ${start}`,
      TC,
      noted(
        `*(u64 *)(r10 -8) = 7\nr1 = r6\nr2 = ${offset}\nr3 = r10\nr3 += -8\nr4 = 4\nr5 = ${start}\ncall bpf_skb_load_bytes_relative\n*(u32 *)(r6 +52) = r0\nr0 = *(u64 *)(r10 -8)`,
      ),
    ),
  ),
  ...[
    [0, 4, 0],
    [60, 4, 1],
    [61, 4, 0],
    [12, 2, 3],
    [0, 4, 4],
    [0x7fffffff, 4, 0],
    [-1, 4, 0],
  ].map(([offset, size, flags]) =>
    body(
      `stores ${size} bytes at ${offset}, flags ${flags}`,
      TC,
      `*(u64 *)(r10 -8) = 0x5060708\nr1 = r6\nr2 = ${offset}\nr3 = r10\nr3 += -8\nr4 = ${size}\nr5 = ${flags}\ncall bpf_skb_store_bytes`,
    ),
  ),
  ...[0, 1, 14, 64, 65, 4000].map((size) =>
    body(`pulls ${size} bytes`, TC, `r1 = r6\nr2 = ${size}\ncall bpf_skb_pull_data`),
  ),
  ...[0, 13, 14, 30, 33, 34, 64, 100, 3000, 3700, 3800, 8000, 16064, 16065].map((length) =>
    body(
      `changes its tail to ${length}`,
      TC,
      `r1 = r6\nr2 = ${length}\nr3 = 0\ncall bpf_skb_change_tail\n${FIELDS}`,
    ),
  ),
  body('changes its tail with flags', TC, 'r1 = r6\nr2 = 40\nr3 = 1\ncall bpf_skb_change_tail'),
  ...[0, 1, 14, 64, 65, 200, 4000, 15000, 17000, -1].map((size) =>
    body(
      `changes its head by ${size}`,
      TC,
      `r1 = r6\nr2 = ${size}\nr3 = 0\ncall bpf_skb_change_head\nr9 = r0\n${FIELDS}\n${relative(0)}\n${relative(1)}\nr0 = r9`,
    ),
  ),
  body(
    'changes its head, link layer below',
    'lwt_xmit',
    `r1 = r6\nr2 = 14\nr3 = 0\ncall bpf_skb_change_head\nr0 <<= 0`,
  ),
  ...[0, 1, 3, 4, 7].map((type) =>
    body(
      `changes its type to ${type}`,
      TC,
      `r1 = r6\nr2 = ${type}\ncall bpf_skb_change_type\nr0 <<= 8\nr1 = *(u32 *)(r6 +4)\nr0 |= r1`,
    ),
  ),
  ...[0x0008, 0xdd86, 0x0081].map((protocol) =>
    body(
      `changes its protocol to ${protocol.toString(16)}`,
      TC,
      `r1 = r6\nr2 = ${protocol}\nr3 = 0\ncall bpf_skb_change_proto\nr9 = r0\n${FIELDS}\n${relative(0)}\n${relative(1)}\nr0 = r9`,
    ),
  ),
  body('pushes a tag', TC, `${vlan(0x81, 0x1234)}\nr9 = r0\n${FIELDS}\nr0 = r9`),
  body(
    'pushes two tags',
    TC,
    `${vlan(0x81, 0x1234)}\n${vlan(0xa888, 0x345)}\nr9 = r0\n${FIELDS}\n${relative(1)}\nr0 = r9`,
  ),
  body(
    'pushes three tags',
    TC,
    `${vlan(5, 0x1234)}\n${vlan(0xa888, 0x345)}\n${vlan(0x81, 9)}\nr9 = r0\n${FIELDS}\n${relative(0)}\nr0 = r9`,
  ),
  body('pops a tag', TC, `${popVlan}\nr9 = r0\n${FIELDS}\n${relative(1)}\nr0 = r9`),
  body('pops two tags', TC, `${popVlan}\n${popVlan}\nr9 = r0\n${FIELDS}\n${relative(1)}\nr0 = r9`),
  body(
    'pops three tags',
    TC,
    `${popVlan}\n${popVlan}\n${popVlan}\nr9 = r0\n${FIELDS}\n${relative(0)}\nr0 = r9`,
  ),
  body(
    'pushes and pops',
    TC,
    `${vlan(0x81, 7)}\n${vlan(0x81, 8)}\n${popVlan}\nr9 = r0\n${FIELDS}\n${relative(1)}\nr0 = r9`,
  ),
  body(
    'has the hash that it sets',
    TC,
    'r1 = r6\nr2 = 0x89abcdef ll\ncall bpf_set_hash\nr1 = r6\ncall bpf_get_hash_recalc',
  ),
  body(
    'has none then',
    TC,
    'r1 = r6\nr2 = 5\ncall bpf_set_hash\nr1 = r6\ncall bpf_set_hash_invalid\nr0 = *(u32 *)(r6 +68)',
  ),
  ...[0, 4, 8, 12, 16, 20, 24, 28, 40, 44, 48, 52, 56, 68, 72, 76].map((at) =>
    body(
      `its socket's member at ${at}`,
      TC,
      `r0 = 7\nr1 = *(u64 *)(r6 +168)\nif r1 == 0 goto out\ncall bpf_sk_fullsock\nif r0 == 0 goto out\nr0 = *(u32 *)(r0 +${at})\nout: r0 += 0`,
    ),
  ),
  body(
    'its socket is no TCP',
    TC,
    'r0 = 7\nr1 = *(u64 *)(r6 +168)\nif r1 == 0 goto out\ncall bpf_tcp_sock\nif r0 == 0 goto out\nr0 = 9\nout: r0 += 0',
  ),
  body("its socket's user", TC, 'r1 = r6\ncall bpf_get_socket_uid'),
  body(
    'has neither class nor realm',
    TC,
    'r1 = r6\ncall bpf_get_cgroup_classid\nr7 = r0\nr1 = r6\ncall bpf_get_route_realm\nr0 |= r7',
  ),
  body('updates no checksum', TC, 'r1 = r6\nr2 = 5\ncall bpf_csum_update'),
  ...[0, 1, 2, 3, 4].map((level) =>
    body(
      `checksum level ${level}`,
      TC,
      `r1 = r6\nr2 = ${level}\ncall bpf_csum_level\nr7 = r0\nr1 = r6\nr2 = 0\ncall bpf_csum_level\nr0 <<= 8\nr0 += r7`,
    ),
  ),
  ...[
    [24, 0x0a000001, 0x0a000002, 4],
    [24, 1, 2, 2],
    [24, 0, 0xabcd, 0],
    [24, 5, 0xabcd, 0],
    [24, 1, 2, 3],
    [25, 1, 2, 2],
    [63, 1, 2, 2],
    [0x10000, 1, 2, 2],
    [24, 1, 2, 0x12],
    [24, 0x12345678, 0xffffffff, 2],
    [24, 0xffff, 0, 2],
    [24, 0, 0xffff, 2],
    [24, 0xceb0, 0x1234, 2],
  ].flatMap(([offset, from, to, flags]) =>
    ['l3', 'l4'].map((layer) =>
      body(
        `${layer}_csum_replace(${offset}, ${from}, ${to}, ${flags})`,
        TC,
        `r1 = r6\nr2 = ${offset}\nr3 = ${from} ll\nr4 = ${to} ll\nr5 = ${flags}\ncall bpf_${layer}_csum_replace`,
      ),
    ),
  ),
  ...[0x22, 0x62, 0x24, 0x80, 0x94, 0x100].map((flags) =>
    body(
      `l4_csum_replace with flags ${flags}`,
      TC,
      `r1 = r6\nr2 = 40\nr3 = 0\nr4 = 0x4110\nr5 = ${flags}\ncall bpf_l4_csum_replace`,
    ),
  ),
  ...[
    [8, 8, 0],
    [0, 8, 0],
    [8, 0, 0],
    [0, 0, 5],
    [8, 8, -1],
    [4, 8, 0x12345678],
    [3, 8, 0],
    [8, 2, 0],
  ].map(([from, to, seed]) =>
    body(
      `csum_diff(${from}, ${to}, ${seed})`,
      TC,
      `r0 = 0x1122334455667788 ll\n*(u64 *)(r10 -8) = r0\nr0 = 0xf0e0d0c0b0a09080 ll\n*(u64 *)(r10 -16) = r0\nr1 = r10\nr1 += -8\nr2 = ${from}\nr3 = r10\nr3 += -16\nr4 = ${to}\nr5 = ${seed}\ncall bpf_csum_diff`,
    ),
  ),
  ...[0, 1, 2].map((flags) =>
    body(`redirects, flags ${flags}`, TC, `r1 = 1\nr2 = ${flags}\ncall bpf_redirect`),
  ),
  ...[0, 1].map((flags) =>
    body(`redirects to a peer, flags ${flags}`, TC, `r1 = 1\nr2 = ${flags}\ncall bpf_redirect_peer`),
  ),
  ...[0, 1].map((flags) =>
    body(
      `redirects to a neighbour, flags ${flags}`,
      TC,
      `r1 = 1\nr2 = 0\nr3 = 0\nr4 = ${flags}\ncall bpf_redirect_neigh`,
    ),
  ),
  ...[
    [20, 0],
    [20, 1],
    [-20, 0],
    [-20, 1],
    [8, 0],
    [-14, 1],
    [4096, 0],
    [4095, 1],
    [-40, 0],
    [20, 2],
    [-4, 0],
    [36, 1],
  ].map(([difference, mode]) =>
    body(
      `adjusts room by ${difference}, mode ${mode}`,
      TC,
      `${room(difference as number, mode as number)}\nr9 = r0\n${FIELDS}\n${relative(0)}\n${relative(1)}\nr0 = r9`,
    ),
  ),
  ...[1, 2, 4, 6, 10, 26, 32, 64, 66, 128, 256, 384, 512].flatMap((flags) =>
    [20, -20].map((difference) =>
      body(
        `adjusts room by ${difference}, flags ${flags}`,
        TC,
        `${room(difference, 1, flags)}\nr9 = r0\n${FIELDS}\nr0 = r9`,
      ),
    ),
  ),
  body('encapsulates twice', TC, `${room(20, 1, 2)}\n${room(20, 1, 2)}\nr9 = r0\n${FIELDS}\nr0 = r9`),
]

const XDP_CASES: readonly PacketCase[] = [
  body('lengths', 'xdp', 'r2 = *(u32 *)(r6 +0)\nr0 = *(u32 *)(r6 +4)\nr0 -= r2'),
  body('its device and queue', 'xdp', 'r0 = *(u32 *)(r6 +12)\nr0 <<= 8\nr1 = *(u32 *)(r6 +16)\nr0 |= r1'),
  body(
    'its metadata',
    'xdp',
    'r2 = *(u32 *)(r6 +0)\nr3 = *(u32 *)(r6 +8)\nr0 = 9\nr4 = r3\nr4 += 4\nif r4 > r2 goto out\nr0 = *(u32 *)(r3 +0)\nout: r0 += 0',
  ),
  body(
    'swaps bytes',
    'xdp',
    'r2 = *(u32 *)(r6 +0)\nr3 = *(u32 *)(r6 +4)\nr0 = 1\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\nr5 = *(u8 *)(r2 +0)\nr4 = *(u8 *)(r2 +6)\n*(u8 *)(r2 +0) = r4\n*(u8 *)(r2 +6) = r5\nr0 = 3\nout: r0 += 0',
  ),
  ...[4, -4, 14, 50, 51, 1000, -216, -217, -256, -300, 0].map((offset) =>
    body(`adjusts its head by ${offset}`, 'xdp', `r1 = r6\nr2 = ${offset}\ncall bpf_xdp_adjust_head`),
  ),
  ...[4, -4, -50, -51, 100, 2000, 3456, 3457, -1386, 0].map((offset) =>
    body(`adjusts its tail by ${offset}`, 'xdp', `r1 = r6\nr2 = ${offset}\ncall bpf_xdp_adjust_tail`),
  ),
  ...[-4, -5, 4, -32, -36, -216, -217, -220, -255, -256, 0].map((offset) =>
    body(`adjusts its metadata by ${offset}`, 'xdp', `r1 = r6\nr2 = ${offset}\ncall bpf_xdp_adjust_meta`),
  ),
  body(
    'moves its metadata along',
    'xdp',
    'r1 = r6\nr2 = -8\ncall bpf_xdp_adjust_meta\nr2 = *(u32 *)(r6 +8)\nr3 = *(u32 *)(r6 +0)\nr4 = r2\nr4 += 8\nif r4 > r3 goto out\n*(u32 *)(r2 +0) = 0x11223344\n*(u32 *)(r2 +4) = 0x55667788\nr1 = r6\nr2 = -16\ncall bpf_xdp_adjust_head\nout: r0 += 0',
  ),
  body(
    'goes back and forth',
    'xdp',
    'r1 = r6\nr2 = 20\ncall bpf_xdp_adjust_head\nr1 = r6\nr2 = -20\ncall bpf_xdp_adjust_head\nr1 = r6\nr2 = -10\ncall bpf_xdp_adjust_tail\nr1 = r6\nr2 = 10\ncall bpf_xdp_adjust_tail',
  ),
  body('its length', 'xdp', 'r1 = r6\ncall bpf_xdp_get_buff_len'),
  ...[
    [0, 8],
    [56, 8],
    [57, 8],
    [1390, 8],
    [3516, 8],
    [3999, 8],
    [0x10000, 8],
    [-1, 8],
    [0, 1],
  ].flatMap(([offset, size]) => [
    body(
      `loads ${size} bytes at ${offset}`,
      'xdp',
      `*(u64 *)(r10 -8) = 7\nr1 = r6\nr2 = ${offset}\nr3 = r10\nr3 += -8\nr4 = ${size}\ncall bpf_xdp_load_bytes\nr7 = *(u64 *)(r10 -8)\nr8 = r7\nr7 >>= 32\nr7 ^= r8\nr0 ^= r7`,
    ),
    body(
      `stores ${size} bytes at ${offset}`,
      'xdp',
      `*(u64 *)(r10 -8) = 0x5060708\nr1 = r6\nr2 = ${offset}\nr3 = r10\nr3 += -8\nr4 = ${size}\ncall bpf_xdp_store_bytes`,
    ),
  ]),
  ...[0, 1].map((flags) =>
    body(`redirects, flags ${flags}`, 'xdp', `r1 = 1\nr2 = ${flags}\ncall bpf_redirect`),
  ),
]

export const PACKET_CASES: readonly PacketCase[] = [...SKB_CASES, ...XDP_CASES]
