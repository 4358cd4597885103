/** Calls of the kernel's functions (kfuncs): how they lie in the code for the verifier, and how for engines. */
import { SLOT } from '../../isa/instruction.js'
import { PSEUDO_CALL } from '../../isa/opcodes.js'
import { kfuncId } from '../kfunc-ids.js'

/** Makes the instruction at an offset a call of a kernel function, as Linux numbers them by a BTF that isn't there. */
export function linkKfunc(view: DataView, offset: number, id: number): void {
  view.setUint8(offset + 1, (view.getUint8(offset + 1) & 0x0f) | (PSEUDO_CALL.KFUNC << 4))
  view.setInt32(offset + 4, id, true)
}

/**
 * The code as engines run it: they call kernel functions as they call helpers.
 *
 * @param kfuncs names by slot
 */
export function withKfuncsAsHelpers(code: Uint8Array, kfuncs: ReadonlyMap<number, string>): Uint8Array {
  if (kfuncs.size === 0) return code
  const linked = code.slice()
  const view = new DataView(linked.buffer)
  for (const [slot, name] of kfuncs) {
    const at = slot * SLOT
    view.setUint8(at + 1, view.getUint8(at + 1) & 0x0f)
    view.setInt32(at + 4, kfuncId(name) ?? 0, true)
  }
  return linked
}
