/** The compiler to WebAssembly against the interpreter and a plain evaluator: arithmetic, control flow of all shapes, memory, sizes. */
import * as fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { Access, Memory } from '../../lib/fallback/memory.js'
import type { EngineName, HelperFunction } from '../../lib/fallback/vm/types.js'
import * as bpf from '../../lib/isa/build.js'
import { instruction } from '../../lib/isa/build.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { ATOMIC, OPCODES } from '../../lib/isa/opcodes.js'
import { evaluate } from '../support/reference-evaluator.js'
import { engineOf, resultOf, runBpf } from '../support/run-bpf.js'

const EDGES = [
  0n,
  1n,
  3n,
  31n,
  64n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000001n,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0xffffffffffffffffn,
]
const IMMEDIATES = [0, 1, -1, 7, 33, 0x7fffffff, -0x80000000]

/** What a program does on an engine: its result and memory, or the text of its trap. */
function outcome(engineName: EngineName, code: readonly Instruction[], bytes = new Uint8Array(64)): unknown {
  const memory = new Memory()
  const context = memory.alloc(bytes.length, Access.readWrite, 16, 'context')
  memory.u8.set(bytes, context)
  const engine = engineOf(code, { memory, engine: engineName })
  try {
    engine.run(context)
    return { r0: resultOf(engine), memory: [...memory.u8.subarray(context, context + bytes.length)] }
  } catch (error) {
    if (error instanceof BpfError) return { code: error.code, message: error.message }
    throw error
  }
}

/** The code of the error that is thrown; undefined: none is. */
function codeOf(run: () => void): unknown {
  try {
    run()
    return undefined
  } catch (error) {
    return error instanceof BpfError ? error.code : error
  }
}

/** What it does on both engines. */
function onBoth(code: readonly Instruction[], bytes?: Uint8Array<ArrayBuffer>): readonly [unknown, unknown] {
  return [outcome('wasm', code, bytes), outcome('interpreter', code, bytes)]
}

describe('arithmetic', () => {
  it('computes every operation on every pair of edge values, in both forms', () => {
    const registers = OPCODES.filter((o) => ['alu', 'mov', 'neg'].includes(o.kind))
    for (const info of registers) {
      const isDivision = info.name === 'div' || info.name === 'mod'
      const offsets = isDivision ? [0, 1] : info.kind === 'mov' && info.register ? [0, 8, 16] : [0]
      for (const offset of offsets) {
        const operands = info.register ? EDGES : IMMEDIATES.map(BigInt)
        const cases = EDGES.flatMap((a) => operands.map((b) => [a, b] as const))
        // All of them in one program: each result is stored.
        const body = cases.flatMap(([a, b], i) => [
          ...bpf.lddw(2, a),
          ...bpf.lddw(3, b),
          info.register
            ? instruction(info.opcode, 2, 3, offset)
            : instruction(info.opcode, 2, 0, offset, info.kind === 'neg' ? 0 : Number(b)),
          bpf.storer(64, 1, 8 * i, 2),
        ])
        const { memory } = runBpf([...body, bpf.mov64(0, 0), bpf.exit()], new Uint8Array(8 * cases.length), {
          engine: 'wasm',
        })
        const results = new BigUint64Array(memory.buffer)
        cases.forEach(([a, b], i) => {
          const code = [...body.slice(6 * i, 6 * i + 5), bpf.exit()]
          const expected = evaluate(code, Array(11).fill(0n))[2]
          expect(results[i], `${info.name}${info.bits} ${a} ${b} ${offset}`).toBe(expected)
        })
      }
    }
  })

  it('takes every conditional jump as it should', () => {
    for (const info of OPCODES.filter((o) => o.kind === 'jump')) {
      const operands = info.register ? EDGES : IMMEDIATES.map(BigInt)
      const cases = EDGES.flatMap((a) => operands.map((b) => [a, b] as const))
      const decide = ([a, b]: readonly [bigint, bigint]): readonly Instruction[] => [
        bpf.mov64(0, 1),
        ...bpf.lddw(2, a),
        ...bpf.lddw(3, b),
        info.register ? instruction(info.opcode, 2, 3, 1) : instruction(info.opcode, 2, 0, 1, Number(b)),
        bpf.mov64(0, 2),
      ]
      const body = cases.flatMap((each, i) => [...decide(each), bpf.storer(8, 1, i, 0)])
      const { memory } = runBpf([...body, bpf.exit()], new Uint8Array(cases.length), { engine: 'wasm' })
      cases.forEach((each, i) => {
        const expected = evaluate([...decide(each), bpf.exit()], Array(11).fill(0n))[0]
        expect(BigInt(memory[i] ?? 0), `${info.name}${info.bits} ${each.join()}`).toBe(expected)
      })
    }
  })

  it('swaps bytes', () => {
    for (const name of ['le', 'be', 'bswap'] as const)
      for (const bits of [16, 32, 64] as const)
        for (const value of [...EDGES, 0x1122334455667788n]) {
          const [compiled, interpreted] = onBoth([...bpf.lddw(0, value), bpf.end(name, 0, bits), bpf.exit()])
          expect(compiled).toEqual(interpreted)
        }
  })
})

