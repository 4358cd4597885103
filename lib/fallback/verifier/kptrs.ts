/** Pointers to kernel objects in values of maps (kptrs): loaded, stored, and exchanged. */
import { isInRcuSection, objectPointer } from './kernel-pointers.js'
import type { StructType } from './kernel-types.js'
import { fieldsOf, isUntold, pointedStruct } from './local-types.js'
import { checkNoOffset } from './pointer-offsets.js'
import type { SpecialField, VerifierMap } from './program.js'
import { denied, invalid, Unmodelled } from './rejection.js'
import { mapRegisters } from './state.js'
import { holdsStruct } from './struct-walk.js'
import { typeName } from './type-names.js'
import { constantNumber } from './values/numbers.js'
import { cloneRegister, FLAG, isKnownZero, KIND, pointer, type Register } from './values/register.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

/** Kinds of fields that are pointers to kernel objects. */
const KPTRS: ReadonlySet<string> = new Set(['kptr', 'kptr_untrusted', 'percpu_kptr', 'uptr'])
const BYTES = 8

/** Objects that stay until a grace period has passed, once they are in a map. */
const PROTECTED: ReadonlySet<string> = new Set([
  'prog_test_ref_kfunc',
  'cgroup',
  'bpf_cpumask',
  'task_struct',
  'bpf_crypto_ctx',
])

export function isKptr({ kind }: SpecialField): boolean {
  return KPTRS.has(kind)
}

/** What an access of such a field must be. @param isDirect a load or store, no helper's */
export function checkKptrAccess(
  base: Register,
  offset: number,
  size: number,
  field: SpecialField,
  isDirect: boolean,
): void {
  const name = field.kind === 'kptr_untrusted' ? 'kptr' : field.kind
  if (!isDirect) denied(`${name} cannot be accessed indirectly by helper`)
  if (!isConst(base)) denied(`${name} access cannot have variable offset`)
  const at = offset + constantNumber(base)
  if (at !== field.offset) denied(`${name} access misaligned expected=${field.offset} off=${at}`)
  if (size !== BYTES) denied(`${name} access size must be BPF_DW`)
}

/** The field of a value that an access at a fixed place is to; undefined: none. */
export function kptrAt({ specialFields }: VerifierMap, offset: number): SpecialField | undefined {
  return specialFields.find((field) => field.offset === offset && isKptr(field))
}

function targetOf(env: Verification, field: SpecialField): StructType {
  const struct = pointedStruct(env.kernel, env.locals, field)
  if (struct?.composite === undefined) throw new Unmodelled(`${field.kind} to struct ${field.target ?? ''}`)
  return struct
}

/** Memory of the task's user space, of the size of the type that it has there. */
function loadUptr(env: Verification, { targetType, target = '' }: SpecialField): Register {
  const struct = targetType === undefined ? undefined : env.locals.struct(targetType)
  if (struct?.composite === undefined) throw new Unmodelled(`uptr to struct ${target}`)
  const memory = pointer(KIND.MEM, FLAG.MAYBE_NULL)
  memory.range = struct.composite.size
  memory.id = env.newId()
  return memory
}

export function loadKptr(env: Verification, field: SpecialField): Register {
  if (field.kind === 'uptr') return loadUptr(env, field)
  const struct = targetOf(env, field)
  const object = objectPointer(struct, FLAG.MAYBE_NULL | trustOf(env, field, struct))
  object.id = env.newId()
  return object
}

function trustOf(env: Verification, { kind }: SpecialField, { local, name }: StructType): number {
  const isPerCpu = kind === 'percpu_kptr'
  const isProtected = isPerCpu || (kind === 'kptr' && (local || PROTECTED.has(name)))
  if (!isProtected || !isInRcuSection(env)) return FLAG.UNTRUSTED
  return FLAG.RCU | (isPerCpu ? FLAG.PERCPU : local ? FLAG.ALLOC : 0)
}

/** @param stored undefined: a constant, `imm` */
export function storeKptr(
  env: Verification,
  field: SpecialField,
  number: number,
  stored: Register | undefined,
  imm: number,
): void {
  if (field.kind === 'uptr') denied('store to uptr disallowed')
  if (field.kind !== 'kptr_untrusted') denied('store to referenced kptr disallowed')
  if (stored === undefined) {
    if (imm !== 0) denied(`BPF_ST imm must be 0 when storing to kptr at off=${field.offset}`)
    return
  }
  if (!isKnownZero(stored)) checkMatch(env, field, number, stored)
}

