import { describe, expect, it } from 'vitest'
import * as bpf from '../../lib/isa/build.js'
import { disassemble, disassembleProgram } from '../../lib/isa/disassemble.js'
import { decode, encode } from '../../lib/isa/instruction.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { ATOMIC, OPCODES, opcodeInfo } from '../../lib/isa/opcodes.js'
import { HELPERS, helperAllowed, helperById, helperByName } from '../../lib/linux/helpers.js'

describe('encoding', () => {
  it('lays a slot out as RFC 9669 does', () => {
    expect([...encode([bpf.instruction(0x7b, 10, 3, -16, 0x01020304)])]).toEqual([
      0x7b, 0x3a, 0xf0, 0xff, 4, 3, 2, 1,
    ])
  })

  it('is undone by decoding, for all opcodes and extreme fields', () => {
    const code = OPCODES.flatMap(({ opcode }) => [
      bpf.instruction(opcode, 15, 15, -32768, -0x80000000),
      bpf.instruction(opcode, 0, 1, 32767, 0x7fffffff),
    ])
    expect(decode(encode(code))).toEqual(code)
  })

  it('decodes from the middle of a buffer', () => {
    const bytes = new Uint8Array([9, 9, 9, ...encode([bpf.exit()])])
    expect(decode(bytes.subarray(3))).toEqual([bpf.exit()])
  })

  it('refuses half a slot', () => {
    expect(() => decode(new Uint8Array(12))).toThrow(expect.objectContaining({ code: 'BAD_OBJECT' }))
  })
})

describe('the opcode table', () => {
  it('has as many opcodes as Linux 6.18 accepts', () => {
    // 2 × (12 × 2 + neg) ALU, 3 byte orders, 2 × 22 jumps, ja, gotol, may_goto, call, exit, lddw,
    // 6 packet loads, 4 + 3 loads, 2 × 4 stores, 4 atomics
    expect(OPCODES.length).toBe(50 + 3 + 44 + 6 + 6 + 7 + 8 + 4)
  })

  it('knows nothing of opcodes that Linux refuses', () => {
    for (const opcode of [0x00, 0x86, 0x8c, 0x8d, 0x8f, 0x96, 0x99, 0xdf, 0xe4, 0xff])
      expect(opcodeInfo(opcode)).toBeUndefined()
  })
})

describe('disassembly in the syntax of the verifier log', () => {
  const cases: readonly (readonly [string, Instruction])[] = [
    ['r0 = -1', bpf.mov64(0, -1)],
    ['w0 = (s8)w1', bpf.movsx32(0, 1, 8)],
    ['r0 = (s32)r1', bpf.movsx64(0, 1, 32)],
    ['w3 s/= w2', bpf.alu32r('div', 3, 2, 1)],
    ['r3 s>>= 2', bpf.alu64('arsh', 3, 2)],
    ['r1 = -r1', bpf.neg64(1)],
    ['r0 = be16 r0', bpf.end('be', 0, 16)],
    ['r0 = bswap64 r0', bpf.end('bswap', 0, 64)],
    ['r1 = *(u32 *)(r6 +16)', bpf.load(32, 1, 6, 16)],
    ['r1 = *(s16 *)(r6 -2)', bpf.loadSigned(16, 1, 6, -2)],
    ['*(u64 *)(r10 -8) = r1', bpf.storer(64, 10, -8, 1)],
    ['*(u8 *)(r1 +0) = -3', bpf.store(8, 1, 0, -3)],
    ['if r0 == 0x0 goto pc+3', bpf.jump('jeq', 0, 0, 3)],
    ['if w1 s<= w2 goto pc-3', bpf.jump32r('jsle', 1, 2, -3)],
    ['if r0 > 0xffffffff goto pc+1', bpf.jump('jgt', 0, -1, 1)],
    ['goto pc-1', bpf.ja(-1)],
    ['gotol pc+70000', bpf.ja32(70000)],
    ['may_goto pc+1', bpf.mayGoto(1)],
    ['call bpf_map_lookup_elem#1', bpf.call(1)],
    ['call unknown#999', bpf.call(999)],
    ['call pc+4', bpf.callLocal(4)],
    ['exit', bpf.exit()],
    ['lock *(u32 *)(r1 +0) += r2', bpf.atomic(32, ATOMIC.ADD, 1, 0, 2)],
    ['r2 = atomic64_fetch_or((u64 *)(r1 +8), r2)', bpf.atomic(64, ATOMIC.OR | ATOMIC.FETCH, 1, 8, 2)],
    ['r2 = atomic_xchg((u32 *)(r1 +8), r2)', bpf.atomic(32, ATOMIC.XCHG, 1, 8, 2)],
    ['r0 = atomic64_cmpxchg((u64 *)(r1 +8), r0, r2)', bpf.atomic(64, ATOMIC.CMPXCHG, 1, 8, 2)],
    ['r2 = load_acquire((u8 *)(r10 -8))', bpf.atomic(8, ATOMIC.LOAD_ACQUIRE, 2, -8, 10)],
    ['store_release((u64 *)(r10 -8), r2)', bpf.atomic(64, ATOMIC.STORE_RELEASE, 10, -8, 2)],
    ['r0 = *(u16 *)skb[12]', bpf.instruction(0x28, 0, 0, 0, 12)],
    ['BUG_ff', bpf.instruction(0xff)],
  ]
  it.each(cases)('%s', (text, insn) => {
    expect(disassemble(insn)).toBe(text)
  })

  it('joins the halves of a 64-bit immediate and numbers slots', () => {
    expect(disassembleProgram([...bpf.lddw(1, 0x600000005n), bpf.exit()])).toEqual([
      '0: (18) r1 = 0x600000005',
      '2: (95) exit',
    ])
  })
})

describe('the helper table', () => {
  it('has the 211 helpers of Linux 6.18, each with an answer for each of the 32 program types', () => {
    expect(HELPERS.map((h) => h.id)).toEqual(Array.from({ length: 211 }, (_, i) => i + 1))
    for (const helper of HELPERS) expect(helper.programTypes).toMatch(/^[01?]{32}$/)
  })

  it('finds helpers by id and name', () => {
    expect(helperById(130)?.name).toBe('ringbuf_output')
    expect(helperByName('bpf_ringbuf_output')?.id).toBe(130)
    expect(helperByName('get_smp_processor_id')?.id).toBe(8)
    expect(helperById(212)).toBeUndefined()
  })

  it('tells sets, licences and what is not known apart', () => {
    const named = (name: string): NonNullable<ReturnType<typeof helperByName>> => {
      const helper = helperByName(name)
      if (helper === undefined) throw new Error(name)
      return helper
    }
    expect(helperAllowed(named('xdp_adjust_head'), 6)).toBe(true)
    expect(helperAllowed(named('xdp_adjust_head'), 1)).toBe(false)
    expect(helperAllowed(named('get_func_arg'), 26)).toBe(true)
    expect(helperAllowed(named('sk_storage_get'), 29)).toBe(true)
    expect(helperAllowed(named('sk_storage_get'), 28)).toBeUndefined()
    expect(helperAllowed(named('map_lookup_elem'), 29)).toBe(true)
    expect(named('trace_printk').gplOnly).toBe(true)
    expect(named('map_lookup_elem').gplOnly).toBe(false)
  })
})
