/** `extern … __ksym`: the kernel's functions and variables that a program refers to, as its BTF tells them. */
import { resolveType, sizeOf, typeById } from '../../btf/query.js'
import type { Btf, TypeId } from '../../btf/types.js'
import { kfuncNamed } from '../../linux/kfuncs.js'
import type { ExternDefinition } from '../../object-file/types.js'
import type { KernelTypes } from '../verifier/kernel-types.js'
import type { KernelSymbol } from '../verifier/program.js'

const PER_CPU_SECTION = '.data..percpu'

/** A function that can be called, for which no BTF tells a number. */
const SOME_ID = 1

export type ResolvedSymbol =
  /** `id`: what a call has as its immediate. */
  | { readonly kind: 'function'; readonly id: number }
  | { readonly kind: 'symbol'; readonly symbol: KernelSymbol }

/** @returns undefined: the kernel has no such symbol, as far as is known */
export function kernelSymbol(
  kernel: KernelTypes,
  objectBtf: Btf | undefined,
  extern: ExternDefinition,
): ResolvedSymbol | undefined {
  const { btf } = kernel
  if (extern.kind === 'kfunc') {
    const id = btf === undefined || kernel.own ? undefined : idOf(btf, extern.name, 'func')
    if (id !== undefined) return { kind: 'function', id }
    // Of a kernel without BTF of its own, the table tells.
    return (btf === undefined || kernel.own) && kfuncNamed(extern.name) !== undefined
      ? { kind: 'function', id: SOME_ID }
      : undefined
  }
  // `extern const void name __ksym`: the address alone.
  if (objectBtf !== undefined && resolveType(objectBtf, extern.type).kind === 'void')
    return { kind: 'symbol', symbol: { kind: 'address' } }
  if (btf === undefined || kernel.own) return undefined
  const id = idOf(btf, extern.name, 'var')
  return id === undefined ? undefined : { kind: 'symbol', symbol: variable(kernel, btf, id) }
}

function idOf(btf: Btf, name: string, kind: 'func' | 'var'): TypeId | undefined {
  return btf.find(name).find((id) => typeById(btf, id).kind === kind)
}

function variable(kernel: KernelTypes, btf: Btf, id: TypeId): KernelSymbol {
  const type = typeById(btf, id)
  const target = type.kind === 'var' ? type.type : id
  const resolved = resolveType(btf, target)
  const perCpu = btf.find(PER_CPU_SECTION).some((section) => {
    const data = typeById(btf, section)
    return data.kind === 'datasec' && data.variables.some((one) => one.type === id)
  })
  const isStruct = resolved.kind === 'struct' || resolved.kind === 'union'
  return {
    kind: 'variable',
    struct: isStruct ? kernel.structs.struct(btf.types.indexOf(resolved)) : undefined,
    size: sizeOf(btf, target),
    perCpu,
  }
}
