/** What the first verifier passes refuse; wordings and errnos are those that Linux 6.18 gave for these programs. */
import { describe, expect, it } from 'vitest'
import { verifyStructure } from '../../lib/fallback/verifier/structure.js'
import * as bpf from '../../lib/isa/build.js'
import { encode } from '../../lib/isa/instruction.js'
import type { Instruction } from '../../lib/isa/instruction.js'

const SOCKET_FILTER = 1
const XDP = 6
const STRUCT_OPS = 27
const { instruction: raw, mov64, exit, ja, jump, callLocal } = bpf
const ok = mov64(0, 0)

interface Options {
  readonly programType?: number
  readonly license?: string
}

function verify(
  code: readonly Instruction[],
  { programType = SOCKET_FILTER, license = 'GPL' }: Options = {},
): void {
  const lines = [{ offset: 0, file: 'a.bpf.c', line: 3, column: 1, text: 'int f(void)' }]
  verifyStructure({ name: 'f', code: encode(code), functions: [], programType, license, lines })
}

function verdict(
  code: readonly Instruction[],
  options?: Options,
): readonly [string, number | undefined, number | undefined] | 'accepted' {
  try {
    verify(code, options)
    return 'accepted'
  } catch (error) {
    const {
      code: kind,
      verifier,
      errno,
      message,
    } = error as {
      code: string
      verifier?: { summary: string; insn?: number }
      errno?: number
      message: string
    }
    if (kind !== 'VERIFIER_REJECTED' || verifier === undefined) return [message, errno, undefined]
    return [verifier.summary, errno, verifier.insn]
  }
}

const chain = (calls: number): Instruction[] => [
  ...Array.from({ length: calls }, () => [callLocal(1), exit()]).flat(),
  ok,
  exit(),
]

type Case = readonly [summary: string, errno: number, insn: number | undefined, code: readonly Instruction[]]

describe('form of the program', () => {
  const cases: readonly Case[] = [
    ['unknown opcode 00', 22, 0, [raw(0), ok, exit()]],
    ['unknown opcode 8d', 22, 1, [ok, raw(0x8d), exit()]],
    ['unknown opcode 8f', 22, 2, [ok, jump('jeq', 0, 0, 1), raw(0x8f), exit()]],
    ['BPF_LDX uses reserved fields', 22, 0, [raw(0x01), ok, exit()]],
    ['BPF_LDX uses reserved fields', 22, 0, [raw(0x79, 0, 1, 0, 1), exit()]],
    ['unknown opcode 99', 22, 0, [raw(0x99, 0, 1), exit()]],
    ['invalid bpf_ld_imm64 insn', 22, 0, [raw(0x18), ok, exit()]],
    ['invalid bpf_ld_imm64 insn', 22, 0, [raw(0x18), raw(0, 1), ok, exit()]],
    ['unrecognized bpf_ld_imm64 insn', 22, 0, [raw(0x18, 0, 7), raw(0), exit()]],
    ['jump out of range from insn 1 to 102', 22, 1, [ok, jump('jeq', 0, 0, 100), exit()]],
    ['jump out of range from insn 0 to 70001', 22, 0, [bpf.ja32(70000), ok, exit()]],
    [
      'jump out of range from insn 2 to 4',
      22,
      2,
      [ok, callLocal(2), jump('jeq', 0, 0, 1), exit(), ok, exit()],
    ],
    ['last insn is not an exit or jmp', 22, 0, [ok]],
    ['last insn is not an exit or jmp', 22, 2, [ok, exit(), ok]],
    ['last insn is not an exit or jmp', 22, 1, [callLocal(1), mov64(1, 0), ok, exit()]],
    ['call to invalid destination', 22, 0, [callLocal(100), exit()]],
    ['call to invalid destination', 22, 0, [...bpf.lddw(1, 999n, 4), ok, exit()]],
    ['unreachable insn 2', 22, 2, [ok, exit(), ok, exit()]],
    ['unreachable insn 2', 22, 2, [ok, ja(1), ...bpf.lddw(0, 0n), exit()]],
    ['jump into the middle of ldimm64 insn 2', 22, 2, [ok, jump('jeq', 0, 0, 1), ...bpf.lddw(0, 0n), exit()]],
  ]
  it.each(cases)('%s', (summary, errno, insn, code) => {
    expect(verdict(code)).toEqual([summary, errno, insn])
  })

  it('refuses no instructions and more than a million', () => {
    expect(verdict([])).toEqual([expect.stringContaining('no instructions'), 7, undefined])
    const long = Array.from({ length: 1_000_001 }, () => ok)
    expect(verdict(long)).toEqual([expect.stringContaining('1000001 instructions'), 7, undefined])
  })
})

