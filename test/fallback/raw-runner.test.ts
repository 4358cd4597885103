import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { RawRunner } from '../../lib/fallback/raw-runner.js'
import type { EngineName } from '../../lib/fallback/index.js'
import * as bpf from '../../lib/isa/build.js'
import { assemble, encode } from '../../lib/isa/index.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { ATOMIC } from '../../lib/isa/opcodes.js'
import { code as codeOf } from '../support/errors.js'

const ENGINES: readonly EngineName[] = ['interpreter', 'wasm']

describe.each(ENGINES)('raw programs in the %s', (engine) => {
  const runner = new RawRunner({ engine, verify: false, fuel: 100_000 })
  const r0 = (text: string, memory: readonly number[] = []): bigint =>
    runner.run({ code: encode(assemble(text)), memory: Uint8Array.from(memory) }).r0

  it('start with r1 at the memory and r2 as its length', () => {
    expect(r0('r0 = *(u8 *)(r1 +2)\nr0 += r2\nexit', [1, 2, 3])).toBe(6n)
    expect(r0('r0 = r2\nexit')).toBe(0n)
  })

  it('load from packets in network byte order: LD_ABS and LD_IND', () => {
    const packet = [0x11, 0x22, 0x33, 0x84, 0x55]
    expect(r0('r6 = r1\nr0 = *(u8 *)skb[4]\nexit', packet)).toBe(0x55n)
    expect(r0('r6 = r1\nr0 = *(u16 *)skb[1]\nexit', packet)).toBe(0x2233n)
    expect(r0('r6 = r1\nr7 = 3\nr0 = *(u32 *)skb[r7 + -2]\nexit', packet)).toBe(0x22338455n)
    expect(r0('r6 = r1\nr0 = -1\nr0 = *(u32 *)skb[0]\nexit', [0xff, 0xff, 0xff, 0xff])).toBe(0xffffffffn)
  })

  it('end a function with 0 where the packet has no such bytes', () => {
    for (const load of ['*(u8 *)skb[2]', '*(u16 *)skb[1]', '*(u32 *)skb[-1]'])
      expect(r0(`r6 = r1\nr0 = ${load}\nr0 = 7\nexit`, [1, 2])).toBe(0n)
    expect(r0('r7 = 5\ncall sub\nr0 += r7\nexit\nsub: r6 = r1\nr0 = *(u8 *)skb[9]\nr0 = 7\nexit', [1])).toBe(
      5n,
    )
  })

  it('leave may_goto loops after 8 million passes, and count them for each frame', () => {
    const long = new RawRunner({ engine, verify: false, fuel: 100_000_000 })
    const code = encode(assemble('r0 = 0\nloop: may_goto out\nr0 += 1\ngoto loop\nout: exit'))
    expect(long.run({ code }).r0).toBe(8n * 1024n * 1024n)
  })

  it('know the references of objects as what the loader resolves, and kernel functions as what is not there', () => {
    for (const reference of ['map[id:1]', 'map[id:1][0]+4', 'btf[id:1]', 'map[idx:0]', 'map[idx:0]+4'])
      expect(() => r0(`r1 = ${reference}\nr0 = 0\nexit`)).toThrow(/which the loader resolves/)
    expect(codeOf(() => r0('call kernel-function#7\nexit'))).toBe('UNSUPPORTED')
    expect(codeOf(() => r0('r1 = addr_space_cast(r1, 0, 1)\nexit'))).toBe('UNSUPPORTED')
  })

  it('call the functions whose addresses they load', () => {
    const text = 'r1 = 4\nr2 = subprog[visit]\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\nvisit: r0 = 0\nexit'
    expect(r0(text)).toBe(4n)
  })

  it('extend what a 32-bit cmpxchg finds with zeroes, whether it exchanges or not', () => {
    for (const [expected, left] of [
      [5, 9],
      [6, 5],
    ] as const) {
      const code = encode([
        ...bpf.lddw(0, 0xffff_ffff_0000_0000n | BigInt(expected)),
        bpf.mov64(2, 9),
        bpf.instruction(0xc3, 1, 2, 0, ATOMIC.CMPXCHG),
        bpf.exit(),
      ])
      const { r0: found, memory } = runner.run({ code, memory: Uint8Array.of(5, 0, 0, 0) })
      expect(found).toBe(5n)
      expect([...memory]).toEqual([left, 0, 0, 0])
    }
  })
})