describe('control flow', () => {
  const block = fc.record({
    operation: fc.constantFrom('add', 'xor', 'mul', 'sub'),
    register: fc.integer({ min: 0, max: 4 }),
    imm: fc.integer({ min: -1000, max: 1000 }),
    jump: fc.constantFrom('jset', 'jgt', 'jslt', 'jne', 'none'),
    compared: fc.integer({ min: 0, max: 4 }),
    bound: fc.integer({ min: -50, max: 50 }),
    to: fc.nat(1000),
    goto: fc.option(fc.nat(1000), { nil: undefined }),
  })

  /** Blocks that jump wherever they like; a counter ends it all. Most of these graphs are irreducible. */
  function tangle(
    blocks: readonly (typeof block extends fc.Arbitrary<infer T> ? T : never)[],
  ): Instruction[] {
    const size = 6
    const head = [0, 1, 2, 3, 4].map((r) => bpf.mov64(r, 3 * r + 1))
    const prologue = [bpf.mov64r(6, 1), ...head, bpf.mov64(9, 300)]
    const end = prologue.length + size * blocks.length
    const code = [...prologue]
    blocks.forEach((b, i) => {
      const at = prologue.length + size * i
      const blockAt = (to: number): number => prologue.length + size * (to % blocks.length)
      code.push(bpf.alu64('sub', 9, 1), bpf.jump('jeq', 9, 0, end - (at + 2)))
      code.push(bpf.alu64(b.operation, b.register, b.imm), bpf.alu64r('xor', 0, b.register))
      code.push(
        b.jump === 'none'
          ? bpf.alu64('add', 0, 1)
          : bpf.jump(b.jump, b.compared, b.bound, blockAt(b.to) - (at + 5)),
      )
      code.push(b.goto === undefined ? bpf.alu64('add', 1, 1) : bpf.ja(blockAt(b.goto) - (at + 6)))
    })
    const stores = [0, 1, 2, 3, 4].map((r) => bpf.storer(64, 6, 8 * r, r))
    return [...code, ...stores, bpf.exit()]
  }

  it('goes the same ways as the interpreter, through any graph', () => {
    fc.assert(
      fc.property(fc.array(block, { minLength: 1, maxLength: 24 }), (blocks) => {
        const [compiled, interpreted] = onBoth(tangle(blocks))
        expect(compiled).toEqual(interpreted)
      }),
      { numRuns: 250, seed: 5 },
    )
  })

  it('nests a thousand loops, and puts ten thousand in a row', () => {
    const depth = 1000
    const nested = [
      bpf.mov64(0, 0),
      ...Array.from({ length: depth }, () => bpf.alu64('add', 0, 1)),
      ...Array.from({ length: depth }, (_, i) => bpf.jump('jeq', 0, -1, -(2 * i) - 2)),
      bpf.exit(),
    ]
    expect(runBpf(nested, new Uint8Array(), { engine: 'wasm' }).r0).toBe(BigInt(depth))
    const row = Array.from({ length: 10_000 }, () => [
      bpf.mov64(1, 3),
      bpf.alu64('add', 0, 1),
      bpf.alu64('sub', 1, 1),
      bpf.jump('jne', 1, 0, -3),
    ])
    const code = [bpf.mov64(0, 0), ...row.flat(), bpf.exit()]
    expect(runBpf(code, new Uint8Array(), { engine: 'wasm' }).r0).toBe(30_000n)
  })

  it('compiles many exits to one place, and chains of else if', () => {
    const exits = 10_000
    const code = [bpf.mov64(0, 5)]
    for (let i = 0; i < exits; i++)
      code.push(bpf.alu64('add', 0, 1), bpf.jump('jeq', 0, i - 7, 2 * (exits - i) - 2))
    const [compiled, interpreted] = onBoth([...code, bpf.exit()])
    expect(compiled).toEqual(interpreted)
    const chain = Array.from({ length: 3000 }, (_, i) => [
      bpf.jump('jne', 1, i, 2),
      bpf.mov64(0, i),
      bpf.exit(),
    ])
    const program = [bpf.mov64(1, 2777), ...chain.flat(), bpf.mov64(0, -1), bpf.exit()]
    expect(runBpf(program, new Uint8Array(), { engine: 'wasm' }).r0).toBe(2777n)
  })
})

