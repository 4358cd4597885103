/** Turns accesses to contexts into ones to what lies in memory, as Linux's convert_ctx_accesses() does. */
import { SLOT } from '../../isa/instruction.js'
import { CLASS } from '../../isa/opcodes.js'
import { convertedAccess } from '../packets/context-layout.js'

/** Bytes by the size bits of an opcode, and the other way round. */
const BYTES: readonly number[] = [4, 2, 1, 8]
const SIZE_BITS = 0x18

/**
 * @param slots of the instructions that access the context, all of which the verifier has allowed
 * @returns the code, or a changed copy
 */
export function withConvertedContext(
  code: Uint8Array,
  slots: readonly number[],
  programType: number,
  attachType: number,
): Uint8Array {
  const converted = code.slice()
  const view = new DataView(converted.buffer)
  for (const slot of slots) {
    const at = slot * SLOT
    const opcode = view.getUint8(at)
    const offset = view.getInt16(at + 2, true)
    const size = BYTES[(opcode & SIZE_BITS) >> 3] ?? 0
    const write = (opcode & 7) !== CLASS.LDX
    const access = convertedAccess(programType, attachType, { offset: offset, size, write })
    if (access === undefined) continue
    view.setUint8(at, (opcode & ~SIZE_BITS) | (BYTES.indexOf(access.size) << 3))
    view.setInt16(at + 2, access.offset, true)
  }
  return converted
}
