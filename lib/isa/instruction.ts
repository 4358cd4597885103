/**
 * A BPF instruction as data: 8 bytes, little-endian, as RFC 9669 section 3 lays them out.
 *
 * Everything is indexed by slot (8 bytes), as in Linux: a 64-bit immediate load takes two slots.
 */
import { BpfError } from '../errors.js'

/** Bytes of a slot. */
export const SLOT = 8

/** One slot. */
export interface Instruction {
  readonly opcode: number
  /** 0…15 in the encoding; 0…10 are registers. */
  readonly dst: number
  readonly src: number
  /** Signed 16 bits. */
  readonly offset: number
  /** Signed 32 bits. */
  readonly imm: number
}

/** @throws BpfError BAD_OBJECT if the length is no multiple of 8 */
export function slotCount({ length }: Uint8Array): number {
  if (length % SLOT !== 0)
    throw new BpfError('BAD_OBJECT', `program code is ${length} bytes: not a multiple of ${SLOT}`)
  return length / SLOT
}

/**
 * Decodes all slots; what they mean is not looked at.
 * @throws BpfError BAD_OBJECT if the length is no multiple of 8
 */
export function decode(code: Uint8Array): Instruction[] {
  slotCount(code)
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength)
  const instructions: Instruction[] = []
  for (let at = 0; at < code.length; at += SLOT) {
    const registers = view.getUint8(at + 1)
    instructions.push({
      opcode: view.getUint8(at),
      dst: registers & 0x0f,
      src: registers >> 4,
      offset: view.getInt16(at + 2, true),
      imm: view.getInt32(at + 4, true),
    })
  }
  return instructions
}

/** The bytes of instructions: the inverse of {@link decode}. */
export function encode(instructions: readonly Instruction[]): Uint8Array {
  const code = new Uint8Array(instructions.length * SLOT)
  const view = new DataView(code.buffer)
  instructions.forEach((instruction, i) => {
    const at = i * SLOT
    view.setUint8(at, instruction.opcode)
    view.setUint8(at + 1, (instruction.src << 4) | (instruction.dst & 0x0f))
    view.setInt16(at + 2, instruction.offset, true)
    view.setInt32(at + 4, instruction.imm, true)
  })
  return code
}
