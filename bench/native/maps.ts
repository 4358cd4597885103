/** Maps from Node against the same in C. */
import { createMap, type StandaloneMap } from 'libbpf-node'
import type { Case, Measurement } from '../harness.js'
import { compileReference } from './c-reference.js'

/** As in map.c. */
const ENTRIES = 10_000
const OPERATIONS = 200_000
const MAPPED_ENTRIES = 1024
const MAPPED_READS = 5_000_000

interface MapReport {
  readonly operations: number
  readonly wallNs: number
  readonly cpuNs: number
}

/** The cases, and what gives back their maps. */
export async function mapCases(): Promise<{ readonly cases: readonly Case[]; close(): void }> {
  const run = await compileReference('map')
  const reference = (what: string): Case['reference'] => ({
    name: 'C, libbpf',
    measure: async () => {
      const { operations, wallNs, cpuNs } = JSON.parse(await run(what, String(OPERATIONS))) as MapReport
      return { value: wallNs / operations, cpuNs: cpuNs / operations }
    },
  })
  const hash = createMap<number, bigint>({
    kernel: 'native',
    type: 'hash',
    key: 'u32',
    value: 'u64',
    maxEntries: ENTRIES,
  })
  for (let key = 0; key < ENTRIES; key++) hash.set(key, BigInt(key))
  const array = createMap<number, bigint>({
    kernel: 'native',
    type: 'array',
    value: 'u64',
    maxEntries: MAPPED_ENTRIES,
    flags: ['BPF_F_MMAPABLE'],
  })
  const cases = [
    nanoseconds('map-lookup', { ratio: 0.85 }, () => lookup(hash), reference('lookup')),
    nanoseconds('map-update', { ratio: 0.9 }, () => update(hash), reference('update')),
    nanoseconds('map-batch', { ratio: 4 }, () => walk(hash), reference('walk')),
    nanoseconds('mmap-read', { atMost: 10, of: 'value' }, () => readMapped(array), undefined),
  ]
  return {
    cases,
    close() {
      hash.close()
      array.close()
    },
  }
}

type Counts = StandaloneMap<number, bigint>

function nanoseconds(
  name: string,
  target: Case['target'],
  run: () => number,
  reference: Case['reference'],
): Case {
  const measure = async (): Promise<Measurement> => {
    const cpu = process.cpuUsage()
    const start = process.hrtime.bigint()
    const operations = run()
    const wallNs = Number(process.hrtime.bigint() - start)
    const { user, system } = process.cpuUsage(cpu)
    return { value: wallNs / operations, cpuNs: ((user + system) * 1000) / operations }
  }
  const unit = name === 'map-batch' ? 'ns/entry' : 'ns'
  return { name, unit, lowerIsBetter: true, target, measure, ...(reference && { reference }) }
}

function lookup(map: Counts): number {
  let missed = 0
  for (let i = 0; i < OPERATIONS; i++) if (map.get(i % ENTRIES) === undefined) missed++
  if (missed > 0) throw new Error(`${missed} keys are missing`)
  return OPERATIONS
}

function update(map: Counts): number {
  for (let i = 0; i < OPERATIONS; i++) map.set(i % ENTRIES, 5n)
  return OPERATIONS
}

function walk(map: Counts): number {
  let read = 0
  while (read < OPERATIONS) for (const [, value] of map) if (value >= 0n) read++
  return read
}

function readMapped(map: Counts): number {
  const view = map.view()
  let odd = 0
  for (let i = 0; i < MAPPED_READS; i++) if (view.get(i & (MAPPED_ENTRIES - 1)) !== 0n) odd++
  if (odd > 0) throw new Error(`${odd} values are not zero`)
  return MAPPED_READS
}
