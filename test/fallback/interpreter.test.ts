import { describe, expect, it } from 'vitest'
import { Access, KERNEL_HI, Memory, USER_HI } from '../../lib/fallback/memory.js'
import { FUNC_HI } from '../../lib/fallback/vm/interpreter.js'
import type { HelperFunction } from '../../lib/fallback/vm/types.js'
import * as bpf from '../../lib/isa/build.js'
import { ATOMIC } from '../../lib/isa/opcodes.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { engineOf, kernelAddress, resultOf, runBpf } from '../support/run-bpf.js'

const ALL_ONES = 0xffffffffffffffffn

function r0(...code: readonly (Instruction | readonly Instruction[])[]): bigint {
  return runBpf(code.flat()).r0
}

function errorOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('arithmetic (RFC 9669 section 4.1)', () => {
  it('gives 0 for a division by zero, in both widths, signed and unsigned', () => {
    for (const offset of [0, 1]) {
      expect(r0(bpf.mov64(0, 7), bpf.mov64(1, 0), bpf.alu64r('div', 0, 1, offset), bpf.exit())).toBe(0n)
      expect(r0(bpf.mov64(0, 7), bpf.mov64(1, 0), bpf.alu32r('div', 0, 1, offset), bpf.exit())).toBe(0n)
    }
  })

  it('leaves the dividend for a modulo by zero; the 32-bit one clears the upper half', () => {
    const wide = bpf.lddw(0, 0x1_0000_0007n)
    expect(r0(wide, bpf.mov64(1, 0), bpf.alu64r('mod', 0, 1), bpf.exit())).toBe(0x1_0000_0007n)
    expect(r0(wide, bpf.mov64(1, 0), bpf.alu32r('mod', 0, 1), bpf.exit())).toBe(7n)
  })

  it('wraps the smallest number divided by -1', () => {
    const smallest = bpf.lddw(0, 1n << 63n)
    expect(r0(smallest, bpf.alu64('div', 0, -1, 1), bpf.exit())).toBe(1n << 63n)
    expect(r0(smallest, bpf.alu64('mod', 0, -1, 1), bpf.exit())).toBe(0n)
    expect(r0(bpf.mov32(0, -0x80000000), bpf.alu32('div', 0, -1, 1), bpf.exit())).toBe(0x80000000n)
  })

  it('masks shifts that are as wide as the register or wider', () => {
    expect(r0(bpf.mov64(0, 1), bpf.alu64('lsh', 0, 65), bpf.exit())).toBe(2n)
    expect(r0(bpf.mov64(0, 1), bpf.alu32('lsh', 0, 33), bpf.exit())).toBe(2n)
    expect(r0(bpf.mov64(0, -8), bpf.mov64(1, 64), bpf.alu64r('arsh', 0, 1), bpf.exit())).toBe(ALL_ONES - 7n)
  })

  it('clears the upper half in 32-bit operations', () => {
    expect(r0(bpf.mov64(0, -1), bpf.alu32('add', 0, 0), bpf.exit())).toBe(0xffffffffn)
    expect(r0(bpf.mov64(0, -1), bpf.mov32r(0, 0), bpf.exit())).toBe(0xffffffffn)
  })

  it('extends the sign in moves', () => {
    expect(r0(bpf.mov64(1, 0x80), bpf.movsx64(0, 1, 8), bpf.exit())).toBe(ALL_ONES - 0x7fn)
    expect(r0(bpf.mov64(1, 0x8000), bpf.movsx32(0, 1, 16), bpf.exit())).toBe(0xffff8000n)
  })

  it('swaps bytes', () => {
    const value = bpf.lddw(0, 0x1122334455667788n)
    expect(r0(value, bpf.end('be', 0, 16), bpf.exit())).toBe(0x8877n)
    expect(r0(value, bpf.end('le', 0, 32), bpf.exit())).toBe(0x55667788n)
    expect(r0(value, bpf.end('bswap', 0, 64), bpf.exit())).toBe(0x8877665544332211n)
  })
})

