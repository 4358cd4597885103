/**
 * Random programs that Linux accepts, as fast-check arbitraries: failures shrink to few instructions.
 *
 * Bounded by construction: jumps go forward, save those of loops that count down from 8 at most; pointers are the context (r6) and the stack, at constant
 * offsets. What is computed ends in the context, so that nothing can be wrong without showing.
 */
import * as fc from 'fast-check'
import * as bpf from '../../lib/isa/build.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { ATOMIC, OPCODES } from '../../lib/isa/opcodes.js'

/** Bytes of the context: input, and what each register held at the end. */
export const INPUT_SIZE = 64
export const CONTEXT_SIZE = INPUT_SIZE + 8 * 8

type Code = readonly Instruction[]

type Statement =
  | { readonly kind: 'straight'; readonly code: Code }
  | {
      readonly kind: 'if'
      readonly jump: Instruction
      readonly taken: Code
      readonly otherwise: Code
      readonly far: boolean
    }
  | { readonly kind: 'loop'; readonly times: number; readonly body: Code; readonly mayGoto: boolean }
  | { readonly kind: 'call'; readonly which: number }

export interface RandomProgram {
  readonly code: Code
  readonly memory: Uint8Array
}

/** Registers for values. r6 is the context, r9 counts loops, r10 the stack. */
const VALUES = [0, 1, 2, 3, 4, 5, 7, 8] as const
/** They don't survive a call. */
const VOLATILE = [1, 2, 3, 4, 5] as const
const CONTEXT = 6
const COUNTER = 9
const STACK = 10
const STACK_BYTES = 64

const register = fc.constantFrom(...VALUES)
const imm = fc.oneof(
  fc.constantFrom(
    0,
    1,
    -1,
    2,
    31,
    32,
    63,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fffffff,
    -0x80000000,
    -2,
  ),
  fc.integer({ min: -0x80000000, max: 0x7fffffff }),
)
const wide = fc.oneof(
  fc.constantFrom(0n, 1n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 0x7fffffffffffffffn, 0x8000000000000000n, 0xffffffffffffffffn),
  fc.bigInt(0n, 0xffffffffffffffffn),
) // prettier-ignore
const width = fc.constantFrom(8, 16, 32, 64)

const SHIFTS: ReadonlySet<string> = new Set(['lsh', 'rsh', 'arsh'])
const DIVISIONS: ReadonlySet<string> = new Set(['div', 'mod'])
const alu = fc
  .record({
    info: fc.constantFrom(...OPCODES.filter(({ kind }) => kind === 'alu')),
    dst: register,
    src: register,
    imm,
    signed: fc.boolean(),
  })
  .map(({ info, dst, src, imm: value, signed }): Code => {
    const offset = DIVISIONS.has(info.name) && signed ? 1 : 0
    if (info.register) return [bpf.instruction(info.opcode, dst, src, offset)]
    // Immediates that Linux refuses: wider shifts, divisions by zero.
    const shift = SHIFTS.has(info.name) ? value & (info.bits - 1) : value
    return [bpf.instruction(info.opcode, dst, 0, offset, DIVISIONS.has(info.name) && value === 0 ? 3 : shift)]
  })
const move = fc.oneof(
  fc.record({ dst: register, src: register, from: fc.constantFrom<0 | 8 | 16 | 32>(0, 8, 16, 32) }).map(({ dst, src, from }): Code => [from === 0 ? bpf.mov64r(dst, src) : bpf.movsx64(dst, src, from)]),
  fc.record({ dst: register, src: register, from: fc.constantFrom<0 | 8 | 16>(0, 8, 16) }).map(({ dst, src, from }): Code => [from === 0 ? bpf.mov32r(dst, src) : bpf.movsx32(dst, src, from)]),
  fc.record({ dst: register, imm, is64: fc.boolean() }).map(({ dst, imm: value, is64 }): Code => [is64 ? bpf.mov64(dst, value) : bpf.mov32(dst, value)]),
  fc.record({ dst: register, value: wide }).map(({ dst, value }): Code => bpf.lddw(dst, value)),
  fc.record({ dst: register, is64: fc.boolean() }).map(({ dst, is64 }): Code => [is64 ? bpf.neg64(dst) : bpf.neg32(dst)]),
  fc.record({ dst: register, name: fc.constantFrom('le' as const, 'be' as const, 'bswap' as const), bits: fc.constantFrom(16 as const, 32 as const, 64 as const) })
    .map(({ dst, name, bits }): Code => [bpf.end(name, dst, bits)]),
) // prettier-ignore

/** An aligned place of the context's input or of the stack, for an access of `bits`. */
const place = fc
  .record({ bits: width, slot: fc.nat(63), onStack: fc.boolean() })
  .map(({ bits, slot, onStack }) => {
    const bytes = bits / 8
    const offset = (slot % (INPUT_SIZE / bytes)) * bytes
    return { bits, base: onStack ? STACK : CONTEXT, offset: onStack ? offset - STACK_BYTES : offset }
  })
const memory = fc
  .record({ place, register, imm, how: fc.constantFrom('load', 'signed', 'store', 'constant') })
  .map(({ place: { bits, base, offset }, register: value, imm: constant, how }): Code => {
    if (how === 'store') return [bpf.storer(bits, base, offset, value)]
    if (how === 'constant') return [bpf.store(bits, base, offset, constant)]
    return [
      how === 'signed' && bits !== 64
        ? bpf.loadSigned(bits, value, base, offset)
        : bpf.load(bits, value, base, offset),
    ]
  })

