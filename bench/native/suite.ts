/** The native kernel's event readers against libbpf in C. */
import { once } from 'node:events'
import { open, type BpfObject } from 'libbpf-node'
import type { Case, Measurement, Suite } from '../harness.js'
import { compileRing, FLOOD_OBJECT, type RingProgram, type RingReport } from './c-reference.js'

/** Records that one fill puts into the 16 MB ring; 72 bytes each, it holds 233,016. */
const FILL = 200_000
const FILLS = 10
const FLOOD_MS = 1000

export const nativeSuite: Suite = {
  name: 'native',
  async prepare() {
    const ring = await compileRing()
    const object = open(FLOOD_OBJECT, { kernel: 'native' }).load()
    return { cases: [drain(object, ring), decoded(object), flood(ring)], close: () => object.close() }
  },
}

function drain(object: BpfObject, ring: RingProgram): Case {
  return {
    name: 'ring-drain-64',
    unit: 'ns/record',
    lowerIsBetter: true,
    target: { ratio: 0.2 },
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
    target: { atMost: 150, of: 'cpuNs' },
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

type Reader = ReturnType<ReturnType<BpfObject['map']>['ringBuffer']>

/** Fills the ring and empties it, again and again; what counts is the emptying. */
async function measureFills(
  object: BpfObject,
  options: { readonly type?: string },
  listen: (reader: Reader) => () => number,
): Promise<Measurement> {
  const reader = object.map('ring').ringBuffer(options)
  const taken = listen(reader)
  reader.pause()
  const program = object.program('flood')
  const ctx = new Uint8Array(Uint32Array.of(FILL).buffer)
  let wallNs = 0
  let cpuNs = 0
  for (let fill = 0; fill < FILLS; fill++) {
    program.run({ ctx })
    const cpu = process.cpuUsage()
    const start = process.hrtime.bigint()
    while (reader.consume() > 0);
    wallNs += Number(process.hrtime.bigint() - start)
    const { user, system } = process.cpuUsage(cpu)
    cpuNs += (user + system) * 1000
  }
  reader.close()
  if (taken() !== FILL * FILLS) throw new Error(`${taken()} of ${FILL * FILLS} records arrived`)
  return { value: wallNs / taken(), cpuNs: cpuNs / taken() }
}

function flood(ring: RingProgram): Case {
  return {
    name: 'ring-flood-64',
    unit: 'records/s',
    lowerIsBetter: false,
    target: { all: [{ ratio: 0.9 }, { note: 'lost', atMostNote: 0 }] },
    measure: () => measureFlood(ring),
    reference: { name: 'C, libbpf', measure: async () => delivered(await ring.flood(FLOOD_MS)) },
  }
}

async function measureFlood(ring: RingProgram): Promise<Measurement> {
  using object = open(FLOOD_OBJECT, { kernel: 'native' }).load()
  using reader = object.map('ring').ringBuffer()
  let records = 0
  reader.on('batch', ({ count }) => (records += count))
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  const [code] = (await once(ring.produce(object.program('flood').id, FLOOD_MS), 'exit')) as [number]
  if (code !== 0) throw new Error(`the producer failed with ${code}`)
  while (reader.consume() > 0);
  const wallNs = Number(process.hrtime.bigint() - start)
  const { user, system } = process.cpuUsage(cpu)
  const { sent, lost } = object.bss as { readonly sent: bigint; readonly lost: bigint }
  return delivered({ records, wallNs, cpuNs: (user + system) * 1000, sent: Number(sent), lost: Number(lost) })
}

function delivered({ records, wallNs, cpuNs, sent, lost }: RingReport): Measurement {
  if (records !== sent) throw new Error(`${records} of ${sent} records arrived`)
  return { value: records / (wallNs / 1e9), cpuNs: cpuNs / records, notes: { lost } }
}

function perRecord({ records, wallNs, cpuNs }: RingReport): Measurement {
  return { value: wallNs / records, cpuNs: cpuNs / records }
}
