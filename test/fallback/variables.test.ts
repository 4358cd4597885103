/** What `createKernel({ variables, kconfig })` gives to programs. */
import { describe, expect, it } from 'vitest'
import { BtfBuilder } from '../../lib/btf/builder.js'
import { BpfError } from '../../lib/errors.js'
import { createKernel, type FallbackKernel, type FallbackOptions } from '../../lib/fallback/index.js'
import { open } from '../../lib/open.js'
import type { BpfObject } from '../../lib/object.js'
import { objectPath } from '../support/kernels.js'

const int = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer)
const COMPLETE: FallbackOptions['variables'] = { runqueues: [{ cpu: 5 }, { cpu: 6 }], schedule: 1n }

function load(kernel: FallbackKernel): BpfObject {
  return open(objectPath('test/kernel_variables'), { kernel }).load()
}

/** What the program `ask` finds: theirs, mine, number. */
function ask(object: BpfObject, cpu: number): readonly number[] {
  const { ctx = new Uint8Array() } = object.program('ask').run({
    ctx: new Uint8Array(Int32Array.of(cpu, 0, 0, 0, 0).buffer),
  })
  return [...new Int32Array(ctx.slice().buffer)].slice(2)
}

function askSimulated(object: BpfObject): readonly bigint[] {
  const { ctx = new Uint8Array() } = object.program('ask_simulated').run({ ctx: new Uint8Array(24) })
  return [...new BigUint64Array(ctx.slice().buffer)]
}

function refusal(options: FallbackOptions): Pick<BpfError, 'code' | 'message' | 'hint'> {
  try {
    load(createKernel(options)).close()
  } catch (error) {
    if (error instanceof BpfError) return error
    throw error
  }
  throw new Error('it was accepted')
}

/** Types of a kernel with `runqueues`, in the section of per-CPU variables or beside it. */
function kernelTypes(perCpu: boolean, number: 'int' | 'struct' = 'int'): Uint8Array {
  const b = new BtfBuilder()
  const s32 = b.int('int', 4, { signed: true })
  const rq = b.struct('rq', [['pad', s32, 0], ['cpu', s32, 12]], 16) // prettier-ignore
  const variable = (name: string, type: number): number => b.add({ kind: 'var', name, type, linkage: 1 })
  const queues = variable('runqueues', rq)
  const numbers = variable('cpu_number', number === 'int' ? s32 : rq)
  b.add({
    kind: 'datasec',
    name: perCpu ? '.data..percpu' : '.data',
    size: 64,
    variables: [
      { type: queues, offset: 0, size: 16 },
      { type: numbers, offset: 16, size: 4 },
    ],
  })
  return b.finish()
}

describe.each(['wasm', 'interpreter'] as const)('variables of a simulated kernel (%s)', (engine) => {
  it('follow the CPU that runs', () => {
    const kernel = createKernel({ engine, cpus: 2, variables: COMPLETE })
    using object = load(kernel)
    expect(ask(object, 1)).toEqual([6, 5, -1])
    kernel.cpu = 1
    expect(ask(object, 0)).toEqual([5, 6, -1])
  })

  it('are bytes or objects, and zeroes for CPUs that none were given for', () => {
    const kernel = createKernel({
      engine,
      cpus: 3,
      variables: { ...COMPLETE, runqueues: [int(7)], cpu_number: [int(8), int(-9)] },
    })
    using object = load(kernel)
    expect(ask(object, 1)).toEqual([0, 7, -9])
    expect(ask(object, 2)).toEqual([0, 7, 0])
  })

  it('are laid out as the kernel has them, not as the program', () => {
    const variables = { ...COMPLETE, cpu_number: [int(3)] }
    const kernel = createKernel({ engine, cpus: 2, btf: kernelTypes(true), variables })
    using object = load(kernel)
    expect(ask(object, 1)).toEqual([6, 5, 0])
  })

  it('exist once, or not at all', () => {
    using without = load(createKernel({ engine, cpus: 2, variables: COMPLETE }))
    expect(askSimulated(without)).toEqual([0n, 0n, 0n])
    const simulated = { simulated_limit: new Uint8Array(BigUint64Array.of(1n << 40n).buffer) }
    const table = { simulated_table: { size: 12, next: 0xffff_8880_0000_1000n } }
    const kernel = createKernel({ engine, cpus: 2, variables: { ...COMPLETE, ...simulated, ...table } })
    using object = load(kernel)
    expect(askSimulated(object)).toEqual([1n << 40n, 12n, 0n])
  })

  it('stay while programs come and go', () => {
    const kernel = createKernel({ engine, cpus: 2, variables: COMPLETE })
    const before = kernel.usedBytes
    for (let i = 0; i < 3; i++) {
      using object = load(kernel)
      expect(ask(object, 1)).toEqual([6, 5, -1])
    }
    expect(kernel.usedBytes).toBe(before)
  })
})

