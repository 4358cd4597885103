/** Questions that everybody asks of BTF: sizes, and what stands behind typedefs and qualifiers. */
import { BpfError } from '../errors.js'
import type { Btf, BtfKind, BtfMember, BtfType, TypeId } from './types.js'

/** x86-64, arm64, riscv64 and BPF itself: eBPF objects have 64-bit pointers. */
export const POINTER_SIZE = 8

export type BtfTypeOf<K extends BtfKind> = Extract<BtfType, { kind: K }>
export type BtfComposite = BtfTypeOf<'struct' | 'union'>

export function typeById(btf: Btf, id: TypeId): BtfType {
  const type = btf.types[id]
  if (type === undefined)
    throw new BpfError('BAD_BTF', `BTF type id ${id} is out of range (0…${btf.types.length - 1})`)
  return type
}

/** The id behind typedefs, qualifiers and type tags. */
export function skipModifiers(btf: Btf, id: TypeId): TypeId {
  for (;;) {
    const type = typeById(btf, id)
    switch (type.kind) {
      case 'typedef':
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
        id = type.type
        break
      default:
        return id
    }
  }
}

/** The type behind typedefs, qualifiers and type tags. */
export function resolveType(btf: Btf, id: TypeId): BtfType {
  return typeById(btf, skipModifiers(btf, id))
}

/** Size in bytes. Throws `BAD_BTF` for what has none (functions, forward declarations, void). */
export function sizeOf(btf: Btf, id: TypeId): number {
  const type = resolveType(btf, id)
  switch (type.kind) {
    case 'int':
    case 'struct':
    case 'union':
    case 'enum':
    case 'enum64':
    case 'float':
    case 'datasec':
      return type.size
    case 'ptr':
      return POINTER_SIZE
    case 'array':
      return type.length * sizeOf(btf, type.type)
    case 'var':
      return sizeOf(btf, type.type)
    default:
      throw new BpfError('BAD_BTF', `BTF type ${id} (${type.kind}) has no size`)
  }
}

/** A member found by name, looking through anonymous structs and unions; offsets are from the outer type's start. */
export function findMember(btf: Btf, type: BtfComposite, name: string): BtfMember | undefined {
  for (const member of type.members) {
    if (member.name === name && name !== '') return member
    if (member.name !== '') continue
    const inner = resolveType(btf, member.type)
    if (inner.kind !== 'struct' && inner.kind !== 'union') continue
    const found = findMember(btf, inner, name)
    if (found !== undefined) return { ...found, bitOffset: found.bitOffset + member.bitOffset }
  }
  return undefined
}

/** The first type of this name and kind. */
export function findType<K extends BtfKind>(
  btf: Btf,
  name: string,
  kind: K,
): { readonly id: TypeId; readonly type: BtfTypeOf<K> } | undefined {
  for (const id of btf.find(name)) {
    const type = typeById(btf, id)
    if (type.kind === kind) return { id, type: type as BtfTypeOf<K> }
  }
  return undefined
}

/** Name of a type for messages, C-like: `struct event`, `u32`, `char[16]`, `struct task_struct *`. */
export function typeName(btf: Btf, id: TypeId): string {
  const type = typeById(btf, id)
  switch (type.kind) {
    case 'void':
      return 'void'
    case 'ptr':
      return `${typeName(btf, type.type)} *`
    case 'array':
      return `${typeName(btf, type.type)}[${type.length}]`
    case 'struct':
    case 'union':
      return `${type.kind} ${type.name || '{…}'}`
    case 'enum':
    case 'enum64':
      return `enum ${type.name || '{…}'}`
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type_tag':
      return typeName(btf, type.type)
    case 'func_proto':
      return 'function'
    default:
      return type.name
  }
}
