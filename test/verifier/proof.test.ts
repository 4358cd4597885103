/** What the verifier has proven is not checked again as a program runs; all else is. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createKernel } from '../../lib/fallback/index.js'
import { proofOf } from '../../lib/fallback/loader/proof.js'
import { Access, KERNEL_HI, Memory } from '../../lib/fallback/memory.js'
import { createEngine } from '../../lib/fallback/vm/engine.js'
import type { Proof } from '../../lib/fallback/vm/types.js'
import * as bpf from '../../lib/isa/build.js'
import { encode } from '../../lib/isa/instruction.js'
import { OP } from '../../lib/isa/opcodes.js'
import { BPF_MAP_TYPE } from '../../lib/linux/map-types.js'
import { BPF_PROG_TYPE } from '../../lib/linux/program-types.js'
import { open } from '../../lib/open.js'
import { objectPath } from '../support/kernels.js'
import { engineOf, resultOf } from '../support/run-bpf.js'
import { type CaseCode, loadMap, map, verify } from './support.js'

vi.mock(import('../../lib/fallback/vm/engine.js'), async (original) => {
  const real = await original()
  return { ...real, createEngine: vi.fn<typeof real.createEngine>(real.createEngine) }
})

const { exit, instruction, jump, load, mov64, store } = bpf
const FUEL = 1000
const array = map({ type: BPF_MAP_TYPE.ARRAY, keySize: 4, maxEntries: 1 })

function proof(code: CaseCode, fuel = FUEL, type: number = BPF_PROG_TYPE.SOCKET_FILTER): Proof {
  const verdict = verify(code, { type })
  expect(verdict.reason).toBeUndefined()
  const instructions = code.flatMap((part) =>
    'register' in part ? [instruction(OP.LDDW), instruction(0)] : part,
  )
  return proofOf(encode(instructions), verdict, fuel)
}

describe('an engine with a proof', () => {
  const body = [store(64, 1, 8, 7), load(64, 0, 1, 8), exit()]
  const proven = proof([loadMap(1, array, 0), ...body])

  function run(known: Proof | undefined): bigint {
    const memory = new Memory()
    // Memory that nobody may access: whoever asks is told so.
    const address = memory.alloc(16, Access.none)
    const code = [instruction(OP.LDDW, 1, 0, 0, address), instruction(0, 0, 0, 0, KERNEL_HI), ...body]
    const environment = known === undefined ? {} : { proof: () => known }
    const engine = engineOf(code, { memory, engine: 'wasm', environment })
    engine.run(0)
    return resultOf(engine)
  }

  it('asks nobody about proven accesses', () => {
    expect(proven.provesAll).toBe(true)
    expect(run(proven)).toBe(7n)
  })

  it('asks about those that are not proven', () => {
    expect(() => run(undefined)).toThrow('insn 2')
    expect(() => run({ ...proven, provesAll: false, isProven: (slot) => slot === 2 })).toThrow('insn 3')
  })
})

describe('what is proven', () => {
  it('is no access to what callers hand in', () => {
    const code = [load(64, 0, 1, 0), store(64, 10, -8, 0), exit()]
    const { isProven, provesAll } = proof(code, FUEL, BPF_PROG_TYPE.RAW_TRACEPOINT)
    expect([isProven(0), isProven(1), provesAll]).toEqual([false, true, false])
  })

  it('are packets and their contexts, which the kernel makes', () => {
    const code = [
      load(32, 2, 1, 0),
      load(32, 3, 1, 4),
      mov64(0, 2),
      bpf.mov64r(4, 2),
      bpf.alu64('add', 4, 14),
      bpf.jumpr('jgt', 4, 3, 1),
      load(8, 0, 2, 13),
      exit(),
    ]
    const { isProven, provesAll } = proof(code, FUEL, BPF_PROG_TYPE.XDP)
    expect([isProven(0), isProven(6), provesAll]).toEqual([true, true, true])
  })

  it('is no value that a deletion gives back', () => {
    const trie = map({ type: BPF_MAP_TYPE.LPM_TRIE, flags: 1 })
    const code = (of: typeof trie): CaseCode => [
      store(64, 10, -8, 0),
      bpf.mov64r(2, 10),
      bpf.alu64('add', 2, -8),
      loadMap(1, of),
      bpf.call(1),
      jump('jeq', 0, 0, 1),
      store(64, 0, 0, 1),
      mov64(0, 0),
      exit(),
    ]
    expect([proof(code(trie)).isProven(7), proof(code(map())).isProven(7)]).toEqual([false, true])
  })

  it('is the end of a program, if it comes within the fuel', () => {
    const counts = [mov64(0, 0), bpf.alu64('add', 0, 1), jump('jlt', 0, 20, -2), exit()]
    expect([proof(counts).terminates, proof(counts, 10).terminates]).toEqual([true, false])
  })

  it('is no end of a loop that may go on', () => {
    const loop = [mov64(0, 0), instruction(OP.MAY_GOTO, 0, 0, 1), bpf.ja(-2), exit()]
    expect(proof(loop).terminates).toBe(false)
  })
})

describe('the loader', () => {
  afterEach(() => vi.mocked(createEngine).mockClear())

  function proofs(object: string, program: string, verifies = true): readonly (Proof | undefined)[] {
    const spec = open(objectPath(object), { kernel: createKernel({ verify: verifies }) })
    for (const [name, settings] of Object.entries(spec.programs)) settings.autoload = name === program
    using _object = spec.load()
    return vi.mocked(createEngine).mock.calls.map(([code, { proof }]) => proof?.(code))
  }

  it('hands on what was proven', () => {
    const [known] = proofs('test/pointers', 'checked')
    expect(known?.terminates).toBe(true)
    expect(Array.from({ length: 60 }, (_unused, slot) => known?.isProven(slot) === true)).toContain(true)
  })

  it('knows nothing without the verifier', () => {
    expect(proofs('test/pointers', 'checked', false)).toEqual([undefined])
  })
})

describe('facts for engines', () => {
  const hash = map()
  const lookUp: CaseCode = [
    store(64, 10, -8, 0),
    loadMap(1, hash),
    bpf.mov64r(2, 10),
    bpf.alu64('add', 2, -8),
    bpf.call(1),
  ]

  it('name the accesses that were proven', () => {
    const verdict = verify([...lookUp, jump('jeq', 0, 0, 1), load(64, 0, 0, 8), exit()])
    const slots = Array.from({ length: 9 }, (_unused, i) => i).filter((slot) => verdict.proven(slot))
    expect(slots).toEqual([0, 7])
  })

  it('name none in what is refused', () => {
    const verdict = verify([store(64, 10, -8, 0), exit()])
    expect([verdict.accepted, verdict.proven(0)]).toEqual([false, false])
  })
})
