/** `verify: false`: what no verifier lets pass ends in a trap that says where. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { createKernel, type EngineName } from '../../lib/fallback/index.js'
import { RawRunner } from '../../lib/fallback/raw-runner.js'
import { assemble, encode } from '../../lib/isa/index.js'
import type { BpfObject } from '../../lib/object.js'
import { open } from '../../lib/open.js'
import { code } from '../support/errors.js'
import { objectUrl } from '../support/fallback.js'

const ENGINES: readonly EngineName[] = ['interpreter', 'wasm']

/** Where allocations lie is the kernel's business: of those, any address will do. */
function isWhereTold(address: bigint | undefined, told: bigint | undefined): boolean {
  return address !== undefined && (told === undefined || address === told)
}

/** What a run comes to: bytes that are left, or an error. */
function outcomeOf(run: () => { readonly memory: Uint8Array }): unknown {
  try {
    return run().memory.length
  } catch (error) {
    return error instanceof BpfError ? 'BpfError' : error
  }
}

function answerOf(run: () => bigint): string {
  try {
    return String(run())
  } catch (error) {
    if (error instanceof BpfError) return error.message
    throw error
  }
}

describe.each(ENGINES)('the sandbox of the %s', (engine) => {
  const load = (): BpfObject =>
    open(objectUrl('test/unverified'), {
      kernel: createKernel({ engine, verify: false, fuel: 100_000 }),
    }).load()

  function trapOf(object: BpfObject, program: string, number: bigint): BpfError {
    try {
      object.program(program).run({ ctx: new Uint8Array(BigUint64Array.of(number).buffer) })
    } catch (error) {
      if (error instanceof BpfError) return error
      throw error
    }
    throw new Error(`${program} ended well`)
  }

  it.each([
    ['follows_number', 0n, 'null pointer', 'writes where it was told', 0n],
    ['follows_number', 0x10n, 'null pointer', 'writes where it was told', 0x10n],
    ['follows_number', 0xdead_beef_0000n, 'not a pointer', 'writes where it was told', 0xdead_beef_0000n],
    ['follows_number', 0xffff_8880_0000_0008n, '', 'writes where it was told', 0xffff_8880_0000_0008n],
    [
      'follows_number',
      0xffff_8880_ffff_fff8n,
      'out of bounds',
      'writes where it was told',
      0xffff_8880_ffff_fff8n,
    ],
    ['unchecked_lookup', 9n, 'null pointer', 'never asks', 0n],
    ['out_of_bounds', 1n, '', 'steps over the end', undefined],
    ['out_of_bounds', -1n, '', 'steps over the end', undefined],
    ['out_of_bounds', 1n << 40n, '', 'steps over the end', undefined],
  ] as const)('stops %s with %s: %s', (program, number, problem, line, address) => {
    using object = load()
    const error = trapOf(object, program, number)
    expect(error.code).toBe('TRAP')
    expect(error.message).toContain(problem)
    expect(error.trap).toMatchObject({
      program,
      insn: expect.any(Number),
      source: { file: expect.stringContaining('unverified.bpf.c'), text: expect.stringContaining(line) },
      address: expect.any(BigInt),
    })
    expect(isWhereTold(error.trap?.address, address)).toBe(true)
  })

  it('stops what turns round for ever, and names the line', () => {
    using object = load()
    const error = trapOf(object, 'for_ever', 1n)
    expect([error.code, error.message]).toEqual(['TRAP', expect.stringContaining('ran out of fuel')])
    expect(error.trap?.source?.file).toContain('unverified.bpf.c')
  })

  it('stops helpers that are given what is no pointer', () => {
    using object = load()
    expect(trapOf(object, 'bad_key', 7n)).toMatchObject({
      code: 'TRAP',
      message: expect.stringContaining('r2'),
    })
  })

  it.each([
    [0, /^5$/],
    [1, /insn 3.*jump into the middle of a 64-bit immediate load/],
    [2, /^1$/],
  ])('stops jumps into the middle of an instruction, and no others: pc+%s', (distance, result) => {
    const text = `r0 = 1\nif r0 != 0 goto pc+${distance}\nr0 = 5 ll\nexit`
    const runner = new RawRunner({ engine, verify: false, fuel: 1000 })
    expect(answerOf(() => runner.run({ code: encode(assemble(text)) }).r0)).toMatch(result)
  })

  /** Functions that call one another, each with a stack of its own or without any; the last one may call the first again. */
  function chain(length: number, usesStack: boolean, last = 'r0 = 1'): Uint8Array {
    const store = usesStack ? '*(u64 *)(r10 -8) = 1' : 'r3 = 1'
    const load = usesStack ? 'r1 = *(u64 *)(r10 -8)\nr0 += r1' : 'r0 += 1'
    const calling = Array.from(
      { length: length - 1 },
      (_unused, i) => `f${i}: ${store}\ncall f${i + 1}\n${load}\nexit`,
    )
    return encode(assemble([...calling, `f${length - 1}: ${store}\n${last}\nexit`].join('\n')))
  }

  it.each([
    [8, true, /^8$/],
    [8, false, /^8$/],
    [9, true, /insn 36: call .*more than 8 call frames/],
    [9, false, /insn 29: call .*more than 8 call frames/],
    [15, true, /insn 36: call .*more than 8 call frames/],
    [40, false, /insn 29: call .*more than 8 call frames/],
  ])('stops chains of calls that are too long: %s, with stacks: %s', (length, usesStack, result) => {
    const runner = new RawRunner({ engine, verify: false, fuel: 10_000 })
    expect(answerOf(() => runner.run({ code: chain(length, usesStack) }).r0)).toMatch(result)
  })

  it.each([true, false])('stops recursions, with stacks: %s', (usesStack) => {
    const runner = new RawRunner({ engine, verify: false, fuel: 10_000 })
    for (const length of [2, 3, 7]) {
      const code = chain(length, usesStack, 'call f1\nr0 = 1')
      expect(answerOf(() => runner.run({ code }).r0)).toMatch(/call .*more than 8 call frames/)
    }
  })

  it('stops callbacks of callbacks of callbacks', () => {
    const runner = new RawRunner({ engine, verify: false, fuel: 10_000 })
    const code = encode(
      assemble(
        'call body\nexit\nbody: r1 = 2\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall bpf_loop\nr0 = 0\nexit',
      ),
    )
    expect(answerOf(() => runner.run({ code }).r0)).toMatch(
      /insn 7: call bpf_loop#181: more than 8 call frames/,
    )
  })

  it('goes on after a trap', () => {
    using object = load()
    trapOf(object, 'unchecked_lookup', 9n)
    expect(object.program('unchecked_lookup').run({ ctx: new Uint8Array(8) }).retval).toBe(0)
  })

  it('runs any bytes to an end: a result, or a BpfError', () => {
    const runner = new RawRunner({ engine, verify: false, fuel: 20_000 })
    const opcodes = fc.constantFrom(
      0x07,
      0x0f,
      0xb7,
      0xbf,
      0x18,
      0x61,
      0x79,
      0x7b,
      0x63,
      0x72,
      0xdb,
      0x85,
      0x95,
      0x05,
      0x06,
      0x15,
      0x1d,
      0xe5,
      0x20,
      0x48,
      0x8d,
      0xd7,
    )
    const slot = fc
      .record({
        opcode: fc.oneof(opcodes, fc.nat(255)),
        registers: fc.nat(255),
        offset: fc.integer({ min: -8, max: 8 }),
        imm: fc.oneof(fc.integer({ min: -4, max: 16 }), fc.integer()),
      })
      .map(({ opcode, registers, offset, imm }) => [
        opcode,
        registers,
        offset & 255,
        (offset >> 8) & 255,
        imm & 255,
        (imm >> 8) & 255,
        (imm >> 16) & 255,
        (imm >> 24) & 255,
      ])
    fc.assert(
      fc.property(fc.array(slot, { maxLength: 24 }), (slots) => {
        const memory = new Uint8Array(16)
        const code = Uint8Array.from(slots.flat())
        expect([16, 'BpfError']).toContain(outcomeOf(() => runner.run({ code, memory })))
      }),
      { numRuns: 1500, seed: 4 },
    ) // prettier-ignore
  })
})

describe('createKernel({ verify })', () => {
  it('verifies by default', () => {
    expect(code(() => open(objectUrl('test/unverified'), { kernel: createKernel() }).load())).toBe(
      'VERIFIER_REJECTED',
    )
  })

  it('refuses what is no boolean, and engines that are not there', () => {
    expect(code(() => createKernel({ verify: 'no' as never }))).toBe('BAD_VALUE')
    expect(() => createKernel({ engine: 'jit' as never })).toThrow(/option engine is one of .*interpreter/)
  })
})
