/** A few types of a BTF blob, with what they refer to, as types of another blob. */
import type { BtfBuilder } from './builder.js'
import { typeById } from './query.js'
import type { Btf, BtfType, TypeId } from './types.js'

/**
 * Adds `root`, and every type that it refers to, to `builder`. Unlike the blob of an object file, which libbpf has to complete first
 * (sections have no sizes there), a kernel takes the result as it is.
 *
 * @returns the type's id in `builder`
 */
export function copyType(builder: BtfBuilder, btf: Btf, root: TypeId): TypeId {
  if (root === 0) return 0
  const order: TypeId[] = []
  const ids = new Map<TypeId, TypeId>([[0, 0]])
  const first = builder.nextId
  const pending: TypeId[] = [root]
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (ids.has(id)) continue
    ids.set(id, first + order.length)
    order.push(id)
    pending.push(...references(typeById(btf, id)))
  }
  const renumbered = (id: TypeId): TypeId => ids.get(id) ?? 0
  for (const id of order) builder.add(withReferences(typeById(btf, id), renumbered))
  return renumbered(root)
}

/** Types that a type names. */
function references(type: BtfType): readonly TypeId[] {
  const found: TypeId[] = []
  withReferences(type, (id) => {
    found.push(id)
    return id
  })
  return found
}

/** The type with other ids in the places of those that it names. */
function withReferences(type: BtfType, renumber: (id: TypeId) => TypeId): BtfType {
  switch (type.kind) {
    case 'void':
    case 'int':
    case 'enum':
    case 'enum64':
    case 'fwd':
    case 'float':
      return type
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'func':
    case 'var':
    case 'decl_tag':
    case 'type_tag':
      return { ...type, type: renumber(type.type) }
    case 'array':
      return { ...type, type: renumber(type.type), indexType: renumber(type.indexType) }
    case 'struct':
    case 'union':
      return { ...type, members: type.members.map((member) => ({ ...member, type: renumber(member.type) })) }
    case 'func_proto':
      return {
        ...type,
        type: renumber(type.type),
        params: type.params.map((param) => ({ ...param, type: renumber(param.type) })),
      }
    case 'datasec':
      return {
        ...type,
        variables: type.variables.map((variable) => ({ ...variable, type: renumber(variable.type) })),
      }
    default:
      return type satisfies never
  }
}