describe('memory', () => {
  it('reads, writes and changes as the interpreter does, at every distance from an edge', () => {
    const access = fc.record({
      bits: fc.constantFrom(8 as const, 16 as const, 32 as const, 64 as const),
      offset: fc.integer({ min: -3, max: 30 }),
      kind: fc.constantFrom('load', 'signed', 'store', 'storer', 'atomic'),
      operation: fc.constantFrom(
        ATOMIC.ADD,
        ATOMIC.ADD | ATOMIC.FETCH,
        ATOMIC.XOR,
        ATOMIC.OR | ATOMIC.FETCH,
        ATOMIC.XCHG,
        ATOMIC.CMPXCHG,
        ATOMIC.LOAD_ACQUIRE,
        ATOMIC.STORE_RELEASE,
        0x70,
      ),
    })
    fc.assert(
      fc.property(fc.array(access, { maxLength: 4 }), fc.integer({ min: 1, max: 30 }), (list, size) => {
        const body = list.map(({ bits, offset, kind, operation }) => {
          if (kind === 'load') return bpf.load(bits, 2, 1, offset)
          if (kind === 'signed') return bpf.loadSigned(bits === 64 ? 32 : bits, 2, 1, offset)
          if (kind === 'store') return bpf.store(bits, 1, offset, -77)
          if (kind === 'storer') return bpf.storer(bits, 1, offset, 3)
          if (operation === ATOMIC.LOAD_ACQUIRE) return bpf.atomic(bits, operation, 2, offset, 1)
          return bpf.atomic(bits, operation, 1, offset, 3)
        })
        const code = [
          ...bpf.lddw(3, 0xfedcba9876543210n),
          bpf.mov64(0, 5),
          bpf.mov64(2, 1),
          ...body,
          bpf.alu64r('add', 0, 2),
          bpf.alu64r('add', 0, 3),
          bpf.exit(),
        ]
        const [compiled, interpreted] = onBoth(
          code,
          Uint8Array.from({ length: size }, (_, i) => i * 37),
        )
        expect(compiled).toEqual(interpreted)
      }),
      { numRuns: 300, seed: 6 },
    )
  })

  it('traps with the text of the interpreter', () => {
    const bad: readonly (readonly Instruction[])[] = [
      [bpf.mov64(1, 0), bpf.load(32, 0, 1, 16), bpf.exit()],
      [bpf.store(64, 10, -520, 1), bpf.exit()],
      [bpf.store(8, 10, 0, 1), bpf.exit()],
      [bpf.mov64r(2, 10), bpf.alu64r('add', 2, 1), bpf.store(8, 2, 0, 1), bpf.exit()],
      [bpf.mov64(2, -1), bpf.storer(16, 2, 3, 1), bpf.exit()],
      [...bpf.lddw(1, 0xffff8880ffffffffn), bpf.load(64, 0, 1, 1), bpf.exit()],
      [instruction(0xff), bpf.exit()],
      [instruction(0x07, 12), bpf.exit()],
      [bpf.ja(100), bpf.exit()],
      [bpf.jump('jeq', 1, 0, 3), bpf.exit()],
      [bpf.mov64(0, 0)],
      [bpf.call(9999), bpf.exit()],
      [bpf.callLocal(-1), bpf.exit()],
      [bpf.ja(1), ...bpf.lddw(0, 1n), bpf.exit()],
    ]
    for (const code of bad) {
      const [compiled, interpreted] = onBoth(code)
      expect(compiled).toEqual(interpreted)
    }
  })

  it('lets a program change only its own memory, whatever addresses it makes', () => {
    const memory = new Memory()
    const neighbour = memory.alloc(64, Access.none)
    const target = memory.alloc(64, Access.readWrite)
    memory.u8.fill(0x5a, neighbour, neighbour + 64)
    const trapped: boolean[] = []
    const inside: boolean[] = []
    // Farther behind lie the stacks of the program itself.
    for (let distance = -200; distance < 72; distance += 1) {
      const code = [bpf.alu64('add', 1, distance), bpf.store(64, 1, 0, -1), bpf.exit()]
      const engine = engineOf(code, { memory, engine: 'wasm' })
      trapped.push(codeOf(() => engine.run(target)) === 'TRAP')
      inside.push(distance >= 0 && distance <= 56)
      engine.close()
    }
    expect(trapped).toEqual(inside.map((fits) => !fits))
    expect(memory.u8.subarray(neighbour, neighbour + 64).every((b) => b === 0x5a)).toBe(true)
  })

  it('checks nothing that is proven, and names the line where a proof was wrong', () => {
    const lines = [{ offset: 8, file: 'a.bpf.c', line: 8, column: 1, text: '  return *p;' }]
    const proof = { isProven: () => true, provesAll: true, terminates: true }
    const setup = { lines, engine: 'wasm' as const, environment: { proof: () => proof } }
    expect(
      runBpf([bpf.mov64(1, 0), bpf.load(32, 0, 1, 8), bpf.exit()], new Uint8Array(), setup).r0,
    ).toBeTypeOf('bigint')
    expect(() =>
      runBpf([bpf.mov64(1, -8), bpf.load(32, 0, 1, 0), bpf.exit()], new Uint8Array(), setup),
    ).toThrow("program 'test' insn 1 (a.bpf.c:8: return *p;): r0 = *(u32 *)(r1 +0): an access outside")
  })
})

