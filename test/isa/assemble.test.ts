import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assemble, AssemblyError, disassemble, disassembleProgram, encode } from '../../lib/isa/index.js'
import * as bpf from '../../lib/isa/build.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { ATOMIC, ATOMIC_OPERATIONS, FIELD, MOV_OFFSET, OPCODES, PSEUDO_LDDW } from '../../lib/isa/opcodes.js'
import type { OpcodeInfo } from '../../lib/isa/opcodes.js'

const register = fc.integer({ min: 0, max: 10 })
const int32 = fc.oneof(
  fc.constantFrom(0, 1, -1, 0x7fffffff, -0x80000000),
  fc.integer({ min: -0x80000000, max: 0x7fffffff }),
)
const int16 = fc.oneof(fc.constantFrom(0, 1, -1, 0x7fff, -0x8000), fc.integer({ min: -0x8000, max: 0x7fff }))
const fields = fc.record({
  dst: register,
  src: register,
  offset: int16,
  imm: int32,
  high: int32,
  pick: fc.nat(1000),
})
type Fields = typeof fields extends fc.Arbitrary<infer T> ? T : never

const pickFrom = <T>(list: readonly T[], pick: number): T | undefined => list[pick % list.length]

/** An instruction that Linux's encoding checks accept: fields that an opcode doesn't use are zero. */
function validInstruction(
  info: OpcodeInfo,
  { dst, src, offset, imm, high, pick }: Fields,
): readonly Instruction[] {
  const plain = bpf.instruction(
    info.opcode,
    (info.fields & FIELD.DST) === 0 ? 0 : dst,
    (info.fields & FIELD.SRC) === 0 ? 0 : src,
    (info.fields & FIELD.OFFSET) === 0 ? 0 : offset,
    (info.fields & FIELD.IMM) === 0 ? 0 : imm,
  )
  switch (info.kind) {
    case 'alu':
      return [{ ...plain, offset: info.fields & FIELD.OFFSET ? pick & 1 : 0 }]
    case 'mov': {
      const extended =
        info.bits === 64 ? [0, 8, 16, 32, MOV_OFFSET.ADDR_SPACE_CAST, MOV_OFFSET.PERCPU] : [0, 8, 16]
      const meaning = info.register ? (pickFrom(extended, pick) ?? 0) : 0
      return [
        {
          ...plain,
          offset: meaning,
          imm: meaning === MOV_OFFSET.ADDR_SPACE_CAST || !info.register ? imm : 0,
        },
      ]
    }
    case 'end':
    case 'bswap':
      return [{ ...plain, imm: pickFrom([16, 32, 64], pick) ?? 16 }]
    case 'call':
      return [{ ...plain, src: pick % 3, offset: pick % 3 === 2 ? offset : 0 }]
    case 'lddw': {
      const kind = pickFrom(Object.values(PSEUDO_LDDW), pick) ?? 0
      const narrow: readonly number[] = [PSEUDO_LDDW.MAP_FD, PSEUDO_LDDW.MAP_IDX, PSEUDO_LDDW.FUNC]
      return [{ ...plain, src: kind }, bpf.instruction(0, 0, 0, 0, narrow.includes(kind) ? 0 : high)]
    }
    case 'atomic': {
      const ordered: readonly number[] = [ATOMIC.LOAD_ACQUIRE, ATOMIC.STORE_RELEASE]
      const all = [...ATOMIC_OPERATIONS.keys()].filter(
        (operation) => info.bits >= 32 || ordered.includes(operation),
      )
      return [{ ...plain, imm: pickFrom(all, pick) ?? 0 }]
    }
    default:
      return [plain]
  }
}

/** What assembling throws, if it does. */
function refusalOf(text: string): unknown {
  try {
    encode(assemble(text))
    return undefined
  } catch (error) {
    return error
  }
}

describe('assembling what was disassembled', () => {
  it.each(OPCODES.map((info) => [`${info.name} ${info.opcode.toString(16)}`, info] as const))(
    '%s',
    (_name, info) => {
      fc.assert(
        fc.property(fields, (values) => {
          const code = validInstruction(info, values)
          const [first = bpf.exit(), second] = code
          const text = disassemble(first, second)
          expect([text, assemble(text)]).toEqual([text, code])
        }),
        { numRuns: 300, seed: 9669 },
      )
    },
  )

  it('takes whole programs, with the numbers of a log', () => {
    const code = [bpf.mov64(0, 1), ...bpf.lddw(1, 0x1234567890n), bpf.alu64r('add', 0, 1), bpf.exit()]
    expect(assemble(disassembleProgram(code).join('\n'))).toEqual(code)
  })

  it('never fails with anything but an AssemblyError', () => {
    const token = fc.constantFrom(
      'r0', 'w1', 'r10', 'r11', '=', '+=', 's/=', '-', '5', '0x5', 'll', '*', '(', ')', 'u8', 's32', 'u64', '[', ']', 'map', 'id', ':', 'if', 'goto', 'pc', '+3',
      'call', '#', 'exit', 'lock', 'atomic_xchg', 'load_acquire', ',', 'x:', ';', '//', 'skb', 'subprog', 'btf', 'of', '&', 'le16', '\n', '99999999999999999999',
    ) // prettier-ignore
    fc.assert(
      fc.property(fc.array(fc.oneof(token, fc.string({ maxLength: 3 })), { maxLength: 12 }), (tokens) => {
        expect(refusalOf(tokens.join(' '))).toBeOneOf([undefined, expect.any(AssemblyError)])
      }),
      { numRuns: 5000, seed: 7 },
    )
  })
})