function checkMatch(env: Verification, field: SpecialField, number: number, register: Register): void {
  const struct = targetOf(env, field)
  const isUnreferenced = field.kind === 'kptr_untrusted'
  const allowed =
    register.struct?.local === true
      ? FLAG.MAYBE_NULL | FLAG.ALLOC | (field.kind === 'percpu_kptr' ? FLAG.PERCPU : 0)
      : FLAG.MAYBE_NULL | FLAG.TRUSTED | FLAG.RCU | (isUnreferenced ? FLAG.UNTRUSTED : 0)
  const isObject = register.kind === KIND.BTF_ID && (register.flags & ~allowed) === 0
  if (isObject) {
    checkNoOffset(number, register, true)
    const own = register.struct
    const fits = isUnreferenced
      ? own !== undefined && holdsStruct(own, register.offset, struct)
      : own === struct && register.offset === 0
    if (fits) return
  }
  const alternative = isUnreferenced ? ` or untrusted_ptr_${struct.name}` : ''
  // Linux says so at any such access.
  denied(
    `invalid kptr access, R${number} type=${typeName(register)}${register.struct?.name ?? ''} expected=ptr_${struct.name}${alternative}`,
  )
}

/** bpf_kptr_xchg(): the field that its first argument points to, in a value or in an object of the program. */
export function exchangedField(env: Verification, number: number, register: Register): SpecialField {
  const { map } = register
  if (register.kind === KIND.MAP_VALUE && map?.hasTypes === false)
    invalid(`map '${map.name}' has to have BTF in order to use bpf_kptr_xchg`)
  if (!isConst(register))
    invalid(`R${number} doesn't have constant offset. kptr has to be at the constant offset`)
  if (isUntold(register))
    throw new Unmodelled("bpf_kptr_xchg() in an object: the program's types aren't told")
  const kptrs = fieldsOf(env.locals, register).filter((one) => isKptr(one) && one.kind !== 'uptr')
  if (kptrs.length === 0) invalid(`R${number} has no valid kptr`)
  const offset = register.offset + constantNumber(register)
  const field = kptrs.find((one) => one.offset === offset)
  if (field === undefined) return denied(`off=${offset} doesn't point to kptr`)
  if (field.kind === 'kptr_untrusted') denied(`off=${offset} kptr isn't referenced kptr`)
  return field
}

/** What is put in must be such an object, and the program's own. */
export function checkExchanged(
  env: Verification,
  field: SpecialField,
  number: number,
  register: Register,
): void {
  if (isKnownZero(register)) return
  if ((register.flags & FLAG.MAYBE_NULL) !== 0) {
    // Linux doesn't expect an unchecked one of the program's own, and refuses it as a bug of its own.
    if ((register.flags & FLAG.ALLOC) !== 0) throw new Unmodelled('bpf_kptr_xchg() of what may be null')
    denied(`Possibly NULL pointer passed to helper arg${number}`)
  }
  checkMatch(env, field, number, register)
}

/** What was put in is the map's; per-CPU objects may still be used where a grace period keeps them. */
export function releaseExchanged(env: Verification, id: number): boolean {
  if (!env.dropReference(id)) return false
  const perCpu = FLAG.ALLOC | FLAG.PERCPU
  const isKept = isInRcuSection(env)
  mapRegisters(env.state, (register) => {
    if (register.refId !== id) return register
    if (!isKept || register.kind !== KIND.BTF_ID || (register.flags & perCpu) !== perCpu) return env.remains
    const kept = cloneRegister(register)
    kept.refId = 0
    kept.flags = (register.flags & ~FLAG.ALLOC) | FLAG.RCU
    return kept
  })
  return true
}

/** What was in the field is the program's from here on. */
export function exchangedPointer(env: Verification, field: SpecialField): Register {
  const struct = targetOf(env, field)
  const own = struct.local ? FLAG.ALLOC | (field.kind === 'percpu_kptr' ? FLAG.PERCPU : 0) : 0
  const object = objectPointer(struct, FLAG.MAYBE_NULL | own)
  // Linux gives it an id of its own first.
  env.newId()
  object.id = object.refId = env.newId()
  env.addReference('pointer', object.id, undefined)
  return object
}