const READ_MODIFY_WRITE = [ATOMIC.ADD, ATOMIC.OR, ATOMIC.AND, ATOMIC.XOR]
const OPERATIONS = [
  ...READ_MODIFY_WRITE,
  ...READ_MODIFY_WRITE.map((each) => each | ATOMIC.FETCH),
  ATOMIC.XCHG,
  ATOMIC.CMPXCHG,
]
const atomic = fc
  .record({
    operation: fc.constantFrom(...OPERATIONS),
    src: register,
    is64: fc.boolean(),
    slot: fc.nat(7),
  })
  .map(({ operation, src, is64, slot }): Code => {
    const insn = bpf.atomic(is64 ? 64 : 32, operation, STACK, slot * 8 - STACK_BYTES, src)
    // Linux 6.18 forgets to clear the upper half of r0 where its verifier has pruned a path: x86 doesn't do it by itself.
    return operation === ATOMIC.CMPXCHG && !is64 ? [insn, bpf.mov32r(0, 0)] : [insn]
  })

const operation = fc.oneof(
  { weight: 6, arbitrary: alu },
  { weight: 2, arbitrary: move },
  { weight: 3, arbitrary: memory },
  { weight: 1, arbitrary: atomic },
)
const straight = (maxLength: number): fc.Arbitrary<Code> =>
  fc.array(operation, { minLength: 1, maxLength }).map((list) => list.flat())

const jump = fc
  .record({
    info: fc.constantFrom(...OPCODES.filter(({ kind }) => kind === 'jump')),
    dst: register,
    src: register,
    imm,
  })
  .map(({ info, dst, src, imm: value }) =>
    info.register ? bpf.instruction(info.opcode, dst, src) : bpf.instruction(info.opcode, dst, 0, 0, value),
  )
const statement: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 5, arbitrary: straight(6).map((code) => ({ kind: 'straight' as const, code })) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('if' as const), jump, taken: straight(4), otherwise: straight(4), far: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('loop' as const), times: fc.integer({ min: 1, max: 8 }), body: straight(4), mayGoto: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('call' as const), which: fc.nat(1) }) },
) // prettier-ignore

export const randomProgram: fc.Arbitrary<RandomProgram> = fc
  .record({
    main: fc.array(statement, { minLength: 1, maxLength: 8 }),
    functions: fc.array(fc.array(statement, { minLength: 1, maxLength: 3 }), { maxLength: 2 }),
    input: fc.uint8Array({ minLength: INPUT_SIZE, maxLength: INPUT_SIZE }),
  })
  .map(({ main, functions, input }) => {
    const bytes = new Uint8Array(CONTEXT_SIZE)
    bytes.set(input)
    return { code: layOut(main, functions), memory: bytes }
  })

/** The entry, then the functions. Functions call none, so that the depth is known. */
function layOut(main: readonly Statement[], functions: readonly (readonly Statement[])[]): Code {
  const flat = functions.map((body) => [
    ...prologue(),
    ...body.flatMap((each) => (each.kind === 'call' ? [] : plain(each))),
    bpf.exit(),
  ])
  const sizes = flat.map((code) => code.length)
  const calls: { readonly at: number; readonly which: number }[] = []
  const code: Instruction[] = [...prologue()]
  for (const each of main) {
    if (each.kind !== 'call') code.push(...plain(each))
    else if (flat.length > 0) {
      code.push(bpf.mov64r(1, CONTEXT))
      calls.push({ at: code.length, which: each.which % flat.length })
      code.push(bpf.callLocal(0))
      VOLATILE.forEach((register, i) => code.push(bpf.load(64, register, CONTEXT, i * 8)))
    }
  }
  VALUES.forEach((register, i) => code.push(bpf.storer(64, CONTEXT, INPUT_SIZE + i * 8, register)))
  code.push(bpf.exit())
  const used = flat.filter((_body, i) => calls.some(({ which }) => which === i))
  for (const { at, which } of calls) {
    // Linux wants no function that nobody calls.
    const before = sizes
      .slice(0, which)
      .reduce((sum, size, i) => sum + (calls.some((call) => call.which === i) ? size : 0), 0)
    code[at] = bpf.callLocal(code.length + before - at - 1)
  }
  return [...code, ...used.flat()]
}

/** Gives every register and all of the stack a value. */
function prologue(): Code {
  return [
    bpf.mov64r(CONTEXT, 1),
    ...VALUES.map((register, i) => bpf.load(64, register, CONTEXT, i * 8)),
    ...Array.from({ length: STACK_BYTES / 8 }, (_, i) =>
      bpf.storer(64, STACK, i * 8 - STACK_BYTES, VALUES[i] ?? 0),
    ),
  ]
}

function plain(each: Exclude<Statement, { kind: 'call' }>): Code {
  switch (each.kind) {
    case 'straight':
      return each.code
    case 'if': {
      const { taken, otherwise, far } = each
      const over = far ? bpf.ja32(otherwise.length) : bpf.ja(otherwise.length)
      return [{ ...each.jump, offset: taken.length + 1 }, ...taken, over, ...otherwise]
    }
    case 'loop': {
      const { times, mayGoto } = each
      const body = [...(mayGoto ? [bpf.mayGoto(each.body.length + 2)] : []), ...each.body]
      return [
        bpf.mov64(COUNTER, times),
        ...body,
        bpf.alu64('sub', COUNTER, 1),
        bpf.jump('jne', COUNTER, 0, -body.length - 2),
      ]
    }
  }
}
