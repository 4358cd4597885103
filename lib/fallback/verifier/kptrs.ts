/** Pointers to kernel objects in values of maps (kptrs): loaded, stored, and exchanged. */
import { isInRcuSection, objectPointer } from './kernel-pointers.js'
import type { StructType } from './kernel-types.js'
import { checkNoOffset } from './pointer-offsets.js'
import type { SpecialField, VerifierMap } from './program.js'
import { denied, invalid, Unmodelled } from './rejection.js'
import { holdsStruct } from './struct-walk.js'
import { typeName } from './type-names.js'
import { constantNumber } from './values/numbers.js'
import { FLAG, isKnownZero, KIND, type Register } from './values/register.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

/** Kinds of fields that are pointers to kernel objects. */
const KPTRS: ReadonlySet<string> = new Set(['kptr', 'kptr_untrusted', 'percpu_kptr'])
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
  const name = field.kind === 'percpu_kptr' ? 'percpu_kptr' : 'kptr'
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

function targetOf(env: Verification, { kind, target }: SpecialField): StructType {
  const struct = env.kernel.structs.named(target ?? '')
  if (kind === 'percpu_kptr' || target === undefined || struct.composite === undefined)
    throw new Unmodelled(`${kind} to struct ${target ?? ''}`)
  return struct
}

export function loadKptr(env: Verification, field: SpecialField): Register {
  const struct = targetOf(env, field)
  const isSafe = field.kind === 'kptr' && PROTECTED.has(struct.name) && isInRcuSection(env)
  const pointer = objectPointer(struct, FLAG.MAYBE_NULL | (isSafe ? FLAG.RCU : FLAG.UNTRUSTED))
  pointer.id = env.newId()
  return pointer
}

/** @param stored undefined: a constant, `imm` */
export function storeKptr(
  env: Verification,
  field: SpecialField,
  number: number,
  stored: Register | undefined,
  imm: number,
): void {
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
  const allowed = FLAG.MAYBE_NULL | FLAG.TRUSTED | FLAG.RCU | (isUnreferenced ? FLAG.UNTRUSTED : 0)
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

/** bpf_kptr_xchg(): the field that its first argument points to. */
export function exchangedField(number: number, register: Register): SpecialField {
  const { map } = register
  if (map === undefined) throw new Unmodelled('bpf_kptr_xchg() in objects of the program')
  if (!isConst(register))
    invalid(`R${number} doesn't have constant offset. kptr has to be at the constant offset`)
  if (!map.hasTypes) invalid(`map '${map.name}' has to have BTF in order to use bpf_kptr_xchg`)
  if (!map.specialFields.some(isKptr)) invalid(`R${number} has no valid kptr`)
  const offset = register.offset + constantNumber(register)
  const field = kptrAt(map, offset)
  if (field === undefined) denied(`off=${offset} doesn't point to kptr`)
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
  if (!isKnownZero(register)) checkMatch(env, field, number, register)
}

/** What was in the field is the program's from here on. */
export function exchangedPointer(env: Verification, field: SpecialField): Register {
  const pointer = objectPointer(targetOf(env, field), FLAG.MAYBE_NULL)
  pointer.id = pointer.refId = env.newId()
  env.addReference('pointer', pointer.id, undefined)
  return pointer
}
