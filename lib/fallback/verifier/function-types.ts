/** Functions and special fields of map values, from BTF. */
import { type BtfTypeOf, resolveType, sizeOf, skipModifiers, typeById } from '../../btf/query.js'
import type { Btf, TypeId } from '../../btf/types.js'
import type { FunctionArgument, FunctionInfo, SpecialField } from './program.js'

const GLOBAL = 1

/** @param type a function's type */
export function functionInfo(btf: Btf, type: TypeId, start: number): FunctionInfo | undefined {
  const func = typeById(btf, type)
  if (func.kind !== 'func') return undefined
  const proto = typeById(btf, func.type)
  if (proto.kind !== 'func_proto') return undefined
  const args = proto.params.map((param, i) =>
    argument(
      btf,
      param.type,
      declarationTags(btf, type, i).flatMap((tag) => (tag.startsWith('arg:') ? [tag.slice(4)] : [])),
    ),
  )
  const returned = resolveType(btf, proto.type).kind
  const isNumber = returned === 'int' || returned === 'enum' || returned === 'enum64'
  return {
    start,
    name: func.name,
    global: func.linkage === GLOBAL,
    args,
    returns: isNumber ? 'int' : returned === 'void' ? 'void' : 'other',
    type,
  }
}

function argument(btf: Btf, id: TypeId, tags: readonly string[]): FunctionArgument {
  const type = resolveType(btf, id)
  switch (type.kind) {
    case 'int':
    case 'enum':
    case 'enum64':
      return { kind: 'scalar', pointee: 'other', typeName: type.name, size: type.size, tags }
    case 'ptr':
      return { kind: 'pointer', ...pointee(btf, type.type), tags }
    default:
      return { kind: 'other', pointee: 'other', typeName: 'name' in type ? type.name : '', size: 0, tags }
  }
}

function pointee(btf: Btf, id: TypeId): Pick<FunctionArgument, 'pointee' | 'typeName' | 'size'> {
  const type = resolveType(btf, id)
  const typeName = 'name' in type ? type.name : ''
  switch (type.kind) {
    case 'void':
    case 'ptr':
      return { pointee: type.kind, typeName, size: type.kind === 'ptr' ? 8 : 0 }
    case 'int':
    case 'struct':
      return { pointee: type.kind, typeName, size: type.size }
    case 'fwd':
      return { pointee: 'fwd', typeName, size: -1 }
    case 'union':
    case 'enum':
    case 'enum64':
    case 'array':
      return { pointee: 'other', typeName, size: sizeOf(btf, id) }
    default:
      return { pointee: 'other', typeName, size: -1 }
  }
}

/** The name behind qualifiers; a typedef's where what it names has none. */
function nameOf(btf: Btf, id: TypeId): string {
  const type = typeById(btf, id)
  switch (type.kind) {
    case 'const':
    case 'volatile':
    case 'restrict':
    case 'type_tag':
      return nameOf(btf, type.type)
    case 'typedef':
      return nameOf(btf, type.type) || type.name
    default:
      return 'name' in type ? type.name : ''
  }
}

/** Structures in values that the kernel manages. */
const SPECIAL: ReadonlySet<string> = new Set([
  'bpf_spin_lock',
  'bpf_res_spin_lock',
  'bpf_timer',
  'bpf_wq',
  'bpf_task_work',
  'bpf_list_head',
  'bpf_list_node',
  'bpf_rb_root',
  'bpf_rb_node',
  'bpf_refcount',
])
/** Type tags of pointers that are kernel objects. */
const KPTR_TAGS: ReadonlySet<string> = new Set(['kptr', 'kptr_untrusted', 'percpu_kptr', 'uptr'])

/** Nodes lie in objects of the program; in values of maps they are bytes. */
const NODES: ReadonlySet<string> = new Set(['bpf_list_node', 'bpf_rb_node'])

/** Fields of a map's values that aren't plain bytes. */
export function valueFields(btf: Btf, id: TypeId): readonly SpecialField[] {
  return specialFields(btf, id).filter(({ kind }) => !NODES.has(kind))
}

