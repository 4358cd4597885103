/**
 * Real objects with changed bytes, opened by both kernels: each is opened, or refused with a BpfError; nothing crashes and nothing hangs. The
 * fallback loads what it opens; Linux doesn't, as this is the kernel of everybody here.
 *
 * `FUZZ_RUNS=100000 npx vitest run test/fuzz/objects.test.ts` is the long form.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { createKernel } from '../../lib/fallback/index.js'
import { open } from '../../lib/open.js'
import { objectPath, type TestKernel } from '../support/kernels.js'
import { describeNative } from '../support/require-kernel.js'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1500)
const SEED = Number(process.env['FUZZ_SEED'] ?? 42)
const TIMEOUT_MS = 60_000 + RUNS * 20
const images = ['contract', 'settings', 'native_settings', 'struct_ops', 'native_maps'].map((name) =>
  readFileSync(objectPath(`test/${name}`)),
)

/** Numbers at which lengths and indexes go wrong. */
const EDGES = [0, 1, 7, 8, 0x7f, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff]

/** Numbers from 0 to below 1, the same for a seed. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function mutated(run: number): Uint8Array {
  const next = random(SEED * 1_000_003 + run)
  const below = (n: number): number => Math.floor(next() * n)
  const source = images[run % images.length] ?? new Uint8Array(0)
  const bytes = Uint8Array.from(source)
  const view = new DataView(bytes.buffer)
  for (let change = 1 + below(4); change > 0; change--) {
    const at = below(bytes.length - 4)
    if (next() < 0.5) bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
    else view.setUint32(at & ~3, next() < 0.7 ? (EDGES[below(EDGES.length)] ?? 0) : below(bytes.length), true)
  }
  return next() < 0.05 ? bytes.subarray(0, below(bytes.length)) : bytes
}

/** @returns how many were opened */
function fuzz(
  choice: () => TestKernel['choice'],
  use: (image: Uint8Array, kernel: TestKernel['choice']) => void,
): number {
  let opened = 0
  for (let run = 0; run < RUNS; run++) {
    try {
      use(mutated(run), choice())
      opened++
    } catch (error) {
      if (!(error instanceof BpfError))
        throw new Error(`run ${run} with seed ${SEED}: ${String(error)}`, { cause: error })
    }
  }
  return opened
}

describe('mutated objects in the fallback kernel', () => {
  it('are opened and loaded, or refused', { timeout: TIMEOUT_MS }, () => {
    const opened = fuzz(
      () => createKernel(),
      (image, kernel) => {
        using spec = open(image, { kernel })
        // Sizes are within reason: an array of gigabytes is asked for as easily as one of bytes.
        if (Object.values(spec.maps).some(({ maxEntries, valueSize }) => maxEntries * valueSize > 1 << 20))
          return
        spec.load().close()
      },
    )
    expect(opened).toBeGreaterThan(0)
    expect(opened).toBeLessThan(RUNS)
  })
})

describeNative('mutated objects in Linux', () => {
  it('are opened, or refused', { timeout: TIMEOUT_MS }, () => {
    const opened = fuzz(
      () => 'native',
      (image, kernel) => open(image, { kernel }).close(),
    )
    expect(opened).toBeGreaterThan(0)
    expect(opened).toBeLessThan(RUNS)
  })
})