describe('variables of a simulated kernel', () => {
  it('that are not there: the error says which option gives them', () => {
    expect(refusal({})).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('kernel symbol runqueues') as string,
      hint: expect.stringContaining('createKernel({ variables: { runqueues: … } }) gives it') as string,
    })
    expect(refusal({ variables: { runqueues: [{}] } })).toMatchObject({
      message: expect.stringContaining('kernel symbol schedule') as string,
    })
    expect(refusal({ variables: { ...COMPLETE, runqueues: 1n } })).toMatchObject({
      code: 'UNSUPPORTED',
      hint: expect.stringContaining('its address alone') as string,
    })
    expect(refusal({ cpus: 2, variables: COMPLETE, btf: new BtfBuilder().finish() }).code).toBe('UNSUPPORTED')
  })

  it('that do not suit the program or the kernel are refused', () => {
    const variables = (given: object): FallbackOptions => ({
      cpus: 2,
      variables: { ...COMPLETE, ...given },
    })
    expect(refusal(variables({ runqueues: [int(1).subarray(1)] })).message).toMatch(
      /has 3 bytes, and its type 4/,
    )
    expect(refusal(variables({ runqueues: [{ cpv: 1 }] })).message).toMatch(/rq\.cpv: there is no such/)
    expect(refusal(variables({ cpu_number: [{ value: 1 }] })).message).toMatch(/is no struct/)
    expect(refusal(variables({ runqueues: [{}, {}, {}] })).message).toMatch(/3 copies, and the kernel 2/)
    expect(refusal(variables({ runqueues: 5 })).message).toMatch(/not number 5/)
    expect(refusal({ ...variables({}), btf: kernelTypes(false) }).message).toMatch(/is no per-CPU variable/)
    const other = { ...variables({ cpu_number: [int(1)] }), btf: kernelTypes(true, 'struct') }
    expect(refusal(other)).toMatchObject({ code: 'RELOCATION_FAILED' })
  })

  it('are no per-CPU ones unless they are told by CPU: Linux refuses them too', () => {
    const { code, message } = refusal({ variables: { ...COMPLETE, runqueues: { cpu: 1 } } })
    expect(code).toBe('VERIFIER_REJECTED')
    expect(message).toMatch(/R1 type=ptr_ expected=percpu_ptr_/)
  })
})

describe('kernel options of a simulated kernel', () => {
  const options = (kconfig: string, own?: string): bigint => {
    const kernel = createKernel({ kconfig })
    const spec = open(objectPath('test/settings'), { kernel, ...(own !== undefined && { kconfig: own }) })
    for (const [name, program] of Object.entries(spec.programs)) program.autoload = name === 'options'
    using object = spec.load()
    const { ctx = new Uint8Array() } = object.program('options').run({ ctx: new Uint8Array(56) })
    return new BigUint64Array(ctx.slice().buffer)[1] ?? 0n
  }

  it('count where the object says nothing', () => {
    expect(options('CONFIG_ANSWER=42\nCONFIG_OTHER=y')).toBe(42n)
    expect(options('CONFIG_ANSWER=42', 'CONFIG_ANSWER=43')).toBe(43n)
    expect(options('CONFIG_ANSWER=42', 'CONFIG_FLAG=y')).toBe(42n)
  })

  it('are refused where they are none', () => {
    expect(() => createKernel({ kconfig: 'CONFIG_ANSWER=' })).toThrow(/gives the option no value/)
    expect(() => createKernel({ kconfig: 5 as never })).toThrow(
      /option kconfig is lines of .config, not number 5/,
    )
  })
})
