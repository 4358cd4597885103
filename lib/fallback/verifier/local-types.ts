/** Types of objects that programs make: structs of the program's own BTF, and the fields in them that the kernel manages. */
import { resolveType, typeById } from '../../btf/query.js'
import type { Btf, TypeId } from '../../btf/types.js'
import { specialFields } from './function-types.js'
import { isStruct, type KernelTypes, StructSpace, StructType } from './kernel-types.js'
import type { SpecialField } from './program.js'
import { Unmodelled } from './rejection.js'
import { FLAG, KIND, type Register } from './values/register.js'

/** What the kernel manages in objects; anything else is mere bytes there. */
const MANAGED: ReadonlySet<string> = new Set([
  'bpf_spin_lock',
  'bpf_res_spin_lock',
  'bpf_list_head',
  'bpf_list_node',
  'bpf_rb_root',
  'bpf_rb_node',
  'bpf_refcount',
  'kptr',
  'kptr_untrusted',
  'percpu_kptr',
])

const NONE: readonly SpecialField[] = []

/**
 * Where the program's types aren't told, any number may be that of a struct, and anything may lie in it: the walk goes on as if all that the program
 * does with it were right. What is refused nevertheless is wrong whatever the types are; what isn't, isn't accepted either.
 */
export class LocalTypes {
  readonly #space: StructSpace
  readonly #fields = new Map<StructType, readonly SpecialField[]>()
  readonly #untold = new Map<TypeId, StructType>()

  constructor(readonly btf: Btf | undefined) {
    this.#space = new StructSpace(btf, true)
  }

  /** undefined: it is no struct. */
  struct(id: TypeId): StructType | undefined {
    const { btf } = this
    if (btf === undefined) return this.#untoldStruct(id)
    const type = btf === undefined || id < 0 || id >= btf.types.length ? undefined : typeById(btf, id)
    return type?.kind === 'struct' ? this.#space.struct(id) : undefined
  }

  #untoldStruct(id: TypeId): StructType {
    let struct = this.#untold.get(id)
    if (struct === undefined) this.#untold.set(id, (struct = new StructType('', undefined, id, true)))
    return struct
  }

  /** Empty: the kernel manages nothing in it. */
  fieldsOf(struct: StructType): readonly SpecialField[] {
    let fields = this.#fields.get(struct)
    if (fields === undefined) this.#fields.set(struct, (fields = managedFields(struct)))
    return fields
  }
}

function managedFields({ btf, id, name, composite }: StructType): readonly SpecialField[] {
  if (btf === undefined || composite === undefined) return NONE
  const fields = specialFields(btf, id).filter(({ kind }) => MANAGED.has(kind))
  // Linux looks for such structs by their own members.
  const isDirect = composite.members.some(({ type }) => {
    const member = resolveType(btf, type)
    return member.kind === 'ptr' || (isStruct(member) && MANAGED.has(member.name))
  })
  if (fields.length > 0 && !isDirect) throw new Unmodelled(`struct ${name}, whose structs the kernel manages`)
  const has = (kind: string): boolean => fields.some((field) => field.kind === kind)
  if (has('bpf_list_node') && has('bpf_rb_node') && !has('bpf_refcount'))
    throw new Unmodelled(
      `struct ${name}: Linux takes no types that are in lists and trees without being counted`,
    )
  return fields
}

/** The fields of what a pointer points to, a value or an object of the program, that the kernel manages. */
export function fieldsOf(
  locals: LocalTypes,
  { kind, flags, map, struct }: Register,
): readonly SpecialField[] {
  if (kind === KIND.MAP_VALUE) return map?.specialFields ?? NONE
  if (kind !== KIND.BTF_ID || (flags & FLAG.ALLOC) === 0 || struct === undefined) return NONE
  return locals.fieldsOf(struct)
}

/** Whether nothing is known of the object that a pointer is to but that the program has made it. */
export function isUntold({ kind, flags, struct }: Register): boolean {
  return kind === KIND.BTF_ID && (flags & FLAG.ALLOC) !== 0 && struct?.btf === undefined
}

/** Number that stands for the type of what a list or tree holds, where that isn't told. */
export const UNTOLD_ELEMENT = -1

/** Whether it is a node of such an element: where in it, isn't told either. */
export function isUntoldNode(register: Register): boolean {
  return isUntold(register) && register.struct?.id === UNTOLD_ELEMENT
}

/** Whether two pointers to it are told apart by their ids: by which of them is locked. */
export function holdsLock(locals: LocalTypes, register: Register): boolean {
  if (isUntold(register)) return true
  return fieldsOf(locals, register).some(
    ({ kind }) => kind === 'bpf_spin_lock' || kind === 'bpf_res_spin_lock',
  )
}

/** What a pointer in a value or an object is to: the kernel's struct of that name, or else the program's. */
export function pointedStruct(
  kernel: KernelTypes,
  locals: LocalTypes,
  { target, targetType }: SpecialField,
): StructType | undefined {
  if (target === undefined) return undefined
  const own = kernel.structs.named(target)
  if (own.composite !== undefined) return own
  if (kernel.btf === undefined || kernel.own || targetType === undefined) return undefined
  if (locals.btf === undefined) return undefined
  return locals.struct(targetType)
}