describe('control flow', () => {
  it('jumps by 32-bit distances', () => {
    expect(r0(bpf.mov64(0, 1), bpf.ja32(1), bpf.mov64(0, 2), bpf.exit())).toBe(1n)
  })

  it('keeps r6…r9 and the frame pointer over a call, and gives each frame a stack of its own', () => {
    const code = [
      bpf.mov64(6, 66),
      bpf.store(64, 10, -8, 1),
      bpf.mov64(1, 5),
      bpf.callLocal(4),
      bpf.load(64, 1, 10, -8),
      bpf.alu64r('add', 0, 1),
      bpf.alu64r('add', 0, 6),
      bpf.exit(),
      bpf.mov64(6, 0),
      bpf.store(64, 10, -8, 1000),
      bpf.mov64r(0, 1),
      bpf.exit(),
    ]
    expect(runBpf(code).r0).toBe(5n + 1n + 66n)
  })

  it('lets a callee write to the stack of its caller', () => {
    const code = [
      bpf.mov64r(1, 10),
      bpf.alu64('add', 1, -8),
      bpf.callLocal(2),
      bpf.load(64, 0, 10, -8),
      bpf.exit(),
      bpf.store(64, 1, 0, 42),
      bpf.exit(),
    ]
    expect(runBpf(code).r0).toBe(42n)
  })

  it('traps at the ninth frame', () => {
    expect(errorOf(() => r0(bpf.callLocal(-1), bpf.exit()))).toMatchObject({
      code: 'TRAP',
      message: expect.stringContaining('more than 8 call frames'),
    })
  })

  it('traps when fuel runs out, also in a recursion of loops and helpers', () => {
    const spin = [bpf.mov64(0, 0), bpf.ja(-2)]
    expect(errorOf(() => runBpf(spin, new Uint8Array(), { fuel: 1000 }))).toMatchObject({
      code: 'TRAP',
      message: expect.stringContaining('ran out of fuel after 1000 instructions'),
    })
  })

  it('has fuel for exactly as many instructions as it was given', () => {
    const loop = [
      bpf.mov64(1, 10),
      bpf.alu64('sub', 1, 1),
      bpf.jump('jne', 1, 0, -2),
      bpf.mov64(0, 1),
      bpf.exit(),
    ]
    const executed = 1 + 10 * 2
    expect(runBpf(loop, new Uint8Array(), { fuel: executed }).r0).toBe(1n)
    expect(() => runBpf(loop, new Uint8Array(), { fuel: executed - 3 })).toThrow('ran out of fuel')
  })

  it('runs again after a trap', () => {
    const code = [bpf.load(64, 0, 1, 0), bpf.exit()]
    const memory = new Memory()
    const engine = engineOf(code, { memory })
    const context = memory.alloc(8, Access.readWrite)
    memory.u8[context] = 9
    expect(() => engine.run(context + 8)).toThrow('out of bounds')
    engine.run(context)
    expect(resultOf(engine)).toBe(9n)
  })

  it('leaves a may_goto loop when its count is used up', () => {
    const code = [bpf.mov64(0, 0), bpf.mayGoto(2), bpf.alu64('add', 0, 1), bpf.ja(-3), bpf.exit()]
    expect(runBpf(code, new Uint8Array(), { fuel: 100_000_000 }).r0).toBe(8n * 1024n * 1024n)
  })
})