describe('the assembler', () => {
  it('resolves labels, before and behind', () => {
    expect(
      assemble(`
        r0 = 0            ; counts
      again:  r0 += 1
        if r0 s< 10 goto again
        r1 = 5 ll         // two slots
        if w0 & 0x1 goto out
        call helper_like
        gotol out
      helper_like:
        r2 = subprog[again]
      out: exit
      `),
    ).toEqual([
      bpf.mov64(0, 0),
      bpf.alu64('add', 0, 1),
      bpf.jump('jslt', 0, 10, -2),
      ...bpf.lddw(1, 5n),
      bpf.jump32('jset', 0, 1, 4),
      bpf.callLocal(1),
      bpf.ja32(2),
      bpf.instruction(0x18, 2, PSEUDO_LDDW.FUNC, 0, -8),
      bpf.instruction(0),
      bpf.exit(),
    ])
  })

  it('takes helpers by name and by number', () => {
    expect(
      assemble('call bpf_map_lookup_elem#1\ncall bpf_map_lookup_elem\ncall map_lookup_elem\ncall 1'),
    ).toEqual(Array.from({ length: 4 }, () => bpf.call(1)))
  })

  it('tells a 64-bit load from a move by the way a number is written, as Linux prints them', () => {
    expect(assemble('r1 = 5')).toEqual([bpf.mov64(1, 5)])
    expect(assemble('r1 = 0x5')).toEqual(bpf.lddw(1, 5n))
    expect(assemble('w1 = 0x5')).toEqual([bpf.mov32(1, 5)])
    expect(assemble('r1 = -1 ll')).toEqual(bpf.lddw(1, -1n))
  })

  it.each([
    ['r0 = 1\n  frob r1', 2, 3, 'an instruction', "'frob'"],
    ['r0 += w1', 1, 7, '64-bit register', "'w1'"],
    ['r0 = 4294967296', 1, 6, 'a number of 32 bits', "'4294967296'"],
    ['r0 =', 1, 5, 'a value', 'the end of the line'],
    ['r1 = *(u33 *)(r2 +0)', 1, 8, 'one of u8, u16, u32, u64, s8, s16, s32', "'u33'"],
    ['r1 = *(u32 *)(r2 +40000)', 1, 18, 'an offset from -32768 to 32767', "'+'"],
    ['r1 = *(u32 *)(r2 +0', 1, 20, "')'", 'the end of the line'],
    ['if r1 = 3 goto pc+1', 1, 7, 'a comparison', "'='"],
    ['if r1 == 3 goto nowhere', 1, 17, 'a label that is defined', "'nowhere'"],
    ['call frob', 1, 6, 'a helper such as', "'frob'"],
    ['lock *(u8 *)(r1 +0) += r2', 1, 8, 'one of u32, u64', "'u8'"],
    ['r2 = atomic_xchg((u32 *)(r1 +0), r3)', 1, 34, 'r2, where the old value goes', "'r3'"],
    ['r1 = be16 r2', 1, 11, 'r1: bytes are swapped in place', "'r2'"],
    ['r1 = -r2', 1, 6, 'the negation of the same register', "'-'"],
    ['exit exit', 1, 6, 'the end of the line', "'exit'"],
    ['x:\nx: exit', 2, 1, 'a label other than', "'x'"],
    ['r11 = 1', 1, 1, 'an instruction', "'r11'"],
  ])('refuses %j, saying where and what it expected', (text, line, column, expected, found) => {
    const error = refusalOf(text)
    expect(error).toMatchObject({
      code: 'BAD_ASSEMBLY',
      line,
      column,
      expected: expect.stringContaining(expected),
    })
    expect((error as Error).message).toContain(`line ${line}, column ${column}: expected `)
    expect((error as Error).message).toContain(`found ${found}`)
  })

  it('refuses a label that is too far away, and says what reaches it', () => {
    const far = `goto end\n${'r0 = 0\n'.repeat(40_000)}end: exit`
    expect(() => assemble(far)).toThrow(/line 1, column 6: .*'gotol' reaches farther/)
    expect(assemble(far.replace('goto', 'gotol'))[0]).toEqual(bpf.ja32(40_000))
  })
})