describe('verified raw programs', () => {
  const runner = new RawRunner({ engine: 'wasm', verify: true, fuel: 100_000 })
  const refusal = (code: readonly Instruction[]): unknown => {
    try {
      return runner.run({ code: encode(code) }).r0
    } catch (error) {
      return error instanceof BpfError ? error.verifier : error
    }
  }

  it('are refused when they lead to the slot before the first', () => {
    expect(refusal([bpf.mov64(0, 0), bpf.ja(-3), bpf.exit()])).toMatchObject({
      summary: 'jump out of range from insn 1 to -1',
      insn: 1,
    })
    expect(refusal([bpf.mov64(0, 0), bpf.jump('jeq', 0, 1, -3), bpf.exit()])).toMatchObject({ insn: 1 })
    expect(refusal([bpf.mov64(0, 0), bpf.callLocal(-3), bpf.exit()])).toMatchObject({
      summary: 'call to invalid destination',
      insn: 1,
    })
  })

  it('may lead back to their first', () => {
    expect(refusal([bpf.mov64(0, 0), bpf.jump('jeq', 0, 1, -2), bpf.exit()])).toBe(0n)
  })

  const verdict = (text: string, memory: number): unknown => {
    try {
      return runner.run({ code: encode(assemble(text)), memory: new Uint8Array(memory).fill(7) }).r0
    } catch (error) {
      return error instanceof BpfError ? (error.verifier ?? error.code) : error
    }
  }

  it('access their memory at every offset that is proven to lie within, and no other', () => {
    const last = 'r0 = *(u16 *)(r1 +2)\nexit'
    expect(verdict(last, 4)).toBe(0x707n)
    expect(verdict(last, 3)).toMatchObject({
      summary: 'R1 min value is outside of the allowed memory range',
      insn: 0,
    })
    const indexed = 'r3 = *(u8 *)(r1 +0)\nr3 &= 7\nr1 += r3\nr0 = *(u8 *)(r1 +0)\nexit'
    expect(verdict(indexed, 8)).toBe(7n)
    expect(verdict(indexed, 7)).toMatchObject({ insn: 3 })
    expect(verdict('r0 = 0\nr3 = *(u8 *)(r1 -1)\nexit', 4)).toMatchObject({ insn: 1 })
  })

  it('know their length', () => {
    const sum =
      'r0 = 0\nr2 += r1\nx: r3 = *(u8 *)(r1 +0)\nr0 += r3\nr1 += 1\nr4 = r2\nr4 -= r1\nif r4 != 0 goto x\nexit'
    // The difference of two pointers into memory is any number: the walk doesn't end.
    expect(verdict(sum, 4)).toMatchObject({ summary: expect.stringMatching(/R1 .* range/) })
    const counted = 'r0 = 0\nx: r3 = *(u8 *)(r1 +0)\nr0 += r3\nr1 += 1\nr2 -= 1\nif r2 != 0 goto x\nexit'
    expect(verdict(counted, 4)).toBe(28n)
  })

  it('are refused for what they do on any path, with the instruction that does it', () => {
    expect(verdict('r0 = r3\nexit', 0)).toMatchObject({ summary: 'R3 !read_ok', insn: 0 })
    expect(verdict('r3 = *(u8 *)(r1 +0)\nif r3 == 9 goto x\nr0 = 0\nx: exit', 1)).toMatchObject({
      summary: 'R0 !read_ok',
      insn: 3,
    })
    expect(verdict('r0 = 1\nx: goto x\nexit', 0)).toMatchObject({ summary: 'unreachable insn 2', insn: 2 })
    expect(refusal([bpf.mov64(0, 0), bpf.instruction(0x8d), bpf.exit()])).toMatchObject({
      summary: 'unknown opcode 8d',
      insn: 1,
    })
    expect(verdict('call bpf_xdp_adjust_head\nexit', 0)).toMatchObject({
      summary: 'program of this type cannot use helper bpf_xdp_adjust_head#44',
    })
    expect(verdict('r0 = 0\nr1 = addr_space_cast(r1, 0, 1)\nexit', 0)).toMatchObject({ insn: 1 })
  })
})