describe('memory', () => {
  it('reads and writes all sizes, aligned or not', () => {
    const bytes = Uint8Array.from({ length: 24 }, (_, i) => 0x80 + i)
    for (const offset of [0, 1, 3, 7]) {
      const view = new DataView(bytes.buffer)
      expect(runBpf([bpf.load(64, 0, 1, offset), bpf.exit()], bytes).r0).toBe(view.getBigUint64(offset, true))
      expect(runBpf([bpf.load(32, 0, 1, offset), bpf.exit()], bytes).r0).toBe(
        BigInt(view.getUint32(offset, true)),
      )
      expect(runBpf([bpf.load(16, 0, 1, offset), bpf.exit()], bytes).r0).toBe(
        BigInt(view.getUint16(offset, true)),
      )
      expect(runBpf([bpf.loadSigned(32, 0, 1, offset), bpf.exit()], bytes).r0).toBe(
        BigInt.asUintN(64, BigInt(view.getInt32(offset, true))),
      )
      const after = runBpf(
        [...bpf.lddw(2, 0x0102030405060708n), bpf.storer(64, 1, offset, 2), bpf.exit()],
        bytes,
      )
      expect(Array.from(after.memory.subarray(offset, offset + 8))).toEqual([8, 7, 6, 5, 4, 3, 2, 1])
    }
    expect(runBpf([bpf.loadSigned(8, 0, 1, 0), bpf.exit()], bytes).r0).toBe(ALL_ONES - 0x7fn)
  })

  it.each([
    [
      'a null pointer',
      [bpf.mov64(1, 0), bpf.load(32, 0, 1, 16), bpf.exit()],
      'null pointer with an offset of 16',
    ],
    [
      'a byte behind the context',
      [bpf.load(32, 0, 1, 5), bpf.exit()],
      'out of bounds by 1 bytes behind a context of 8 bytes',
    ],
    ['a byte before the context', [bpf.load(8, 0, 1, -1), bpf.exit()], 'out of bounds'],
    [
      'below the stack',
      [bpf.store(64, 10, -520, 1), bpf.exit()],
      'out of bounds by 8 bytes before a stack frame',
    ],
    [
      'above the stack',
      [bpf.store(8, 10, 0, 1), bpf.exit()],
      'out of bounds by 1 bytes behind a stack frame of 512 bytes',
    ],
    [
      'a number',
      [bpf.mov64(1, 0x12345678), bpf.load(64, 0, 1, 0), bpf.exit()],
      "not a pointer into the kernel's memory",
    ],
    [
      'a user address',
      [...bpf.lddw(1, (BigInt(USER_HI) << 32n) | 0x10000n), bpf.load(64, 0, 1, 0), bpf.exit()],
      'user address',
    ],
    [
      'a function',
      [...bpf.lddw(1, BigInt(FUNC_HI) << 32n), bpf.load(64, 0, 1, 0), bpf.exit()],
      'the address of a function is no data',
    ],
    [
      'a pointer that wraps around',
      [...bpf.lddw(1, kernelAddress(0xfffffff8)), bpf.load(64, 0, 1, 16), bpf.exit()],
      "not a pointer into the kernel's memory",
    ],
    ['an unaligned atomic', [bpf.mov64(2, 1), bpf.atomic(32, ATOMIC.ADD, 1, 2, 2), bpf.exit()], 'misaligned'],
  ])('traps at %s', (_what, code, problem) => {
    expect(errorOf(() => runBpf(code, new Uint8Array(8)))).toMatchObject({
      code: 'TRAP',
      message: expect.stringContaining(problem),
    })
  })

  it('traps at a write to read-only memory and at a use after free', () => {
    const memory = new Memory()
    const constant = memory.alloc(8, Access.read)
    const gone = memory.alloc(8, Access.readWrite)
    memory.free(gone)
    const write = [...bpf.lddw(1, kernelAddress(constant)), bpf.store(8, 1, 0, 1), bpf.exit()]
    const use = [...bpf.lddw(1, kernelAddress(gone)), bpf.load(8, 0, 1, 0), bpf.exit()]
    expect(() => runBpf(write, new Uint8Array(), { memory })).toThrow('read-only memory')
    expect(() => engineOf(use, { memory: memory }).run(0)).toThrow(/use after free/)
  })

  it('names program, instruction, source line and address in a trap', () => {
    const lines = [
      { offset: 0, file: 'a.bpf.c', line: 7, column: 1, text: '  int x = 1;' },
      { offset: 8, file: 'a.bpf.c', line: 8, column: 1, text: '  return *p;' },
    ]
    const error = errorOf(() =>
      runBpf([bpf.mov64(1, 0), bpf.load(32, 0, 1, 4), bpf.exit()], new Uint8Array(), { lines }),
    )
    expect(error).toMatchObject({
      code: 'TRAP',
      message:
        "program 'test' insn 1 (a.bpf.c:8: return *p;): r0 = *(u32 *)(r1 +4): " +
        'read of 4 bytes at 0x0000000000000004: null pointer with an offset of 4',
    })
  })

  it('reads zero from bad addresses where Linux does, and still traps at writes', () => {
    const setup = { faultingLoadsReadZero: true }
    const read = [bpf.mov64(0, 5), bpf.mov64(1, 0), bpf.load(64, 0, 1, 8), bpf.exit()]
    expect(runBpf(read, new Uint8Array(), setup).r0).toBe(0n)
    expect(() =>
      runBpf([bpf.mov64(1, 0), bpf.store(64, 1, 8, 1), bpf.exit()], new Uint8Array(), setup),
    ).toThrow('null pointer')
  })

  it('does not care whether memory grows while a helper runs', () => {
    const memory = new Memory({ initialBytes: 1 << 17 })
    const grow: HelperFunction = () => void memory.alloc(1 << 20, Access.readWrite)
    const code = [bpf.store(64, 10, -8, 77), bpf.call(5), bpf.load(64, 0, 10, -8), bpf.exit()]
    expect(runBpf(code, new Uint8Array(), { memory, helpers: new Map([[5, grow]]) }).r0).toBe(77n)
  })
})

