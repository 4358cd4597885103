/** The native kernel's event readers against libbpf in C. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { open, type BpfObject, type EventReader } from 'libbpf-node'
import type { Case, Measurement } from '../harness.js'
import { FLOOD_OBJECT, type RingProgram, type RingReport } from './c-reference.js'

/** Records that one fill puts into the 16 MB ring; 72 bytes each, it holds 233,016. */
const FILL = 200_000
const FILLS = 10
/** Of the perf buffers: 80 bytes each, and each CPU has 4 MB. */
const PERF_FILL = 40_000
const PERF_FILLS = 25
const PERF_PAGES = 1024
const FLOOD_MS = 1000
const PULSES = 500
const IDLE_MS = 500

export function readerCases(object: BpfObject, ring: RingProgram): readonly Case[] {
  return [
    drain(object, ring),
    decoded(object),
    flood('ring-flood-64', 'flood', ring, (ms) => ring.flood(ms)),
    flood('ring-flood-16', 'flood16', ring, (ms) => ring.flood16(ms)),
    timerLag(ring),
    latency(ring),
    idle(object),
    drainPerf(object, ring),
    floodPerf(ring),
  ]
}

function drain(object: BpfObject, ring: RingProgram): Case {
  return {
    name: 'ring-drain-64',
    unit: 'ns/record',
    lowerIsBetter: true,
    target: { all: [{ cpuRatio: 0.23 }, { atMost: 15, of: 'cpuNs' }] },
    measure: () => measureFills(object, {}, (reader) => {
      let taken = 0
      reader.on('batch', ({ count }) => (taken += count))
      return () => taken
    }),
    reference: { name: 'C, libbpf', measure: async () => perRecord(await ring.drain(FILLS)) },
  }
}

function decoded(object: BpfObject): Case {
  return {
    name: 'ring-decoded-64',
    unit: 'ns/record',
    lowerIsBetter: true,
    target: { atMost: 110, of: 'cpuNs' },
    measure: () => measureFills(object, { type: 'record64' }, (reader) => {
      let taken = 0
      let last: unknown
      reader.on('event', (event) => {
        taken++
        last = event
      })
      return () => (last === undefined ? 0 : taken)
    }),
  }
}

type Reader = EventReader<unknown>

/** Fills the ring and empties it, again and again; what counts is the emptying. */
async function measureFills(
  object: BpfObject,
  options: { readonly type?: string },
  listen: (reader: Reader) => () => number,
): Promise<Measurement> {
  using reader = object.map('ring').ringBuffer(options)
  const program = object.program('flood')
  const ctx = new Uint8Array(Uint32Array.of(FILL).buffer)
  return measureEmptying(reader, listen(reader), { fill: () => program.run({ ctx }), fills: FILLS, records: FILL * FILLS })
}

function measureEmptying(
  reader: Reader,
  taken: () => number,
  { fill, fills, records }: { readonly fill: () => void; readonly fills: number; readonly records: number },
): Measurement {
  reader.pause()
  let wallNs = 0
  let cpuNs = 0
  for (let i = 0; i < fills; i++) {
    fill()
    const cpu = process.cpuUsage()
    const start = process.hrtime.bigint()
    while (reader.consume() > 0);
    wallNs += Number(process.hrtime.bigint() - start)
    const { user, system } = process.cpuUsage(cpu)
    cpuNs += (user + system) * 1000
  }
  if (taken() !== records) throw new Error(`${taken()} of ${records} records arrived`)
  return { value: wallNs / records, cpuNs: cpuNs / records }
}

function drainPerf(object: BpfObject, ring: RingProgram): Case {
  return {
    name: 'perf-drain-64',
    unit: 'ns/record',
    lowerIsBetter: true,
    target: { cpuRatio: 0.9 },
    async measure() {
      using reader = object.map('perf').perfBuffer({ pages: PERF_PAGES })
      let taken = 0
      reader.on('batch', ({ count }) => (taken += count))
      const program = object.program('flood_perf')
      const ctx = new Uint8Array(BigUint64Array.of(BigInt(PERF_FILL), 0n).buffer)
      const fill = (): void => void program.run({ ctx })
      return measureEmptying(reader, () => taken, { fill, fills: PERF_FILLS, records: PERF_FILL * PERF_FILLS })
    },
    reference: { name: 'C, libbpf', measure: async () => perRecord(await ring.drainPerf(PERF_FILLS)) },
  }
}

function flood(
  name: string,
  program: string,
  ring: RingProgram,
  reference: (ms: number) => Promise<RingReport>,
): Case {
  return {
    name,
    unit: 'records/s',
    lowerIsBetter: false,
    target: { all: [{ ratio: 0.95 }, { notAbove: 'lost' }] },
    measure: async () => delivered(await measureFlood(ring, program)),
    reference: { name: 'C, libbpf', measure: async () => delivered(await reference(FLOOD_MS)) },
  }
}