describe('sizes', () => {
  it('compiles straight code of a hundred thousand instructions', () => {
    const code = [
      bpf.mov64(0, 0),
      ...Array.from({ length: 100_000 }, (_, i) => bpf.alu64('add', 0, i & 7)),
      bpf.exit(),
    ]
    const engine = engineOf(code, { engine: 'wasm' })
    engine.run(0)
    expect(resultOf(engine)).toBe(BigInt(code.slice(1, -1).reduce((sum, { imm }) => sum + imm, 0)))
  })

  it('splits functions that are too large, and loops over their parts', () => {
    const length = 130_000
    const body = Array.from({ length }, (_, i) => bpf.alu64('add', i % 5, 1))
    const code = [
      bpf.mov64r(6, 1),
      ...[0, 1, 2, 3, 4].map((r) => bpf.mov64(r, r)),
      bpf.mov64(9, 3),
      ...body,
      bpf.storer(64, 10, -8, 0),
      bpf.alu64('sub', 9, 1),
      bpf.jump('jeq', 9, 0, 1),
      bpf.ja32(-length - 4),
      bpf.load(64, 7, 10, -8),
      bpf.mayGoto(0),
      bpf.callLocal(3),
      bpf.alu64r('add', 0, 7),
      bpf.storer(64, 6, 0, 1),
      bpf.exit(),
      bpf.mov64(0, 1000),
      bpf.exit(),
    ]
    const [compiled, interpreted] = onBoth(code)
    expect(compiled).toEqual(interpreted)
    expect(runBpf(code, new Uint8Array(8), { engine: 'wasm' }).r0).toBe(1000n + (3n * BigInt(length)) / 5n)
  })

  it('stops a loop over parts when fuel runs out', () => {
    const code = [...Array.from({ length: 100_000 }, () => bpf.alu64('add', 0, 1)), bpf.ja32(-100_001)]
    expect(() => runBpf(code, new Uint8Array(), { engine: 'wasm' })).toThrow('ran out of fuel after 1000000')
  })
})

describe('helpers', () => {
  const weigh: HelperFunction = ({ lo, hi }) => {
    let sum = 0
    for (let r = 1; r <= 5; r++) sum += r * (lo[r] ?? 0) + 16 ** r * (hi[r] ?? 0)
    lo[0] = sum
    hi[0] = -1
  }
  const code = [
    ...[1, 2, 3, 4, 5].flatMap((r) => bpf.lddw(r, (BigInt(r) << 32n) | BigInt(10 * r))),
    bpf.call(201),
    bpf.exit(),
  ]
  const run = (engine: EngineName): bigint =>
    runBpf(code, undefined, { engine, helpers: new Map([[201, weigh]]) }).r0

  it('get their arguments and give both halves of r0, also where text may not become code', () => {
    const expected = run('interpreter')
    expect(expected >> 32n).toBe(0xffffffffn)
    vi.stubGlobal('Function', () => {
      throw new EvalError('Code generation from strings disallowed')
    })
    try {
      expect(run('wasm')).toBe(expected)
    } finally {
      vi.unstubAllGlobals()
    }
  })

  it('are called in a row, each as itself', () => {
    const named = (low: number): HelperFunction => {
      return ({ lo, hi }) => {
        lo[0] = low
        hi[0] = 0
      }
    }
    const calls = [202, 203, 204].flatMap((id) => [
      bpf.call(id),
      bpf.alu64r('add', 6, 0),
      bpf.alu64('mul', 6, 10),
    ])
    const helpers = new Map([202, 203, 204].map((id) => [id, named(id - 200)]))
    const { r0 } = runBpf([bpf.mov64(6, 0), ...calls, bpf.mov64r(0, 6), bpf.exit()], undefined, {
      engine: 'wasm',
      helpers,
    })
    expect(r0).toBe(2340n)
  })
})