describe('single instructions', () => {
  const cases: readonly Case[] = [
    ['BPF_MOV uses reserved fields', 22, 0, [raw(0xb7, 0, 1), exit()]],
    ['BPF_MOV uses reserved fields', 22, 0, [raw(0xbf, 0, 1, 7), exit()]],
    ['BPF_MOV uses reserved fields', 22, 0, [raw(0xbc, 0, 1, 32), exit()]],
    ['BPF_ALU uses reserved fields', 22, 1, [ok, raw(0x07, 0, 0, 1, 1), exit()]],
    ['BPF_ALU uses reserved fields', 22, 1, [ok, raw(0x37, 0, 0, 2, 1), exit()]],
    ['BPF_NEG uses reserved fields', 22, 1, [ok, raw(0x87, 0, 0, 0, 1), exit()]],
    ['BPF_END uses reserved fields', 22, 1, [ok, raw(0xd4, 0, 0, 0, 17), exit()]],
    ['BPF_END uses reserved fields', 22, 1, [ok, raw(0xd7, 0, 0, 0, 8), exit()]],
    ['BPF_ST uses reserved fields', 22, 0, [raw(0x7a, 10, 1, -8), ok, exit()]],
    ['BPF_STX uses reserved fields', 22, 0, [raw(0x7b, 10, 1, -8, 1), ok, exit()]],
    ['BPF_JA uses reserved fields', 22, 0, [raw(0x05, 0, 0, 0, 1), ok, exit()]],
    ['BPF_JA uses reserved fields', 22, 0, [raw(0x06, 0, 0, 1, 0), ok, exit()]],
    ['BPF_JMP/JMP32 uses reserved fields', 22, 1, [ok, raw(0x1d, 0, 0, 0, 1), exit()]],
    ['BPF_CALL uses reserved fields', 22, 0, [raw(0x85, 1, 0, 0, 5), exit()]],
    ['BPF_CALL uses reserved fields', 22, 0, [raw(0x85, 0, 3, 0, 5), exit()]],
    ['BPF_EXIT uses reserved fields', 22, 1, [ok, raw(0x95, 0, 0, 0, 1)]],
    ['BPF_LD_IMM64 uses reserved fields', 22, 0, [raw(0x18, 0, 0, 1), raw(0), exit()]],
    ['BPF_LD_[ABS|IND] uses reserved fields', 22, 1, [bpf.mov64r(6, 1), raw(0x20, 1), exit()]],
    ['invalid may_goto imm 1', 22, 0, [raw(0xe5, 0, 0, 0, 1), ok, exit()]],
    ['div by zero', 22, 1, [ok, bpf.alu64('div', 0, 0), exit()]],
    ['div by zero', 22, 1, [ok, bpf.alu32('mod', 0, 0), exit()]],
    ['invalid shift 64', 22, 1, [ok, bpf.alu64('lsh', 0, 64), exit()]],
    ['invalid shift -1', 22, 1, [ok, bpf.alu64('rsh', 0, -1), exit()]],
    ['invalid shift 32', 22, 1, [ok, bpf.alu32('arsh', 0, 32), exit()]],
    ['R11 is invalid', 22, 0, [mov64(11, 0), ok, exit()]],
    ['R12 is invalid', 22, 1, [ok, bpf.alu64r('add', 0, 12), exit()]],
    ['frame pointer is read only', 13, 0, [mov64(10, 0), ok, exit()]],
    ['frame pointer is read only', 13, 0, [bpf.load(32, 10, 1, 0), ok, exit()]],
    ['R2 !read_ok', 13, 0, [bpf.mov64r(0, 2), exit()]],
    ['R0 !read_ok', 13, 0, [exit()]],
    ['R1 !read_ok', 13, 1, [bpf.call(5), bpf.mov64r(0, 1), exit()]],
    ['invalid write to stack R10 off=-520 size=8', 13, 0, [bpf.store(64, 10, -520, 0), ok, exit()]],
    ['invalid read from stack R10 off=0 size=8', 13, 0, [bpf.load(64, 0, 10, 0), exit()]],
    ['misaligned stack access off 0+0+-12 size 8', 13, 0, [bpf.store(64, 10, -12, 0), ok, exit()]],
    ['BPF_ATOMIC uses invalid atomic opcode 70', 22, 1, [ok, bpf.atomic(64, 0x70, 10, -8, 0), exit()]],
    ['BPF_ATOMIC uses invalid atomic opcode f0', 22, 1, [ok, bpf.atomic(64, 0xf0, 10, -8, 0), exit()]],
    ['invalid atomic operand size', 22, 1, [ok, bpf.atomic(8, 0, 10, -8, 0), exit()]],
    ['invalid func unknown#999', 22, 0, [bpf.call(999), exit()]],
    ['invalid func unknown#195896080', 22, 0, [bpf.call(195896080), exit()]],
    ['program of this type cannot use helper bpf_unspec#0', 22, 0, [bpf.call(0), exit()]],
    ['program of this type cannot use helper bpf_xdp_adjust_head#44', 22, 0, [bpf.call(44), exit()]],
    ['the call stack of 9 frames is too deep', 7, 14, chain(8)],
    ['the call stack of 9 frames is too deep', 7, 0, [callLocal(-1), ok, exit()]],
  ]
  it.each(cases)('%s', (summary, errno, insn, code) => {
    expect(verdict(code)).toEqual([summary, errno, insn])
  })

  it('allows packet access to some program types only', () => {
    const code = [bpf.mov64r(6, 1), raw(0x20), exit()]
    expect(verdict(code)).toBe('accepted')
    expect(verdict(code, { programType: XDP })[0]).toBe(
      'BPF_LD_[ABS|IND] instructions not allowed for this program type',
    )
  })

  it('asks for the licence where a helper is GPL-only', () => {
    const code = [bpf.call(6), exit()]
    for (const license of [
      'GPL',
      'GPL v2',
      'GPL and additional rights',
      'Dual BSD/GPL',
      'Dual MIT/GPL',
      'Dual MPL/GPL',
    ])
      expect(verdict(code, { license })).toBe('accepted')
    for (const license of ['MIT', 'GPLv2', 'gpl', 'GPL-2.0', '', 'Proprietary'])
      expect(verdict(code, { license })).toEqual([
        'cannot call GPL-restricted function from non-GPL compatible program',
        22,
        0,
      ])
  })

  it('refuses bpf_get_func_ip where there is no function, with its own errno', () => {
    expect(verdict([bpf.call(173), exit()], { programType: 5 })).toEqual([
      'func bpf_get_func_ip#173 not supported for program type 5',
      524,
      0,
    ])
  })

  it('says so where it cannot know', () => {
    expect(verdict([bpf.call(107), exit()], { programType: STRUCT_OPS })[0]).toContain(
      'UNSUPPORTED: helper bpf_sk_storage_get#107',
    )
    expect(verdict([bpf.call(1), exit()], { programType: STRUCT_OPS })).toBe('accepted')
    expect(verdict([raw(0x85, 0, 2, 0, 5), exit()])[0]).toContain('UNSUPPORTED: kernel function (kfunc)')
    expect(verdict([raw(0xbf, 0, 1, 1, 1), exit()])[0]).toContain('UNSUPPORTED: addr_space_cast')
  })
})

