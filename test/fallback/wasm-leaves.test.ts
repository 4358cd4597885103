/** Small functions that only compute are written in place of their calls: nobody may notice. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Memory } from '../../lib/fallback/memory.js'
import { assemble } from '../../lib/isa/assemble.js'
import { engineOf, resultOf } from '../support/run-bpf.js'

/** The result, or the text of the error. */
function outcome(engine: 'wasm' | 'interpreter', text: string, fuel: number): unknown {
  const made = engineOf(assemble(text), { memory: new Memory(), engine, environment: { fuel } })
  try {
    made.run(0)
    return resultOf(made)
  } catch (error) {
    return error instanceof Error ? error.message : error
  } finally {
    made.close()
  }
}

function expectAlike(text: string, fuel = 1000): unknown {
  const interpreted = outcome('interpreter', text, fuel)
  expect(outcome('wasm', text, fuel)).toEqual(interpreted)
  return interpreted
}

const OPERATIONS = ['+=', '-=', '*=', '/=', '%=', '|=', '&=', '^=', '<<=', '>>=', 's>>=', '='] as const

/** A leaf of any computations on what it was passed and what it has computed. */
const leaf = fc
  .array(
    fc.record({
      width: fc.constantFrom('r', 'w'),
      operation: fc.constantFrom(...OPERATIONS),
      dst: fc.nat(9),
      src: fc.oneof(
        fc.nat(9),
        fc.integer({ min: 1, max: 31 }).map((n) => `${n}`),
      ),
    }),
    { maxLength: 12 },
  )
  .map((steps) => {
    const known = new Set([1, 2])
    const lines = ['r0 = r1']
    known.add(0)
    for (const { width, operation, dst, src } of steps) {
      const from = typeof src === 'number' ? [...known][src % known.size] : undefined
      const to = operation === '=' ? dst : [...known][dst % known.size]
      lines.push(`${width}${to} ${operation} ${from === undefined ? src : `${width}${from}`}`)
      known.add(to ?? 0)
    }
    return [...lines, 'exit'].join('\n')
  })

describe('leaves', () => {
  it('compute as functions that are called do, and leave their callers’ registers alone', () => {
    fc.assert(
      fc.property(leaf, fc.integer(), fc.integer(), (body, a, b) => {
        const caller = `
          r6 = 11
          r7 = 13
          r8 = 17
          r9 = 19
          r1 = ${a}
          r2 = ${b}
          call leaf
          r0 += r6
          r0 *= r7
          r0 += r8
          r0 *= r9
          r1 = r0
          r2 = r6
          call leaf
          r0 ^= r9
          exit
        leaf:
          ${body}`
        expect(expectAlike(caller)).toBeTypeOf('bigint')
      }),
      { numRuns: 300 },
    )
  })

  it('take fuel, in loops too', () => {
    const loop = `
      r6 = 0
      r7 = 0
    again:
      r1 = r6
      r2 = 3
      call leaf
      r7 += r0
      r6 += 1
      if r6 != 10 goto again
      r0 = r7
      exit
    leaf:
      r0 = r1
      r0 *= r2
      exit`
    expect(expectAlike(loop)).toBe(135n)
    // 2 + 10 × (6 + 3) + 2 instructions.
    expect(expectAlike(loop, 94)).toBe(135n)
    for (const engine of ['wasm', 'interpreter'] as const)
      expect(outcome(engine, loop, 60)).toMatch(/ran out of fuel after 60 instructions/)
  })
})
