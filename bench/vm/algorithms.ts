/** What programs of other kinds take: bpf/bench/algorithms.bpf.c, which the compiler wasn't made with. */
import { FallbackKernel } from 'libbpf-node/fallback'
import type { Case, Suite, Target } from '../harness.js'
import { benchObject, measureAll, Workload, type Work } from './workload.js'

const FUEL = Number.MAX_SAFE_INTEGER
const TEXT_BYTES = 1024
const NODES = 4096
const SIDE = 16
const ROUTES = 256

const ALGORITHMS: Work = {
  path: benchObject('algorithms'),
  fill(spec) {
    spec.rodata['sha_constants'] = Uint32Array.from({ length: 64 }, (_, i) => Math.imul(i + 1, 0x9e3779b1))
    spec.rodata['base64_digits'] = new TextEncoder().encode(
      'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
    )
    spec.bss['text'] = jsonText()
    spec.bss['trie'] = trie()
    spec.bss['left'] = matrix((i, j) => i * j - 7)
    spec.bss['right'] = matrix((i, j) => i + 3 * j)
  },
  fillMaps(object) {
    for (let i = 0; i < ROUTES; i++) object.map('routes').set(route(i), i)
  },
  first: [],
}

export const algorithmsSuite: Suite = {
  name: 'algorithms',
  async prepare() {
    const jit = new Workload('native', ALGORITHMS)
    const verified = new Workload(new FallbackKernel({ engine: 'wasm', fuel: FUEL }), ALGORITHMS)
    const sandboxed = new Workload(
      new FallbackKernel({ engine: 'wasm', fuel: FUEL, verify: false }),
      ALGORITHMS,
    )
    const all = [jit, verified, sandboxed]
    const { programs } = jit
    for (const name of programs) {
      const results = new Set(all.map((workload) => workload.result(name)))
      if (results.size > 1)
        throw new Error(`vm_${name} computes different things: ${[...results].join(', ')}`)
    }
    const versus = (name: string, ours: Workload, names: readonly string[], target: Target): Case => ({
      name,
      unit: 'ns/run',
      lowerIsBetter: true,
      target,
      measure: () => measureAll(ours, names),
      reference: { name: 'kernel JIT', measure: () => measureAll(jit, names) },
    })
    return {
      cases: [
        ...programs.map((name) => versus(name, verified, [name], { ratio: 1 / 1.4 })),
        versus('geomean', verified, programs, { ratio: 1 }),
        versus('geomean-sandboxed', sandboxed, programs, { ratio: 1 / 1.25 }),
      ],
      close: () => all.forEach((workload) => workload.close()),
    }
  },
}

function jsonText(): Uint8Array {
  const rows = Array.from({ length: 40 }, (_, i) => ({
    id: i,
    name: 'protocol "x"'.slice(0, 8 + (i % 5)),
    tags: ['a', [i, -i]],
    ok: i % 2 === 0,
  }))
  return new TextEncoder().encode(JSON.stringify(rows)).slice(0, TEXT_BYTES)
}

/** Prefixes of random addresses, as pairs of the numbers of further nodes. */
function trie(): number[][] {
  const nodes = Array.from({ length: NODES }, () => [0, 0])
  let used = 1
  let address = 12345
  for (let n = 0; n < 600; n++) {
    address = (Math.imul(address, 1664525) + 1013904223) >>> 0
    let node = nodes[0]
    for (let bit = 31; bit > 7 && node !== undefined; bit--) {
      const side = (address >>> bit) & 1
      if (node[side] === 0 && used < NODES) node[side] = used++
      node = nodes[node[side] ?? 0]
    }
  }
  return nodes
}

function matrix(cell: (row: number, column: number) => number): bigint[][] {
  return Array.from({ length: SIDE }, (_, i) =>
    Array.from({ length: SIDE }, (_column, j) => BigInt(cell(i, j))),
  )
}

/** A prefix of 16 to 32 bits below 10.0.0.0/16; addresses have their first byte first. */
function route(i: number): { readonly prefix: number; readonly address: number } {
  const bytes = new DataView(new ArrayBuffer(4))
  bytes.setUint32(0, 0x0a000000 | (Math.imul(i, 2654435761) >>> 16))
  return { prefix: 16 + (i % 17), address: bytes.getUint32(0, true) }
}
