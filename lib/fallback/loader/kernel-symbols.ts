/** `extern … __ksym`: the kernel's functions and variables that a program refers to, as its BTF tells them. */
import { resolveType, sizeOf, typeById, typeName } from '../../btf/query.js'
import type { Btf, TypeId } from '../../btf/types.js'
import { BpfError } from '../../errors.js'
import { kfuncNamed } from '../../linux/kfuncs.js'
import type { ExternDefinition } from '../../object-file/types.js'
import type { Variable } from '../hooks/variables.js'
import type { KernelTypes } from '../verifier/kernel-types.js'
import type { KernelSymbol } from '../verifier/program.js'
import { typesAreCompatible } from './core/compatible.js'

const PER_CPU_SECTION = '.data..percpu'

/** A function that can be called, for which no BTF tells a number. */
const SOME_ID = 1

export type ResolvedSymbol =
  /** `id`: what a call has as its immediate. */
  | { readonly kind: 'function'; readonly id: number }
  | { readonly kind: 'symbol'; readonly symbol: KernelSymbol }

/**
 * @param given the variable that a simulated kernel has by that name
 * @returns undefined: the kernel has no such symbol, as far as is known
 * @throws BpfError `BAD_VALUE` where what was given isn't what the kernel's types say; `RELOCATION_FAILED` where the program has another type for it
 */
export function kernelSymbol(
  kernel: KernelTypes,
  objectBtf: Btf | undefined,
  extern: ExternDefinition,
  given?: Pick<Variable, 'isPerCpu'>,
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
  if (btf === undefined || objectBtf === undefined) return undefined
  const { name } = extern
  // Types of a kernel's own tell what it has; an object's, what it calls so.
  if (kernel.own)
    return given && { kind: 'symbol', symbol: variable(kernel, btf, extern.type, given.isPerCpu) }
  const id = idOf(btf, name, 'var')
  const type = id === undefined ? undefined : typeById(btf, id)
  if (id === undefined || type?.kind !== 'var') return undefined
  const perCpu = isPerCpu(btf, id)
  if (given !== undefined && given.isPerCpu !== perCpu)
    throw new BpfError(
      'BAD_VALUE',
      `kernel variable '${name}' ${perCpu ? "has a copy for each CPU, by the kernel's types: it takes an array" : "is no per-CPU variable, by the kernel's types"}`,
    )
  if (given !== undefined && !typesAreCompatible(objectBtf, extern.type, btf, type.type))
    throw new BpfError(
      'RELOCATION_FAILED',
      `kernel variable '${name}' is a ${typeName(btf, type.type)}, and the program has a ${typeName(objectBtf, extern.type)} for it`,
    )
  return { kind: 'symbol', symbol: variable(kernel, btf, type.type, perCpu) }
}

function idOf(btf: Btf, name: string, kind: 'func' | 'var'): TypeId | undefined {
  return btf.find(name).find((id) => typeById(btf, id).kind === kind)
}

function isPerCpu(btf: Btf, id: TypeId): boolean {
  return btf.find(PER_CPU_SECTION).some((section) => {
    const data = typeById(btf, section)
    return data.kind === 'datasec' && data.variables.some((one) => one.type === id)
  })
}

function variable(kernel: KernelTypes, btf: Btf, type: TypeId, perCpu: boolean): KernelSymbol {
  const resolved = resolveType(btf, type)
  const isStruct = resolved.kind === 'struct' || resolved.kind === 'union' || resolved.kind === 'fwd'
  return {
    kind: 'variable',
    struct: isStruct ? kernel.structs.struct(btf.types.indexOf(resolved)) : undefined,
    size: resolved.kind === 'fwd' ? 0 : sizeOf(btf, type),
    perCpu,
  }
}
