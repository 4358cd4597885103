/**
 * What makes BTF safe to walk: every id in range and of a fitting kind, nothing that contains itself, chains of bounded
 * depth, sizes that add up.
 *
 * Two graphs are checked, both without recursion. *Containment* (what is stored inside what: members, elements, and
 * through typedefs and qualifiers) ends at pointers. *Naming* (what a type's name is made of: pointees, elements,
 * typedefs and qualifiers) ends at structs, unions and prototypes.
 */
import { BpfError } from '../errors.js'
import type { BtfKind, BtfType, TypeId } from './types.js'

/** Deepest chain of either graph. Linux resolves 32 at once; a kernel's own types stay far below. */
export const MAX_BTF_DEPTH = 128

/** Most members of a type, counted through all the types stored in it (the elements of an array once). */
export const MAX_BTF_EXPANSION = 1 << 20

const POINTER_SIZE = 8
const NO_SIZE = -1
const MAX_SIZE = 0xffff_ffff

function bad(message: string): BpfError {
  return new BpfError('BAD_BTF', `BTF: ${message}`)
}

/** @throws BpfError `BAD_BTF` */
export function validateBtf(types: readonly BtfType[]): void {
  for (let id = 1; id < types.length; id++) checkReferences(types, id)
  const measures = new Measures(types)
  walk(types, containmentEdge, (id) => measures.measure(id))
  walk(types, namingEdge, () => {})
}

/** Kinds that can stand for a value: what members, parameters, variables and pointers may refer to. */
// prettier-ignore
const VALUE_KINDS: ReadonlySet<BtfKind> = new Set([
  'int', 'ptr', 'array', 'struct', 'union', 'enum', 'enum64', 'fwd', 'typedef',
  'volatile', 'const', 'restrict', 'float', 'type_tag',
] as const)
/** Additionally, what pointers, typedefs and qualifiers may refer to. */
const REFERENT_KINDS: ReadonlySet<BtfKind> = new Set([...VALUE_KINDS, 'void', 'func_proto'])
const RETURN_KINDS: ReadonlySet<BtfKind> = new Set([...VALUE_KINDS, 'void'])
const PROTO_KINDS: ReadonlySet<BtfKind> = new Set(['func_proto'])
const DATASEC_KINDS: ReadonlySet<BtfKind> = new Set(['var', 'func'])
const TAGGED_KINDS: ReadonlySet<BtfKind> = new Set(['struct', 'union', 'func', 'var', 'typedef'])
/** Linux keeps variables of type void for ksyms: `extern const void foo __ksym`. */
const VARIABLE_KINDS: ReadonlySet<BtfKind> = new Set([...VALUE_KINDS, 'void'])

function checkReferences(types: readonly BtfType[], id: TypeId): void {
  const type = types[id]
  if (type === undefined) return
  const refer = (target: TypeId, kinds: ReadonlySet<BtfKind>, what: string): void => {
    const other = types[target]
    if (other === undefined) {
      throw bad(`type ${id} (${type.kind}): ${what} is type ${target}, out of range (0…${types.length - 1})`)
    }
    if (!kinds.has(other.kind))
      throw bad(`type ${id} (${type.kind}): ${what} is type ${target}, a ${other.kind}`)
  }
  switch (type.kind) {
    case 'void':
    case 'int':
    case 'enum':
    case 'enum64':
    case 'fwd':
    case 'float':
      return
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type_tag':
      return refer(type.type, REFERENT_KINDS, 'what it refers to')
    case 'array':
      refer(type.indexType, VALUE_KINDS, 'the index')
      return refer(type.type, VALUE_KINDS, 'the element')
    case 'struct':
    case 'union':
      for (const member of type.members) refer(member.type, VALUE_KINDS, `member '${member.name}'`)
      return
    case 'func':
      return refer(type.type, PROTO_KINDS, 'the prototype')
    case 'func_proto':
      refer(type.type, RETURN_KINDS, 'what it returns')
      // A last parameter of type void is the ellipsis of a variadic function.
      for (const param of type.params) refer(param.type, RETURN_KINDS, `parameter '${param.name}'`)
      return
    case 'var':
      return refer(type.type, VARIABLE_KINDS, 'its type')
    case 'datasec':
      for (const variable of type.variables) refer(variable.type, DATASEC_KINDS, 'a variable')
      return
    case 'decl_tag':
      refer(type.type, TAGGED_KINDS, 'what it tags')
      return checkTag(types, id, type)
    default:
      return type satisfies never
  }
}

function checkTag(types: readonly BtfType[], id: TypeId, tag: Extract<BtfType, { kind: 'decl_tag' }>): void {
  if (tag.component === -1) return
  const target = types[tag.type]
  const proto = target?.kind === 'func' ? types[target.type] : undefined
  const parts =
    target?.kind === 'struct' || target?.kind === 'union'
      ? target.members.length
      : proto?.kind === 'func_proto'
        ? proto.params.length
        : 0
  if (tag.component < 0 || tag.component >= parts) {
    throw bad(`type ${id} (decl_tag) tags part ${tag.component} of type ${tag.type}, which has ${parts}`)
  }
}

/** The n-th type that a type leads to in a graph, or -1 behind the last one. */
type Edge = (type: BtfType, n: number) => TypeId

const containmentEdge: Edge = (type, n) => {
  switch (type.kind) {
    case 'struct':
    case 'union':
      return type.members[n]?.type ?? -1
    case 'array':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type_tag':
      return n === 0 ? type.type : -1
    default:
      return -1
  }
}

