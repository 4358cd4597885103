/** Maps from Node against the same in C. */
import { createMap, type StandaloneMap } from 'libbpf-node'
import type { Case, Measurement, Reference } from '../harness.js'
import { compileReference } from './c-reference.js'
import { loadPeer, peerMap, type PeerMap } from './npm-bpf.js'

/** As in map.c. */
const ENTRIES = 10_000
const OPERATIONS = 200_000
/** Entries of one batch of npm bpf: about as many as ours takes. */
const PEER_BATCH = 4096
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
  const reference = (what: string): Reference => ({
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
  const peer = await loadPeer()
  const theirs = peer && peerMap(peer, ENTRIES)
  const compared = (
    name: string,
    target: Case['target'],
    what: string,
    run: () => number,
    runPeer: (map: PeerMap) => number,
  ): Case => ({
    ...nanoseconds(name, target, run),
    reference: reference(what),
    peers: theirs === undefined ? [] : [{ name: 'npm bpf', measure: timed(() => runPeer(theirs)) }],
  })
  const cases = [
    compared('map-lookup', { cpuRatio: 0.85 }, 'lookup', () => lookup(hash), lookupPeer),
    compared('map-update', { cpuRatio: 0.9 }, 'update', () => update(hash), updatePeer),
    compared('map-batch', { ratio: 4 }, 'walk', () => walk(hash), walkPeer),
    nanoseconds('mmap-read', { atMost: 10, of: 'value' }, () => readMapped(array)),
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

function nanoseconds(name: string, target: Case['target'], run: () => number): Case {
  const unit = name === 'map-batch' ? 'ns/entry' : 'ns'
  return { name, unit, lowerIsBetter: true, target, measure: timed(run) }
}

/** @param run gives the number of operations */
function timed(run: () => number): () => Promise<Measurement> {
  return async () => {
    const cpu = process.cpuUsage()
    const start = process.hrtime.bigint()
    const operations = run()
    const wallNs = Number(process.hrtime.bigint() - start)
    const { user, system } = process.cpuUsage(cpu)
    return { value: wallNs / operations, cpuNs: ((user + system) * 1000) / operations }
  }
}

// The loops are those of map.c. Ours and the peer's are two functions each: V8 fits one to what it has seen.

function lookup(map: Counts): number {
  let missed = 0
  for (let i = 0, key = 0; i < OPERATIONS; i++, key = key + 1 === ENTRIES ? 0 : key + 1) {
    if (map.get(key) === undefined) missed++
  }
  return found(missed)
}

function lookupPeer(map: PeerMap): number {
  let missed = 0
  for (let i = 0, key = 0; i < OPERATIONS; i++, key = key + 1 === ENTRIES ? 0 : key + 1) {
    if (map.get(key) === undefined) missed++
  }
  return found(missed)
}

function found(missed: number): number {
  if (missed > 0) throw new Error(`${missed} keys are missing`)
  return OPERATIONS
}

function update(map: Counts): number {
  for (let i = 0, key = 0; i < OPERATIONS; i++, key = key + 1 === ENTRIES ? 0 : key + 1) map.set(key, 5n)
  return OPERATIONS
}

function updatePeer(map: PeerMap): number {
  for (let i = 0, key = 0; i < OPERATIONS; i++, key = key + 1 === ENTRIES ? 0 : key + 1) map.set(key, 5n)
  return OPERATIONS
}

function walkPeer(map: PeerMap): number {
  let read = 0
  while (read < OPERATIONS) {
    for (const entries of map.getBatch(PEER_BATCH)) for (const [, value] of entries) if (value >= 0n) read++
  }
  return read
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
