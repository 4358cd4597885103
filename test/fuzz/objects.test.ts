/**
 * Real objects with changed bytes: each is opened, or refused with a BpfError; nothing crashes and nothing hangs. The fallback loads what
 * it opens; Linux doesn't, as this is the kernel of everybody here (test/vm does).
 *
 * FUZZ_RUNS and FUZZ_SEED change how many and which; the long form is `npm run fuzz:objects -- --runs 100000`.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { mutant, seedOf } from '../../fuzz/mutate.js'
import { seededRandom } from '../../fuzz/random.js'
import { fuzz, RUNS } from '../support/fuzz.js'
import { patience } from '../support/patience.js'
import { describeNative } from '../support/require-kernel.js'

const TIMEOUT_MS = patience(60_000 + RUNS * 20)

describe('mutated objects in the fallback kernel', () => {
  it('are opened and loaded, or refused', { timeout: TIMEOUT_MS }, async () => {
    const report = await fuzz({ kernel: 'fallback', load: true, runs: RUNS / 5 })
    expect(report.casualties).toEqual([])
    expect(report.loaded).toBeGreaterThan(RUNS / 500)
    expect(report.refused).toMatchObject({ BAD_OBJECT: expect.any(Number), BAD_BTF: expect.any(Number) })
  })
})

describeNative('mutated objects in Linux', () => {
  it('are opened, or refused', { timeout: TIMEOUT_MS }, async () => {
    const report = await fuzz({ kernel: 'native', load: false, runs: RUNS })
    expect(report.casualties).toEqual([])
    expect(report.opened).toBeGreaterThan(RUNS / 100)
    expect(report.refused).toMatchObject({ BAD_OBJECT: expect.any(Number), BAD_BTF: expect.any(Number) })
  })
})

describe('mutants', () => {
  const folder = fileURLToPath(new URL('../../bpf/test/', import.meta.url))
  const seeds = readdirSync(folder)
    .filter((name) => name.endsWith('.bpf.o'))
    .map((name) => seedOf(name, new Uint8Array(readFileSync(folder + name))))

  it('are the same for a seed, and others for another', () => {
    const make = (seed: number): Uint8Array => mutant(seeds, seededRandom(seed))
    expect(make(7)).toEqual(make(7))
    expect(make(8)).not.toEqual(make(7))
  })

  it('leave the objects that they come from alone', () => {
    const [seed] = seeds
    if (seed === undefined) throw new Error('there are no objects')
    const before = Uint8Array.from(seed.image)
    for (let i = 0; i < 200; i++) mutant([seed], seededRandom(i))
    expect(seed.image).toEqual(before)
  })
})
