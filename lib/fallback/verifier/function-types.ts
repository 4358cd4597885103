/** Functions and special fields of map values, from BTF. */
import { resolveType, sizeOf, typeById } from '../../btf/query.js'
import type { Btf, TypeId } from '../../btf/types.js'
import type { FunctionArgument, FunctionInfo, SpecialField } from './program.js'

const GLOBAL = 1

/** @param type a function's type */
export function functionInfo(btf: Btf, type: TypeId, start: number): FunctionInfo | undefined {
  const func = typeById(btf, type)
  if (func.kind !== 'func') return undefined
  const proto = typeById(btf, func.type)
  if (proto.kind !== 'func_proto') return undefined
  const tags = btf.types.filter((tag) => tag.kind === 'decl_tag' && tag.type === type)
  const args = proto.params.map((param, i) =>
    argument(
      btf,
      param.type,
      tags.flatMap((tag) =>
        tag.kind === 'decl_tag' && tag.component === i && tag.name.startsWith('arg:')
          ? [tag.name.slice(4)]
          : [],
      ),
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
  const typeName = nameOf(btf, id)
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

/** Fields of a value that aren't plain bytes, in any depth. */
export function specialFields(btf: Btf, id: TypeId, start = 0): readonly SpecialField[] {
  const type = resolveType(btf, id)
  switch (type.kind) {
    case 'struct':
    case 'union':
      if (SPECIAL.has(type.name)) return [{ kind: type.name, offset: start }]
      return type.members.flatMap((member) => specialFields(btf, member.type, start + member.bitOffset / 8))
    case 'array': {
      const size = sizeOf(btf, type.type)
      if (specialFields(btf, type.type).length === 0) return []
      return Array.from({ length: type.length }, (_unused, i) =>
        specialFields(btf, type.type, start + i * size),
      ).flat()
    }
    case 'ptr': {
      const tag = typeById(btf, type.type)
      if (tag.kind !== 'type_tag' || !KPTR_TAGS.has(tag.name)) return []
      return [{ kind: tag.name, offset: start, target: nameOf(btf, tag.type) }]
    }
    default:
      return []
  }
}