/**
 * Fields of a struct that aren't plain bytes, in any depth.
 *
 * @param contained what the declaration of the member tells of a list's or tree's elements
 */
export function specialFields(
  btf: Btf,
  id: TypeId,
  start = 0,
  contained?: SpecialField['root'],
): readonly SpecialField[] {
  const type = resolveType(btf, id)
  switch (type.kind) {
    case 'struct':
    case 'union': {
      if (SPECIAL.has(type.name))
        return [{ kind: type.name, offset: start, ...(contained !== undefined && { root: contained }) }]
      const own = skipModifiers(btf, id)
      return type.members.flatMap((member, i) =>
        specialFields(btf, member.type, start + member.bitOffset / 8, containedIn(btf, own, i)),
      )
    }
    case 'datasec':
      return type.variables.flatMap(({ type: variable, offset }) => {
        const declared = typeById(btf, variable)
        if (declared.kind !== 'var') return []
        return specialFields(btf, declared.type, start + offset, containedIn(btf, variable, WHOLE))
      })
    case 'array': {
      const size = sizeOf(btf, type.type)
      if (specialFields(btf, type.type).length === 0) return []
      return Array.from({ length: type.length }, (_unused, i) =>
        specialFields(btf, type.type, start + i * size, contained),
      ).flat()
    }
    case 'ptr': {
      const tag = typeById(btf, type.type)
      if (tag.kind !== 'type_tag' || !KPTR_TAGS.has(tag.name)) return []
      const targetType = skipModifiers(btf, tag.type)
      return [{ kind: tag.name, offset: start, target: nameOf(btf, tag.type), targetType }]
    }
    default:
      return []
  }
}

/** Component of a declaration tag that is of the variable or type itself, not of a member. */
const WHOLE = -1
const CONTAINS = 'contains:'

/** `contains:node:link`: the elements are structs `node`, whose member `link` is their node. */
function containedIn(btf: Btf, type: TypeId, component: number): SpecialField['root'] {
  const text = declarationTags(btf, type, component).find((name) => name.startsWith(CONTAINS))
  if (text === undefined) return undefined
  const [struct = '', member = ''] = text.slice(CONTAINS.length).split(':')
  const id = btf.find(struct).find((one) => typeById(btf, one).kind === 'struct')
  const element = id === undefined ? undefined : typeById(btf, id)
  if (id === undefined || element?.kind !== 'struct') return undefined
  const node = element.members.find(({ name }) => name === member)
  return node === undefined ? undefined : { type: id, node: node.bitOffset / 8 }
}

const tagsOf = new WeakMap<Btf, ReadonlyMap<TypeId, readonly BtfTypeOf<'decl_tag'>[]>>()

/** Declaration tags of a type, variable or function, or of one of its members or parameters. */
export function declarationTags(btf: Btf, type: TypeId, component: number): readonly string[] {
  let all = tagsOf.get(btf)
  if (all === undefined) {
    const found = new Map<TypeId, BtfTypeOf<'decl_tag'>[]>()
    for (const tag of btf.types) {
      if (tag.kind !== 'decl_tag') continue
      const list = found.get(tag.type)
      if (list === undefined) found.set(tag.type, [tag])
      else list.push(tag)
    }
    tagsOf.set(btf, (all = found))
  }
  return (all.get(type) ?? []).flatMap((tag) => (tag.component === component ? [tag.name] : []))
}

const EXCEPTION_CALLBACK = 'exception_callback:'

/** Functions that a program's declaration tags name as what its exceptions run. @param main type of the program's function */
export function exceptionCallbackNames(btf: Btf, main: TypeId): readonly string[] {
  return declarationTags(btf, main, WHOLE).flatMap((tag) =>
    tag.startsWith(EXCEPTION_CALLBACK) ? [tag.slice(EXCEPTION_CALLBACK.length)] : [],
  )
}