describe('what Linux accepts', () => {
  const accepted: readonly (readonly [string, readonly Instruction[]])[] = [
    ['the smallest program', [ok, exit()]],
    ['eight frames', chain(7)],
    ['reads of the stack that nobody wrote', [bpf.load(64, 0, 10, -8), exit()]],
    ['signed division', [ok, bpf.alu64('div', 0, 3, 1), exit()]],
    ['byte-sized load-acquire', [ok, bpf.atomic(8, 0x100, 0, -8, 10), exit()]],
    [
      'cmpxchg with r10 as the base',
      [ok, bpf.storer(64, 10, -8, 0), bpf.atomic(64, 0xf1, 10, -8, 0), exit()],
    ],
    ['unresolved CO-RE calls in a dead branch', [ok, jump('jeq', 0, 0, 1), bpf.call(195896080), exit()]],
    ['reserved fields in a dead branch', [ok, jump('jeq', 0, 0, 1), raw(0xb7, 0, 1), exit()]],
    [
      'registers that do not exist in a dead branch',
      [mov64(0, 6), bpf.alu64('and', 0, 1), jump('jne', 0, 1, 1), mov64(11, 0), exit()],
    ],
    ['an exit offset', [ok, raw(0x95, 0, 0, 1)]],
    ['callbacks by address', [...bpf.lddw(1, 3n, 4), ok, exit(), ok, exit()]],
  ]
  it.each(accepted)('accepts %s', (_what, code) => {
    expect(verdict(code)).toBe('accepted')
  })

  it('leaves to the later passes what a value decides', () => {
    // Linux may know from ranges that the branch is dead: the frame pointer is written behind an undecided jump.
    const code = [bpf.call(7), jump('jgt', 0, 5, 1), mov64(10, 0), ok, exit()]
    expect(verdict(code)).toBe('accepted')
  })
})

it('reports log, instruction, source line and what to do', () => {
  let report: unknown
  try {
    verify([bpf.call(6), exit()], { license: 'MIT' })
  } catch (error) {
    report = error
  }
  expect(report).toMatchObject({
    code: 'VERIFIER_REJECTED',
    call: 'bpf(BPF_PROG_LOAD)',
    hint: expect.stringContaining('SEC("license"), not "MIT"'),
    verifier: {
      program: 'f',
      insn: 0,
      source: { file: 'a.bpf.c', line: 3 },
      log:
        '; int f(void) @ a.bpf.c:3\n0: (85) call bpf_trace_printk#6\n' +
        'cannot call GPL-restricted function from non-GPL compatible program\n',
    },
  })
})