describe('atomics', () => {
  const OLD = 0x00000002_ffffffffn
  const run = (bits: 32 | 64, operation: number): { result: bigint; cell: bigint } => {
    const bytes = new Uint8Array(new BigUint64Array([OLD]).buffer)
    const code = [
      ...bpf.lddw(2, 0x10_0000_0001n),
      bpf.mov64r(0, 2),
      bpf.atomic(bits, operation, 1, 0, 2),
      bpf.mov64r(0, 2),
      bpf.exit(),
    ]
    const { r0: result, memory } = runBpf(code, bytes)
    return { result, cell: new DataView(memory.buffer).getBigUint64(0, true) }
  }

  it.each([
    ['add', ATOMIC.ADD, OLD + 0x10_0000_0001n],
    ['or', ATOMIC.OR, OLD | 0x10_0000_0001n],
    ['and', ATOMIC.AND, OLD & 0x10_0000_0001n],
    ['xor', ATOMIC.XOR, OLD ^ 0x10_0000_0001n],
  ])('%s changes all 64 bits, and fetches the old value if asked', (_name, operation, expected) => {
    expect(run(64, operation)).toEqual({ result: 0x10_0000_0001n, cell: expected })
    expect(run(64, operation | ATOMIC.FETCH)).toEqual({ result: OLD, cell: expected })
  })

  it('changes only 32 bits in the 32-bit form, and fetches them without a sign', () => {
    expect(run(32, ATOMIC.ADD | ATOMIC.FETCH)).toEqual({ result: 0xffffffffn, cell: 0x2_0000_0000n })
    expect(run(32, ATOMIC.XCHG)).toEqual({ result: 0xffffffffn, cell: 0x2_0000_0001n })
  })

  it('compares and exchanges with r0', () => {
    const bytes = new Uint8Array(new BigUint64Array([OLD]).buffer)
    const exchange = (expected: bigint): { r0: bigint; memory: Uint8Array } =>
      runBpf(
        [...bpf.lddw(0, expected), bpf.mov64(2, 9), bpf.atomic(64, ATOMIC.CMPXCHG, 1, 0, 2), bpf.exit()],
        bytes,
      )
    expect(exchange(OLD).r0).toBe(OLD)
    expect(exchange(OLD).memory[0]).toBe(9)
    expect(exchange(1n).r0).toBe(OLD)
    expect(exchange(1n).memory[0]).toBe(0xff)
  })

  it('loads with acquire and stores with release, bytes too', () => {
    const code = [
      bpf.mov64(2, 0x1ff),
      bpf.atomic(8, ATOMIC.STORE_RELEASE, 1, 1, 2),
      bpf.atomic(16, ATOMIC.LOAD_ACQUIRE, 0, 0, 1),
      bpf.exit(),
    ]
    expect(runBpf(code, new Uint8Array(8)).r0).toBe(0xff00n)
  })

  it('traps at operations that do not exist', () => {
    expect(() =>
      runBpf([bpf.mov64(2, 1), bpf.atomic(64, 0x70, 1, 0, 2), bpf.exit()], new Uint8Array(8)),
    ).toThrow('no 8-byte atomic operation 0x70')
    expect(() =>
      runBpf([bpf.mov64(2, 1), bpf.atomic(8, ATOMIC.ADD, 1, 0, 2), bpf.exit()], new Uint8Array(8)),
    ).toThrow('no 1-byte atomic operation 0x0')
  })
})

