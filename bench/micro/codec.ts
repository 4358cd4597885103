/**
 * Nanoseconds to decode and encode one 64-byte record of nine fields, out of a slab of 1024.
 *
 * node dist/bench/micro/codec.js [rounds]
 *
 * The variants take turns in every round, so that whatever else the machine does hits all of them; each one's minimum
 * and median over the rounds are printed. `by hand` is what one would write for this record alone.
 */
import { BtfBuilder } from '../../lib/btf/builder.js'
import { parseBtf } from '../../lib/btf/parse.js'
import { createCodec, type Codec } from '../../lib/codec/index.js'

const RECORDS = 1024
const RECORD_SIZE = 64
const NAMES = [
  'bash',
  'curl',
  'node',
  'kworker/0:1-ev',
  'sshd',
  'systemd',
  'cat',
  'ls',
  'containerd-shim',
  'rcu_sched',
]

interface Variant {
  readonly name: string
  run(this: void, index: number): void
}

function eventCodec(options: Parameters<typeof createCodec>[2]): Codec {
  const b = new BtfBuilder()
  const u8 = b.int('unsigned char', 1)
  const u32 = b.int('unsigned int', 4)
  const s32 = b.int('int', 4, { signed: true })
  const u64 = b.int('unsigned long long', 8)
  const comm = b.array(b.int('char', 1, { signed: true }), 16, u32)
  const event = b.struct(
    'event',
    [
      ['timestamp', u64, 0],
      ['duration', u64, 8],
      ['pid', u32, 16],
      ['ppid', u32, 20],
      ['uid', u32, 24],
      ['exit_code', s32, 28],
      ['kind', u8, 32],
      ['flags', u32, 36],
      ['comm', comm, 40],
    ],
    RECORD_SIZE,
  )
  return createCodec(parseBtf(b.finish()), event, options)
}

/** @param distinct whether no two records have the same `comm`: the cache of strings never hits then */
function fillSlab(distinct: boolean): Uint8Array {
  const slab = new Uint8Array(RECORDS * RECORD_SIZE)
  const view = new DataView(slab.buffer)
  for (let i = 0; i < RECORDS; i++) {
    const at = i * RECORD_SIZE
    view.setBigUint64(at, 1_700_000_000_000_000_000n + BigInt(i) * 1_000_003n, true)
    view.setBigUint64(at + 8, BigInt(i) * 1003n, true)
    for (let k = 0; k < 4; k++) view.setUint32(at + 16 + 4 * k, i * k * 77, true)
    slab[at + 32] = i & 7
    view.setUint32(at + 36, i, true)
    const name = distinct ? `worker/${i * 7919}` : NAMES[(i * 7919) % NAMES.length]
    new TextEncoder().encodeInto(name ?? '', slab.subarray(at + 40, at + 56))
  }
  return slab
}

let sink: unknown

function decoding(name: string, slab: Uint8Array, options: Parameters<typeof createCodec>[2]): Variant {
  const codec = eventCodec(options)
  return { name, run: (index) => void (sink = codec.decode(slab, index * RECORD_SIZE)) }
}

function encoding(name: string, slab: Uint8Array, options: Parameters<typeof createCodec>[2]): Variant {
  const codec = eventCodec(options)
  const values = Array.from({ length: RECORDS }, (_, i) => codec.decode(slab, i * RECORD_SIZE))
  const into = new Uint8Array(RECORD_SIZE)
  return { name, run: (index) => codec.encode(values[index], into) }
}

function byHand(slab: Uint8Array): Variant {
  const view = new DataView(slab.buffer)
  const decoder = new TextDecoder()
  const decode = (at: number): unknown => {
    const end = slab.indexOf(0, at + 40)
    return {
      timestamp: view.getBigUint64(at, true),
      duration: view.getBigUint64(at + 8, true),
      pid: view.getUint32(at + 16, true),
      ppid: view.getUint32(at + 20, true),
      uid: view.getUint32(at + 24, true),
      exit_code: view.getInt32(at + 28, true),
      kind: view.getUint8(at + 32),
      flags: view.getUint32(at + 36, true),
      comm: decoder.decode(slab.subarray(at + 40, Math.min(end, at + 56))),
    }
  }
  return {
    name: 'decode by hand: DataView, TextDecoder',
    run: (index) => void (sink = decode(index * RECORD_SIZE)),
  }
}

function measure(variants: readonly Variant[], rounds: number): Map<Variant, number[]> {
  const passes = 20
  const times = new Map<Variant, number[]>(variants.map((variant) => [variant, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [variant, samples] of times) {
      const { run } = variant
      const start = performance.now()
      for (let pass = 0; pass < passes; pass++) for (let i = 0; i < RECORDS; i++) run(i)
      // The first rounds are for the compiler to warm up.
      if (round >= rounds / 4) samples.push(((performance.now() - start) * 1e6) / (passes * RECORDS))
    }
  }
  return times
}

const slab = fillSlab(false)
const distinctSlab = fillSlab(true)
const variants = [
  decoding('decode, generated', slab, { code: 'generated' }),
  decoding("decode, generated, int64: 'number'", slab, { code: 'generated', int64: 'number' }),
  decoding('decode, generated, every comm another', distinctSlab, { code: 'generated' }),
  decoding('decode, closures', slab, { code: 'closures' }),
  decoding("decode, closures, int64: 'number'", slab, { code: 'closures', int64: 'number' }),
  byHand(slab),
  encoding('encode, generated', slab, { code: 'generated' }),
  encoding("encode, generated, int64: 'number'", slab, { code: 'generated', int64: 'number' }),
  encoding('encode, closures', slab, { code: 'closures' }),
]
for (const [{ name }, samples] of measure(variants, Number(process.argv[2] ?? 40))) {
  samples.sort((a, b) => a - b)
  const median = samples[samples.length >> 1] ?? Number.NaN
  console.log(
    `${name.padEnd(42)} ${(samples[0] ?? Number.NaN).toFixed(1).padStart(7)} min ${median.toFixed(1).padStart(7)} median ns`,
  )
}
if (sink === undefined) console.log('nothing was decoded')