const namingEdge: Edge = (type, n) => {
  switch (type.kind) {
    case 'ptr':
    case 'array':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type_tag':
      return n === 0 ? type.type : -1
    default:
      return -1
  }
}

/** Depth-first, with a stack of its own. `leave` sees each type after all that it leads to. */
function walk(types: readonly BtfType[], edge: Edge, leave: (id: TypeId) => void): void {
  /** 0: not seen; otherwise 1 + height of the type, the length of the longest chain that starts at it. */
  const heights = new Uint16Array(types.length)
  const open = new Uint8Array(types.length)
  const stack = new Int32Array(MAX_BTF_DEPTH + 1)
  const next = new Int32Array(MAX_BTF_DEPTH + 1)
  const height = new Int32Array(MAX_BTF_DEPTH + 1)
  for (let root = 1; root < types.length; root++) {
    if (heights[root] !== 0) continue
    let depth = 0
    stack[0] = root
    next[0] = 0
    height[0] = 0
    open[root] = 1
    while (depth >= 0) {
      const id = stack[depth] ?? 0
      const type = types[id]
      const target = type === undefined ? -1 : edge(type, next[depth] ?? 0)
      next[depth] = (next[depth] ?? 0) + 1
      if (target < 0) {
        const own = (height[depth] ?? 0) + 1
        if (own > MAX_BTF_DEPTH) throw bad(`type ${id} nests deeper than ${MAX_BTF_DEPTH} types`)
        heights[id] = own
        open[id] = 0
        leave(id)
        depth--
        if (depth >= 0) height[depth] = Math.max(height[depth] ?? 0, own)
        continue
      }
      if (target === 0) continue
      if (open[target] === 1) throw bad(`type ${target} contains or refers to itself`)
      const known = heights[target] ?? 0
      if (known !== 0) {
        height[depth] = Math.max(height[depth] ?? 0, known)
        continue
      }
      if (depth === MAX_BTF_DEPTH) throw bad(`type ${root} nests deeper than ${MAX_BTF_DEPTH} types`)
      depth++
      stack[depth] = target
      next[depth] = 0
      height[depth] = 0
      open[target] = 1
    }
  }
}

/** Sizes and numbers of members, computed bottom-up along containment. */
class Measures {
  readonly #types: readonly BtfType[]
  readonly #sizes: Float64Array
  readonly #expansions: Float64Array

  constructor(types: readonly BtfType[]) {
    this.#types = types
    this.#sizes = new Float64Array(types.length).fill(NO_SIZE)
    this.#expansions = new Float64Array(types.length)
  }

  measure(id: TypeId): void {
    const type = this.#types[id]
    if (type === undefined) return
    this.#sizes[id] = this.#size(id, type)
    const expansion = this.#expansion(type)
    if (expansion > MAX_BTF_EXPANSION)
      throw bad(`type ${id} (${type.kind}) has too many members within members`)
    this.#expansions[id] = expansion
  }

  #size(id: TypeId, type: BtfType): number {
    switch (type.kind) {
      case 'ptr':
        return POINTER_SIZE
      case 'int':
      case 'enum':
      case 'enum64':
      case 'float':
        return type.size
      case 'struct':
      case 'union':
        this.#checkMembers(id, type)
        return type.size
      case 'array': {
        const element = this.#sizeOf(type.type)
        if (element === NO_SIZE) return NO_SIZE
        const size = element * type.length
        if (size > MAX_SIZE)
          throw bad(`type ${id} (array) is too large: ${type.length} times ${element} bytes`)
        return size
      }
      case 'typedef':
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
        return this.#sizeOf(type.type)
      default:
        return NO_SIZE
    }
  }

  #checkMembers(id: TypeId, type: Extract<BtfType, { kind: 'struct' | 'union' }>): void {
    for (const member of type.members) {
      const size = this.#sizeOf(member.type)
      if (member.bitSize > 0) {
        if (size !== NO_SIZE && member.bitSize <= size * 8) continue
        throw bad(
          `type ${id} (${type.kind} '${type.name}'): bit-field '${member.name}' is wider than its type`,
        )
      }
      if (size === NO_SIZE) {
        throw bad(`type ${id} (${type.kind} '${type.name}'): member '${member.name}' has no size`)
      }
      // An old-style bit-field is an integer of fewer bits than its bytes have, at any bit.
      const inner = this.#types[member.type]
      const bits = inner?.kind === 'int' ? inner.bitOffset + inner.bits : size * 8
      if (member.bitOffset + bits > type.size * 8) {
        throw bad(
          `type ${id} (${type.kind} '${type.name}'): member '${member.name}' ends behind its ${type.size} bytes`,
        )
      }
      if (bits === size * 8 && member.bitOffset % 8 !== 0) {
        throw bad(
          `type ${id} (${type.kind} '${type.name}'): member '${member.name}' does not start at a byte`,
        )
      }
    }
  }

  #expansion(type: BtfType): number {
    switch (type.kind) {
      case 'struct':
      case 'union':
        return type.members.reduce((sum, member) => sum + 1 + (this.#expansions[member.type] ?? 0), 0)
      case 'array':
      case 'typedef':
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
        return this.#expansions[type.type] ?? 0
      default:
        return 0
    }
  }

  #sizeOf(id: TypeId): number {
    return this.#sizes[id] ?? NO_SIZE
  }
}
