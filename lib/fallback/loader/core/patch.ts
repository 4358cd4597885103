/** Puts the values of CO-RE relocations into instructions. */
import { BpfError } from '../../../errors.js'
import { CLASS, OP } from '../../../isa/opcodes.js'
import { SLOT } from '../../../isa/instruction.js'
import type { Resolution } from './resolve.js'

/** The helper that libbpf makes an instruction call that can't be relocated: a number that stands out in logs. */
export const POISON_HELPER = 195896080

const SIZE_MASK = 0x18
const MODE_MASK = 0xe0
/** Opcode bits by bytes of an access. */
const SIZE_BITS: Readonly<Record<number, number>> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 }
const ACCESS_BYTES: Readonly<Record<number, number>> = { 0x10: 1, 0x08: 2, 0x00: 4, 0x18: 8 }
const SOURCE_REGISTER = 0x08
const INT16_MAX = 0x7fff

/**
 * Patches the instruction at byte `at` of `code`.
 *
 * @returns why the instruction was poisoned instead; undefined if it is fine
 * @throws BpfError `RELOCATION_FAILED` if it is none that can be relocated, or doesn't hold what the compiler should have put there
 */
export function patch(code: Uint8Array, at: number, resolution: Resolution): string | undefined {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength)
  const opcode = view.getUint8(at)
  const { value, subject } = resolution
  if (value === undefined) {
    poison(view, at)
    return resolution.hint
  }
  switch (opcode & 0x07) {
    case CLASS.ALU:
    case CLASS.ALU64:
      if ((opcode & SOURCE_REGISTER) !== 0) break
      expectValue(resolution, BigInt(view.getInt32(at + 4, true)), 32)
      view.setInt32(at + 4, Number(BigInt.asIntN(32, value)), true)
      return undefined
    case CLASS.LDX:
    case CLASS.ST:
    case CLASS.STX:
      return patchAccess(view, at, resolution, value)
    case CLASS.LD: {
      if (opcode !== OP.LDDW || (view.getUint8(at + 1) & 0xf0) !== 0 || at + 2 * SLOT > code.length) break
      const held = (BigInt(view.getUint32(at + SLOT + 4, true)) << 32n) | BigInt(view.getUint32(at + 4, true))
      expectValue(resolution, held, 64)
      view.setInt32(at + 4, Number(BigInt.asIntN(32, value)), true)
      view.setInt32(at + SLOT + 4, Number(BigInt.asIntN(32, value >> 32n)), true)
      return undefined
    }
    default:
  }
  throw new BpfError(
    'RELOCATION_FAILED',
    `CO-RE: ${subject}: instruction with opcode 0x${opcode.toString(16)} can't be relocated`,
  )
}

function patchAccess(view: DataView, at: number, resolution: Resolution, value: bigint): string | undefined {
  const { sizes, subject } = resolution
  expectValue(resolution, BigInt(view.getInt16(at + 2, true)), 16)
  if (value > BigInt(INT16_MAX)) {
    throw new BpfError(
      'RELOCATION_FAILED',
      `CO-RE: ${subject} lies at byte ${value} in the target: too far for one access`,
      {
        hint: 'Read it with bpf_core_read()',
      },
    )
  }
  if (sizes !== undefined && sizes.local !== sizes.target) {
    if (!resolution.resizable) {
      poison(view, at)
      return `It has ${sizes.target} bytes in the target and ${sizes.local} in the program: only pointers and unsigned integers can be read directly then. Use BPF_CORE_READ() or bpf_core_read()`
    }
    const opcode = view.getUint8(at)
    if (ACCESS_BYTES[opcode & SIZE_MASK] === sizes.local && (opcode & MODE_MASK) !== 0) {
      const bits = SIZE_BITS[sizes.target]
      if (bits === undefined) {
        throw new BpfError(
          'RELOCATION_FAILED',
          `CO-RE: ${subject} has ${sizes.target} bytes in the target: no access has that size`,
        )
      }
      view.setUint8(at, (opcode & ~SIZE_MASK) | bits)
    }
  }
  view.setInt16(at + 2, Number(value), true)
  return undefined
}

function expectValue({ expected, subject }: Resolution, held: bigint, bits: number): void {
  if (expected === undefined || BigInt.asUintN(bits, expected) === BigInt.asUintN(bits, held)) return
  throw new BpfError(
    'RELOCATION_FAILED',
    `CO-RE: ${subject}: the instruction holds ${held}, but the object's own types say ${expected}`,
  )
}

/** Makes the instruction, both slots of a wide one, a call that no verifier lets pass. */
export function poison(view: DataView, at: number): void {
  const slots = view.getUint8(at) === OP.LDDW ? 2 : 1
  for (let slot = 0; slot < slots; slot++) writePoison(view, at + slot * SLOT)
}

export function writePoison(view: DataView, at: number): void {
  view.setUint8(at, OP.CALL)
  view.setUint8(at + 1, 0)
  view.setInt16(at + 2, 0, true)
  view.setInt32(at + 4, POISON_HELPER, true)
}
