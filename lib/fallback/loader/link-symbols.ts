/** References to symbols of the kernel: how they lie in the code for the verifier, and how for engines. */
import { SLOT } from '../../isa/instruction.js'
import { OP, PSEUDO_CALL, PSEUDO_LDDW } from '../../isa/opcodes.js'
import type { WideAddress } from '../hooks/variables.js'
import type { KernelSymbol } from '../verifier/program.js'
import type { ResolvedSymbol } from './kernel-symbols.js'

/** Symbols of the kernel that a program refers to, by slot. */
export interface LinkedSymbols {
  /** What is known of those whose addresses it takes. */
  readonly known: Map<number, KernelSymbol>
  /** Where they are, for programs that are going to run. */
  readonly addresses: Map<number, WideAddress>
  /** Names of functions that it calls. */
  readonly kfuncs: Map<number, string>
}

/** A function's address: it is of no type. */
const FUNCTION_ADDRESS: KernelSymbol = { kind: 'variable', struct: undefined, size: 0, perCpu: false }

/** Puts a reference to a symbol of the kernel into a call or an LDDW, as the verifier wants to see it. */
export function linkSymbol(
  view: DataView,
  offset: number,
  name: string,
  resolved: ResolvedSymbol,
  symbols: LinkedSymbols,
): void {
  const slot = offset / SLOT
  const isAddress = view.getUint8(offset) === OP.LDDW
  const kind = isAddress ? PSEUDO_LDDW.BTF_ID : PSEUDO_CALL.KFUNC
  view.setUint8(offset + 1, (view.getUint8(offset + 1) & 0x0f) | (kind << 4))
  view.setInt32(offset + 4, resolved.kind === 'function' ? resolved.id : 0, true)
  if (!isAddress) {
    symbols.kfuncs.set(slot, name)
    return
  }
  view.setInt32(offset + SLOT + 4, 0, true)
  symbols.known.set(slot, resolved.kind === 'function' ? FUNCTION_ADDRESS : resolved.symbol)
}

/** The code as engines run it: with the addresses of variables. */
export function withAddresses(code: Uint8Array, addresses: ReadonlyMap<number, WideAddress>): Uint8Array {
  if (addresses.size === 0) return code
  const linked = code.slice()
  const view = new DataView(linked.buffer)
  for (const [slot, { low, high }] of addresses) {
    const at = slot * SLOT
    view.setUint8(at + 1, (view.getUint8(at + 1) & 0x0f) | (PSEUDO_LDDW.IMM << 4))
    view.setInt32(at + 4, low, true)
    view.setInt32(at + SLOT + 4, high, true)
  }
  return linked
}
