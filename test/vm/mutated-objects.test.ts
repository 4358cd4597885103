/**
 * Mutated objects, loaded into Linux: in virtual machines only, whose kernels may break.
 *
 *     npm run test:vm -- --kernel 6.12 test/vm
 */
import { describe, expect, it } from 'vitest'
import { fuzz } from '../support/fuzz.js'
import { patience } from '../support/patience.js'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1000)

describe('mutated objects in a kernel that may break', () => {
  it('are loaded, or refused', { timeout: patience(120_000) }, async () => {
    const report = await fuzz({ kernel: 'native', load: true, runs: RUNS })
    console.log(
      `${RUNS} mutants: ${report.opened} opened, ${report.loaded} loaded, refused ${JSON.stringify(report.refused)}`,
    )
    expect(report.casualties).toEqual([])
    expect(report.loaded).toBeGreaterThan(0)
  })
})