async function measureFlood(ring: RingProgram, program: string): Promise<Omit<RingReport, 'p50Ns'>> {
  using object = open(FLOOD_OBJECT, { kernel: 'native' }).load()
  using reader = object.map('ring').ringBuffer()
  return await countFlood(object, reader, () => ring.produce(object.program(program).id, FLOOD_MS))
}

async function countFlood(
  object: BpfObject,
  reader: Reader,
  produce: () => ChildProcess,
): Promise<Omit<RingReport, 'p50Ns'>> {
  let records = 0
  reader.on('batch', ({ count }) => (records += count))
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  await ended(produce())
  while (reader.consume() > 0);
  const wallNs = Number(process.hrtime.bigint() - start)
  const { user, system } = process.cpuUsage(cpu)
  const { sent, lost } = object.bss as { readonly sent: bigint; readonly lost: bigint }
  return { records, wallNs, cpuNs: (user + system) * 1000, sent: Number(sent), lost: Number(lost) }
}

/** Both are woken up by each record, and both lose what they have no time for: what counts is how many arrive. */
function floodPerf(ring: RingProgram): Case {
  return {
    name: 'perf-flood-64',
    unit: 'records/s',
    lowerIsBetter: false,
    target: { ratio: 0.9 },
    async measure() {
      using object = open(FLOOD_OBJECT, { kernel: 'native' }).load()
      using reader = object.map('perf').perfBuffer({ pages: PERF_PAGES })
      return delivered(
        await countFlood(object, reader, () => ring.producePerf(object.program('flood_perf').id, FLOOD_MS)),
      )
    },
    reference: { name: 'C, libbpf', measure: async () => delivered(await ring.floodPerf(FLOOD_MS)) },
  }
}

/** How late timers are that run beside a flood. */
function timerLag(ring: RingProgram): Case {
  return {
    name: 'ring-flood-timer-lag',
    unit: 'ms at most',
    lowerIsBetter: true,
    target: { atMost: 20, of: 'value' },
    async measure() {
      let latest = 0
      let due = performance.now() + 1
      const timer = setInterval(() => {
        latest = Math.max(latest, performance.now() - due)
        due = performance.now() + 1
      }, 1)
      const { records } = await measureFlood(ring, 'flood16')
      clearInterval(timer)
      return { value: latest, notes: { records } }
    },
  }
}

/** From the program's sending to the listener, for single records. */
function latency(ring: RingProgram): Case {
  return {
    name: 'ring-latency',
    unit: 'µs, p50',
    lowerIsBetter: true,
    target: { atMost: 60, of: 'value' },
    async measure() {
      using object = open(FLOOD_OBJECT, { kernel: 'native' }).load()
      using reader = object.map('ring').ringBuffer()
      const latencies: number[] = []
      reader.on('batch', ({ bytes, index }) => {
        const now = process.hrtime.bigint()
        const view = new DataView(bytes.buffer, bytes.byteOffset)
        latencies.push(Number(now - view.getBigUint64((index[0] ?? 0) + 8, true)) / 1000)
      })
      await ended(ring.pulse(object.program('pulse').id, PULSES))
      if (latencies.length < PULSES / 2) throw new Error(`${latencies.length} of ${PULSES} records arrived alone`)
      latencies.sort((left, right) => left - right)
      const at = (part: number): number => latencies[Math.floor(latencies.length * part)] ?? NaN
      return { value: at(0.5), notes: { p99: at(0.99) } }
    },
    reference: {
      name: 'C, libbpf',
      measure: async () => ({ value: (await ring.latency(PULSES)).p50Ns / 1000 }),
    },
  }
}

/** CPU time that open readers of silent rings take. */
function idle(object: BpfObject): Case {
  return {
    name: 'ring-idle',
    unit: 'wake-ups/s',
    lowerIsBetter: true,
    target: { atMost: 4, of: 'value' },
    async measure() {
      using ring = object.map('ring').ringBuffer()
      using perf = object.map('perf').perfBuffer({ pages: 1 })
      for (const reader of [ring, perf]) reader.on('batch', () => {})
      await sleep(50)
      const before = sleeps()
      await sleep(IDLE_MS)
      return { value: ((sleeps() - before - 1) * 1000) / IDLE_MS }
    },
  }
}

/** How often the main thread has gone to sleep. */
function sleeps(): number {
  const status = readFileSync(`/proc/self/task/${process.pid}/status`, 'utf8')
  return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1])
}

async function ended(producer: ChildProcess): Promise<void> {
  const [code] = (await once(producer, 'exit')) as [number]
  if (code !== 0) throw new Error(`the producer failed with ${code}`)
}

function delivered({ records, wallNs, cpuNs, sent, lost }: Omit<RingReport, 'p50Ns'>): Measurement {
  if (records !== sent) throw new Error(`${records} of ${sent} records arrived`)
  return { value: records / (wallNs / 1e9), cpuNs: cpuNs / records, notes: { lost } }
}

function perRecord({ records, wallNs, cpuNs }: RingReport): Measurement {
  return { value: wallNs / records, cpuNs: cpuNs / records }
}