describe('helpers and callbacks', () => {
  it('passes r1…r5 and takes r0', () => {
    const add: HelperFunction = ({ lo, hi }) => {
      lo[0] = (lo[1] ?? 0) + (lo[5] ?? 0)
      hi[0] = 0
    }
    const code = [bpf.mov64(1, 3), bpf.mov64(5, 4), bpf.call(5), bpf.exit()]
    expect(runBpf(code, new Uint8Array(), { helpers: new Map([[5, add]]) }).r0).toBe(7n)
  })

  it('calls functions of the program from a helper, over and over', () => {
    const loop: HelperFunction = (registers, engine) => {
      const callback = registers.lo[2] ?? 0
      expect(registers.hi[2]).toBe(FUNC_HI)
      const [contextLo = 0, contextHi = 0] = [registers.lo[3], registers.hi[3]]
      for (let i = 0; i < 10; i++) engine.call(callback, [i, 0, contextLo, contextHi])
      expect(registers.lo[3]).toBe(contextLo)
      registers.lo[0] = 10
    }
    const code = [
      bpf.mov64(6, 1),
      bpf.store(64, 10, -8, 0),
      ...bpf.lddw(2, 6n, 4),
      bpf.mov64r(3, 10),
      bpf.alu64('add', 3, -8),
      bpf.call(181),
      bpf.load(64, 0, 10, -8),
      bpf.exit(),
      // Slot 9: adds its index to the context, and spoils r6.
      bpf.load(64, 6, 2, 0),
      bpf.alu64r('add', 6, 1),
      bpf.storer(64, 2, 0, 6),
      bpf.mov64(0, 0),
      bpf.exit(),
    ]
    const setup = {
      helpers: new Map([[181, loop]]),
      functions: [
        { name: 'main', start: 0 },
        { name: 'callback', start: 9 },
      ],
    }
    expect(runBpf(code, new Uint8Array(), setup).r0).toBe(45n)
  })

  it('takes fuel for callbacks from the run that they belong to', () => {
    const forever: HelperFunction = (_registers, engine) => {
      for (;;) engine.call(0, [])
    }
    const code = [bpf.jump('jne', 1, 0, 2), bpf.mov64(0, 0), bpf.exit(), bpf.call(181), bpf.exit()]
    expect(() =>
      runBpf(code, new Uint8Array(), { fuel: 10_000, helpers: new Map([[181, forever]]) }),
    ).toThrow('ran out of fuel')
  })

  it('runs inside of itself without losing its registers', () => {
    const nested: HelperFunction = (registers, engine) => {
      if (registers.lo[2] === 0) return
      engine.run(0)
    }
    const code = [
      bpf.mov64r(7, 1),
      bpf.mov64(2, 0),
      bpf.jump32('jeq', 7, 0, 1),
      bpf.mov64(2, 1),
      bpf.call(5),
      bpf.mov64r(0, 7),
      bpf.exit(),
    ]
    const memory = new Memory()
    const engine = engineOf(code, { memory, helpers: new Map([[5, nested]]) })
    const context = memory.alloc(8, Access.readWrite)
    engine.run(context)
    expect(resultOf(engine)).toBe(kernelAddress(context))
  })

  it('gives up when it runs inside of itself without end', () => {
    const nested: HelperFunction = (_registers, engine) => engine.run(0)
    expect(() =>
      runBpf([bpf.call(5), bpf.exit()], new Uint8Array(), { helpers: new Map([[5, nested]]) }),
    ).toThrow('runs inside of itself')
  })

  it('lets errors of helpers through', () => {
    const error = new Error('from the helper')
    const failing: HelperFunction = () => {
      throw error
    }
    expect(
      errorOf(() =>
        runBpf([bpf.call(5), bpf.exit()], new Uint8Array(), { helpers: new Map([[5, failing]]) }),
      ),
    ).toBe(error)
  })

  it('refuses to be made with a helper that is missing, and traps at one that does not exist', () => {
    expect(errorOf(() => engineOf([bpf.call(6), bpf.exit()]))).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('bpf_trace_printk#6'),
    })
    const poisoned = [bpf.mov64(0, 1), bpf.jump('jeq', 0, 1, 1), bpf.call(195896080), bpf.exit()]
    expect(runBpf(poisoned).r0).toBe(1n)
    expect(() => r0(bpf.call(195896080), bpf.exit())).toThrow('invalid func unknown#195896080')
  })
})

