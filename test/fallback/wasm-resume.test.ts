/** Functions that the interpreter goes on with, as an access of them isn't where its address was made for: see Checks. */
import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { Access, Memory } from '../../lib/fallback/memory.js'
import type { HelperFunction } from '../../lib/fallback/vm/types.js'
import * as bpf from '../../lib/isa/build.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { engineOf, ENGINES, resultOf, type RunSetup } from '../support/run-bpf.js'

/** r2 = r1, made from the stack's address: compilers of checks are mistaken about it. */
const disguise: readonly Instruction[] = [
  bpf.mov64r(3, 1),
  bpf.alu64r('sub', 3, 10),
  bpf.mov64r(2, 10),
  bpf.alu64r('add', 2, 3),
]

/** What a program leaves on each engine: r0 and its 64 bytes, or the text of the error. */
function outcomes(code: readonly Instruction[], setup: RunSetup = {}): readonly unknown[] {
  return ENGINES.map((engineName) => {
    const memory = new Memory()
    const context = memory.alloc(64, Access.readWrite, 16, 'context')
    const engine = engineOf(code, { ...setup, memory, engine: engineName })
    try {
      engine.run(context)
      return { r0: resultOf(engine), memory: [...memory.u8.subarray(context, context + 64)] }
    } catch (error) {
      if (error instanceof BpfError) return { code: error.code, message: error.message }
      throw error
    } finally {
      engine.close()
    }
  })
}

/** As both engines have it. */
function agreed(code: readonly Instruction[], setup?: RunSetup): unknown {
  const [interpreted, compiled] = outcomes(code, setup)
  expect(compiled).toEqual(interpreted)
  return compiled
}

const sixtyFour = (first: number): unknown => [first, ...Array<number>(63).fill(0)]

describe('a function that goes on in the interpreter', () => {
  it('keeps its registers and its stack', () => {
    const code = [
      bpf.mov64(6, 5),
      bpf.mov64(9, 100),
      bpf.store(64, 10, -8, 30),
      ...disguise,
      bpf.storer(8, 2, 0, 6),
      bpf.load(64, 0, 10, -8),
      bpf.alu64r('add', 0, 9),
      bpf.load(8, 4, 1, 0),
      bpf.alu64r('add', 0, 4),
      bpf.exit(),
    ]
    expect(agreed(code)).toEqual({ r0: 135n, memory: sixtyFour(5) })
  })

  it('loops, and calls functions and helpers', () => {
    const twice: HelperFunction = ({ lo, hi }) => {
      lo[0] = 2 * (lo[1] ?? 0)
      hi[0] = 0
    }
    const code = [
      ...disguise,
      bpf.mov64r(7, 2),
      bpf.mov64(6, 10),
      bpf.store(8, 7, 0, 1),
      bpf.load(8, 1, 7, 0),
      bpf.call(1),
      bpf.mov64r(1, 0),
      bpf.callLocal(5),
      bpf.storer(8, 7, 0, 0),
      bpf.alu64('sub', 6, 1),
      bpf.jump('jne', 6, 0, -7),
      bpf.load(8, 0, 7, 0),
      bpf.exit(),
      bpf.store(64, 10, -8, 1),
      bpf.load(64, 0, 10, -8),
      bpf.alu64r('add', 0, 1),
      bpf.exit(),
    ]
    const functions = [
      { name: 'test', start: 0 },
      { name: 'next', start: 16 },
    ]
    // x = 2x + 1, ten times from 1, in a byte.
    expect(agreed(code, { helpers: new Map([[1, twice]]), functions })).toMatchObject({ r0: 255n })
  })

  it('returns to a caller that was compiled', () => {
    const code = [
      bpf.mov64(6, 40),
      bpf.store(64, 10, -8, 2),
      bpf.callLocal(4),
      bpf.load(64, 1, 10, -8),
      bpf.alu64r('add', 0, 1),
      bpf.alu64r('add', 0, 6),
      bpf.exit(),
      ...disguise,
      bpf.store(64, 10, -8, 77),
      bpf.store(8, 2, 0, 9),
      bpf.load(8, 0, 2, 0),
      bpf.exit(),
    ]
    const functions = [
      { name: 'test', start: 0 },
      { name: 'callee', start: 7 },
    ]
    expect(agreed(code, { functions })).toEqual({ r0: 51n, memory: sixtyFour(9) })
  })

  it('runs out of fuel, and of frames, as it would have', () => {
    const endless = [...disguise, bpf.store(8, 2, 0, 9), bpf.ja(-1)]
    expect(agreed(endless, { fuel: 1000 })).toMatchObject({
      code: 'TRAP',
      message: expect.stringContaining('fuel') as string,
    })
    // Each frame goes on in the interpreter and calls itself.
    const deep = [...disguise, bpf.store(8, 2, 0, 9), bpf.callLocal(-6), bpf.exit()]
    expect(agreed(deep)).toMatchObject({ code: 'TRAP', message: expect.stringContaining('frames') as string })
  })

  it('names what is wrong where it is a fault', () => {
    const code = [
      bpf.mov64r(2, 10),
      bpf.alu64r('add', 2, 1),
      bpf.mov64(0, 0),
      bpf.load(8, 0, 2, 3),
      bpf.exit(),
    ]
    expect(agreed(code)).toMatchObject({
      code: 'TRAP',
      message: expect.stringContaining('insn 3') as string,
    })
  })

  it('may be run again by its helpers, and called back', () => {
    let deep = 0
    const again: HelperFunction = (registers, engine) => {
      const context = registers.lo[1] ?? 0
      if (deep++ < 3) engine.run(context)
      else engine.call(10, [context, registers.hi[1] ?? 0])
    }
    const code = [
      bpf.mov64r(8, 1),
      ...disguise,
      bpf.load(8, 6, 2, 0),
      bpf.call(1),
      bpf.load(8, 0, 8, 0),
      bpf.alu64r('add', 0, 6),
      bpf.exit(),
      // The callback: adds 7 to the byte.
      ...disguise,
      bpf.load(8, 0, 2, 0),
      bpf.alu64('add', 0, 7),
      bpf.storer(8, 2, 0, 0),
      bpf.exit(),
    ]
    const functions = [
      { name: 'test', start: 0 },
      { name: 'callback', start: 10 },
    ]
    const results = ENGINES.map((engine) => {
      deep = 0
      return outcomes(code, { helpers: new Map([[1, again]]), functions })[ENGINES.indexOf(engine)]
    })
    expect(results[1]).toEqual(results[0])
    expect(results[1]).toEqual({ r0: 7n, memory: sixtyFour(7) })
  })

  it('gives back its stacks', () => {
    const memory = new Memory()
    const context = memory.alloc(64, Access.readWrite, 16, 'context')
    const before = memory.usedBytes
    const code = [...disguise, bpf.store(8, 2, 0, 9), bpf.mov64(0, 0), bpf.exit()]
    const engine = engineOf(code, { memory, engine: 'wasm' })
    engine.run(context)
    engine.close()
    expect(memory.usedBytes).toBe(before)
  })
})
