/** When two types are the same to CO-RE: loosely (`bpf_core_type_exists`), and closely (`bpf_core_type_matches`). */
import { resolveType, skipModifiers, typeById } from '../../../btf/query.js'
import type { Btf, BtfType, TypeId } from '../../../btf/types.js'
import { essentialName } from './names.js'

/** Pointers and function prototypes deeper than this are taken for different, as in libbpf. */
const MAX_DEPTH = 32

/**
 * Loosely the same: the kinds agree, through pointers, arrays and prototypes. Names of the outermost types were compared before; members
 * and sizes don't count.
 */
export function typesAreCompatible(
  local: Btf,
  localId: TypeId,
  target: Btf,
  targetId: TypeId,
  depth = MAX_DEPTH,
): boolean {
  if (depth < 0) return false
  const a = resolveType(local, localId)
  const b = resolveType(target, targetId)
  if (kindOf(a) !== kindOf(b)) return false
  const next = (aId: TypeId, bId: TypeId): boolean => typesAreCompatible(local, aId, target, bId, depth - 1)
  if (a.kind === 'ptr' && b.kind === 'ptr') return next(a.type, b.type)
  if (a.kind === 'array' && b.kind === 'array') return next(a.type, b.type)
  if (a.kind === 'func_proto' && b.kind === 'func_proto') {
    if (a.params.length !== b.params.length) return false
    return a.params.every((param, i) => next(param.type, b.params[i]?.type ?? 0)) && next(a.type, b.type)
  }
  return true
}

/**
 * Closely the same: names agree, every local member has a matching one, every local enumerator is there, integers have the same size and
 * sign. Structs behind pointers are compared by name alone.
 */
export function typesMatch(local: Btf, localId: TypeId, target: Btf, targetId: TypeId): boolean {
  return match(local, localId, target, targetId, false, MAX_DEPTH)
}

function match(
  local: Btf,
  localId: TypeId,
  target: Btf,
  targetId: TypeId,
  behindPointer: boolean,
  depth: number,
): boolean {
  if (depth < 0) return false
  const a = resolveType(local, localId)
  const b = resolveType(target, targetId)
  if (!namesAgree(a, b)) return false
  const next = (aId: TypeId, bId: TypeId, pointer = behindPointer): boolean =>
    match(local, aId, target, bId, pointer, depth - 1)
  if (a.kind === 'fwd' || b.kind === 'fwd') return behindPointer && isComposite(a) && isComposite(b)
  if (kindOf(a) !== kindOf(b)) return false
  switch (a.kind) {
    case 'void':
    case 'float':
      return true
    case 'int':
      return b.kind === 'int' && a.size === b.size && a.signed === b.signed
    case 'enum':
    case 'enum64':
      if (b.kind !== 'enum' && b.kind !== 'enum64') return false
      return a.values.every(({ name }) =>
        b.values.some((other) => essentialName(other.name) === essentialName(name)),
      )
    case 'struct':
    case 'union':
      if (behindPointer) return true
      return (
        (b.kind === 'struct' || b.kind === 'union') && membersMatch(local, a.members, target, b.members, next)
      )
    case 'ptr':
      return b.kind === 'ptr' && next(a.type, b.type, true)
    case 'array':
      return b.kind === 'array' && a.length === b.length && next(a.type, b.type)
    case 'func_proto':
      if (b.kind !== 'func_proto' || a.params.length !== b.params.length) return false
      return a.params.every((param, i) => next(param.type, b.params[i]?.type ?? 0)) && next(a.type, b.type)
    default:
      return false
  }
}

type Members = Extract<BtfType, { kind: 'struct' }>['members']

function membersMatch(
  local: Btf,
  a: Members,
  target: Btf,
  b: Members,
  next: (a: TypeId, b: TypeId) => boolean,
): boolean {
  const flat = (btf: Btf, members: Members): Members =>
    members.flatMap((member) => {
      if (member.name !== '') return member
      const inner = typeById(btf, skipModifiers(btf, member.type))
      return inner.kind === 'struct' || inner.kind === 'union' ? flat(btf, inner.members) : []
    })
  const there = flat(target, b)
  return flat(local, a).every((member) => {
    const other = there.find(({ name }) => essentialName(name) === essentialName(member.name))
    return other !== undefined && next(member.type, other.type)
  })
}

function namesAgree(a: BtfType, b: BtfType): boolean {
  const name = (type: BtfType): string => ('name' in type ? essentialName(type.name) : '')
  return name(a) === '' || name(b) === '' || name(a) === name(b) || a.kind === 'int'
}

function isComposite(type: BtfType): boolean {
  return type.kind === 'struct' || type.kind === 'union' || type.kind === 'fwd'
}

function kindOf(type: BtfType): string {
  return type.kind === 'enum64' ? 'enum' : type.kind
}