describe('what is no program', () => {
  it.each([
    ['an unknown opcode', [bpf.instruction(0xff)], 'unknown opcode ff'],
    ['a register that does not exist', [bpf.mov64(11, 0)], 'R11 is invalid'],
    ['a jump out of the program', [bpf.ja(7)], 'jump out of range from insn 0 to 8'],
    ['half of a 64-bit immediate', [bpf.ja(1), ...bpf.lddw(0, 1n)], 'middle of a 64-bit immediate load'],
    ['an end without exit', [bpf.mov64(0, 0)], 'ran off the end'],
    ['no code at all', [], 'ran off the end'],
  ])('traps at %s', (_what, code, problem) => {
    expect(errorOf(() => runBpf(code))).toMatchObject({
      code: 'TRAP',
      message: expect.stringContaining(problem),
    })
  })

  it.each([
    ['packet access', [bpf.instruction(0x20)], 'BPF_LD_[ABS|IND]'],
    ['kernel functions', [bpf.instruction(0x85, 0, 2, 0, 77)], 'kfunc'],
  ])('says that it has no %s', (_what, code, name) => {
    expect(errorOf(() => runBpf(code))).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining(name),
    })
  })

  it('does not run when idle callbacks or a closed engine are asked for', () => {
    const memory = new Memory()
    const engine = engineOf([bpf.exit()], { memory })
    expect(errorOf(() => engine.call(0, []))).toMatchObject({ code: 'BAD_PHASE' })
    engine.close()
    engine.close()
    expect(errorOf(() => engine.run(0))).toMatchObject({ code: 'CLOSED' })
  })
})

it('gives its stacks back when it is closed', () => {
  const memory = new Memory()
  const before = memory.usedBytes
  const engine = engineOf([bpf.mov64(0, 0), bpf.exit()], { memory })
  expect(memory.usedBytes).toBeGreaterThanOrEqual(before + 8 * 512)
  engine.close()
  expect(memory.usedBytes).toBe(before)
  expect(engine.registers.hi.length).toBeGreaterThan(10)
  expect(KERNEL_HI).toBe(0xffff8880 | 0)
})
