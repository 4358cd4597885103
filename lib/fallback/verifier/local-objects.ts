/** Objects that the program makes: bpf_obj_new(), bpf_percpu_obj_new(), bpf_refcount_acquire(), and what gives them back. */
import { resolveType } from '../../btf/query.js'
import type { Btf, TypeId } from '../../btf/types.js'
import { objectPointer } from './kernel-pointers.js'
import { isStruct, type StructType } from './kernel-types.js'
import { fieldsOf, isUntold } from './local-types.js'
import { invalid, Unmodelled } from './rejection.js'
import { FLAG, KIND, type Register } from './values/register.js'
import type { Verification } from './verification.js'

/** Bytes of the largest per-CPU object. */
const MAX_PERCPU = 512
const U32_MAX = 0xffff_ffff

/** @param type number of the type in the program's BTF */
export function newObject(env: Verification, type: number, perCpu: boolean): Register {
  if (type < 0 || type > U32_MAX) invalid('local type ID argument must be in range [0, U32_MAX]')
  const { locals } = env
  if (locals.btf === undefined) env.assume("bpf_obj_new(): the program's types aren't told")
  const struct = locals.struct(type)
  if (struct === undefined)
    return invalid('bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct')
  if (perCpu && locals.btf !== undefined) checkPerCpu(env, struct)
  // Linux looks at the fields as it loads the types.
  else locals.fieldsOf(struct)
  return objectPointer(struct, perCpu ? FLAG.ALLOC | FLAG.PERCPU : FLAG.ALLOC)
}

function checkPerCpu({ locals }: Verification, struct: StructType): void {
  const size = struct.composite?.size ?? 0
  if (size > MAX_PERCPU) invalid(`bpf_percpu_obj_new type size (${size}) is greater than ${MAX_PERCPU}`)
  if (struct.btf === undefined || !hasOnlyNumbers(struct.btf, struct.id, 0))
    invalid('bpf_percpu_obj_new type ID argument must be of a struct of scalars')
  if (locals.fieldsOf(struct).length > 0)
    invalid('bpf_percpu_obj_new type ID argument must not contain special fields')
}

const MAX_DEPTH = 4

/** Whether a struct or union has numbers alone, in any depth; arrays, of numbers. */
export function hasOnlyNumbers(btf: Btf, id: TypeId, depth: number): boolean {
  const type = resolveType(btf, id)
  if (!isStruct(type) || depth >= MAX_DEPTH) return false
  return type.members.every(({ type: member }) => {
    const inner = resolveType(btf, member)
    if (isStruct(inner)) return hasOnlyNumbers(btf, member, depth + 1)
    if (inner.kind !== 'array') return isNumber(inner.kind)
    return inner.length > 0 && isNumber(resolveType(btf, inner.type).kind)
  })
}

function isNumber(kind: string): boolean {
  return kind === 'int' || kind === 'enum'
}

/** The argument of bpf_obj_drop() or bpf_percpu_obj_drop(). */
export function checkDropped(kfunc: string, number: number, { kind, flags, refId }: Register): void {
  const isObject = kind === KIND.BTF_ID
  if (isObject && flags === FLAG.ALLOC) {
    if (kfunc !== 'bpf_obj_drop_impl') invalid(`arg#${number - 1} expected for bpf_obj_drop_impl()`)
  } else if (isObject && flags === (FLAG.ALLOC | FLAG.PERCPU)) {
    if (kfunc !== 'bpf_percpu_obj_drop_impl')
      invalid(`arg#${number - 1} expected for bpf_percpu_obj_drop_impl()`)
  } else invalid(`arg#${number - 1} expected pointer to allocated object`)
  if (refId === 0) invalid('allocated object must be referenced')
}

/** The argument of bpf_refcount_acquire(). */
export function checkCounted(env: Verification, number: number, register: Register): void {
  const { kind, flags } = register
  if (kind !== KIND.BTF_ID || (flags & FLAG.ALLOC) === 0)
    invalid(`arg#${number - 1} is neither owning or non-owning ref`)
  if (isUntold(register)) return
  const fields = fieldsOf(env.locals, register)
  // Linux expects that there are any, and refuses objects without as a bug of its own.
  if (fields.length === 0)
    throw new Unmodelled('bpf_refcount_acquire() of objects in which nothing is counted')
  if (!fields.some((field) => field.kind === 'bpf_refcount'))
    invalid(`arg#${number - 1} doesn't point to a type with bpf_refcount field`)
}
