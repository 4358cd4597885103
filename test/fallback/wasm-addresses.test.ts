/** What compiled code keeps apart or out of memory where a proof lets it: indices of addresses, places of the stack. The interpreter says what is right. */
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { Access, KERNEL_HI, Memory } from '../../lib/fallback/memory.js'
import type { EngineName } from '../../lib/fallback/vm/types.js'
import * as bpf from '../../lib/isa/build.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { engineOf, registerOf } from '../support/run-bpf.js'

const PROVEN = { isProven: () => true, provesAll: true, terminates: true }
const BYTES = 64
const REGISTERS = [1, 2, 3, 6] as const
const MASK = (1n << 64n) - 1n

const register = fc.constantFrom(...REGISTERS)
const bits = fc.constantFrom<8 | 16 | 32 | 64>(8, 16, 32, 64)

/** Everything that the program has changed, on one engine. */
function outcome(
  engineName: EngineName,
  code: readonly Instruction[],
  { sandboxed }: { readonly sandboxed: boolean },
): unknown {
  const memory = new Memory()
  const block = memory.alloc(BYTES, Access.readWrite, 16, 'block')
  for (let i = 0; i < BYTES; i++) memory.u8[block + i] = 37 * i
  const regionAt = (address: number) =>
    address >= block && address < block + BYTES
      ? { address: block, size: BYTES, access: Access.readWrite }
      : undefined
  const engine = engineOf(code, {
    memory,
    engine: engineName,
    environment: {
      intrinsics: { keepsWords: false, keepsClock: false, mapAt: () => undefined, regionAt },
      ...(!sandboxed && { proof: () => PROVEN }),
    },
  })
  engine.run(block)
  return {
    r0: registerOf(engine, 0),
    block: Buffer.from(memory.u8.subarray(block, block + BYTES)).toString('hex'),
  }
}

/** Address of the block: the first one of a memory. */
const BLOCK = (() => {
  const memory = new Memory()
  return (BigInt(KERNEL_HI >>> 0) << 32n) | BigInt(memory.alloc(BYTES, Access.readWrite, 16, 'block'))
})()

const step = fc.record({
  how: fc.constantFrom(
    'address',
    'number',
    'narrow',
    'add',
    'add constant',
    'copy',
    'load',
    'store',
    'stack',
  ),
  a: register,
  b: register,
  imm: fc.integer({ min: -20, max: 50 }),
  bits,
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** Instructions of the steps that are sound where they stand: what each register holds is known. */
function sound(steps: readonly Step[]): readonly Instruction[] {
  const values = new Map<number, bigint>(REGISTERS.map((r) => [r, 0n]))
  const code: Instruction[] = REGISTERS.map((r) => bpf.mov64(r, 0))
  const isInside = (address: bigint, size: number): boolean =>
    address >= BLOCK && address + BigInt(size) <= BLOCK + BigInt(BYTES)
  for (const { how, a, b, imm, bits: width } of steps) {
    const set = (value: bigint): unknown => values.set(a, value & MASK)
    const [left, right] = [values.get(a) ?? 0n, values.get(b) ?? 0n]
    if (how === 'address') {
      const inside = BigInt(imm & 63)
      set(BLOCK + inside)
      code.push(...bpf.lddw(a, BLOCK + inside))
    } else if (how === 'number') {
      set(BigInt(imm))
      code.push(bpf.mov64(a, imm))
    } else if (how === 'narrow') {
      set(BigInt(imm) & 0xffffffffn)
      code.push(bpf.mov32(a, imm))
    } else if (how === 'add') {
      set(left + right)
      code.push(bpf.alu64r('add', a, b))
    } else if (how === 'add constant') {
      set(left + BigInt(imm))
      code.push(bpf.alu64('add', a, imm))
    } else if (how === 'copy') {
      set(right)
      code.push(bpf.mov64r(a, b))
    } else if (how === 'stack') {
      set(right)
      code.push(bpf.storer(64, 10, -8, b), bpf.load(64, a, 10, -8))
    } else {
      // An access through a register that points into the block, if any does.
      const pointers = REGISTERS.filter((r) => isInside((values.get(r) ?? 0n) + BigInt(imm), width / 8))
      const pointer = pointers[b % pointers.length]
      if (pointer === undefined) continue
      if (how === 'store') code.push(bpf.storer(width, pointer, imm, a))
      // What comes from memory is looked at, and then forgotten: a number that isn't known is no index.
      else code.push(bpf.load(width, 0, pointer, imm), bpf.storer(8, pointer, imm, 0))
    }
  }
  return [...code, bpf.mov64(0, 0), ...REGISTERS.map((r) => bpf.alu64r('xor', 0, r)), bpf.exit()]
}

it('finds what is at an address and an index, however they were made', () => {
  const program = fc.array(step, { minLength: 60, maxLength: 200 }).map(sound)
  fc.assert(
    fc.property(program, fc.boolean(), (code, sandboxed) => {
      expect(outcome('wasm', code, { sandboxed })).toEqual(outcome('interpreter', code, { sandboxed }))
    }),
    { numRuns: 1000, seed: 4 },
  )
})

const stackStep = fc
  .record({
    how: fc.constantFrom('store', 'constant', 'load', 'load signed'),
    bits,
    offset: fc.integer({ min: -24, max: -1 }),
    register: fc.constantFrom(1, 2, 3),
    imm: fc.integer(),
  })
  .map(({ how, bits: width, offset, register: r, imm }): readonly Instruction[] => {
    const at = Math.min(offset, -width / 8)
    if (how === 'store') return [bpf.alu64('mul', r, 0x1234567), bpf.storer(width, 10, at, r)]
    if (how === 'constant') return [bpf.store(width, 10, at, imm)]
    const load =
      how === 'load signed' && width !== 64 ? bpf.loadSigned(width, 0, 10, at) : bpf.load(width, 0, 10, at)
    return [load, bpf.alu64r('xor', r, 0), bpf.alu64('add', r, 1)]
  })

it('keeps places of the stack whole or in memory, whatever overlaps', () => {
  const program = fc.array(stackStep, { minLength: 3, maxLength: 30 })
  fc.assert(
    fc.property(program, (steps) => {
      const code = [
        ...[1, 2, 3].map((r) => bpf.mov64(r, 3 * r)),
        ...steps.flat(),
        bpf.mov64(0, 0),
        ...[1, 2, 3].map((r) => bpf.alu64r('xor', 0, r)),
        bpf.exit(),
      ]
      expect(outcome('wasm', code, { sandboxed: false })).toEqual(
        outcome('interpreter', code, { sandboxed: false }),
      )
    }),
    { numRuns: 1000, seed: 5 },
  )
})
