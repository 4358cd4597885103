/** Engine `auto`: short programs start in the interpreter, and are compiled when they have run often. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createKernel } from '../../lib/fallback/index.js'
import * as wasm from '../../lib/fallback/vm/wasm/engine.js'
import { assemble } from '../../lib/isa/assemble.js'
import { open } from '../../lib/open.js'
import { BpfError } from '../../lib/errors.js'
import { RAW_PROGRAM, rawObject } from '../support/raw-object.js'

vi.mock(import('../../lib/fallback/vm/wasm/engine.js'), async (original) => {
  const real = await original()
  return { ...real, createWasmEngine: vi.fn<typeof real.createWasmEngine>(real.createWasmEngine) }
})
const compiled = vi.mocked(wasm.createWasmEngine)
afterEach(() => void compiled.mockClear())

function load(text: string, options: Parameters<typeof createKernel>[0] = {}) {
  const kernel = createKernel(options)
  return { kernel, object: open(rawObject(assemble(text)), { kernel }).load() }
}

/** Counts in the context's first word. */
const COUNTER = `
  r2 = *(u64 *)(r1 + 0)
  r2 += 1
  *(u64 *)(r1 + 0) = r2
  r0 = 7
  exit`

const LOOP = `
  r0 = 0
again:
  r0 += 1
  if r0 != 1000 goto again
  exit`

describe('engine auto', () => {
  it.each([true, false])(
    'compiles a program that runs often, in the middle of its runs; verify: %s',
    (verify) => {
      const { object } = load(COUNTER, { verify })
      using _object = object
      const program = object.program(RAW_PROGRAM)
      let ctx: Uint8Array = new Uint8Array(8)
      const run = (times: number): void => {
        for (let i = 0; i < times; i++) {
          const result = program.run({ ctx })
          expect(result.retval).toBe(7)
          ctx = result.ctx ?? ctx
        }
      }
      run(100)
      expect(compiled).not.toHaveBeenCalled()
      run(5000)
      expect(compiled).toHaveBeenCalledOnce()
      expect(new BigUint64Array(ctx.slice().buffer)[0]).toBe(5100n)
    },
  )

  it('interprets loops that a verifier has walked to their ends, and compiles those that nobody has', () => {
    using verified = load(LOOP).object
    expect(verified.program(RAW_PROGRAM).run().retval).toBe(1000)
    expect(compiled).not.toHaveBeenCalled()
    using sandboxed = load(LOOP, { verify: false }).object
    expect(sandboxed.program(RAW_PROGRAM).run().retval).toBe(1000)
    expect(compiled).toHaveBeenCalledOnce()
  })

  it('compiles at once what would be interpreted for long', () => {
    using object = load(LOOP.replace('1000', '30000')).object
    expect(object.program(RAW_PROGRAM).run().retval).toBe(30_000)
    expect(compiled).toHaveBeenCalledOnce()
  })

  it.each(['auto', 'interpreter', 'wasm'] as const)('says the same of a trap: %s', (engine) => {
    const { object } = load(`r1 = 16\n r0 = *(u64 *)(r1 + 8)\n exit`, { engine, verify: false })
    using _object = object
    const run = (): unknown => object.program(RAW_PROGRAM).run()
    expect(run).toThrow(BpfError)
    expect(run).toThrow(/insn 1: .*read of 8 bytes at 0x0{14}18/)
  })

  it('gives all memory back, before and behind the change', () => {
    const kernel = createKernel()
    const object = rawObject(assemble(COUNTER))
    const used = (): number => kernel.usedBytes
    const run = (times: number): void => {
      using loaded = open(object, { kernel }).load()
      for (let i = 0; i < times; i++) loaded.program(RAW_PROGRAM).run({ ctx: new Uint8Array(8) })
    }
    run(1)
    const before = used()
    run(1)
    run(5000)
    expect(compiled).toHaveBeenCalled()
    expect(used()).toBe(before)
  })
})
