/** Spin locks, timers and the like: fields of map values, and locks in objects of the program. */
import { fieldsOf, isUntold } from './local-types.js'
import { hasField } from './map-compatibility.js'
import type { VerifierMap } from './program.js'
import { denied, invalid, Unmodelled } from './rejection.js'
import { mapRegisters, type Reference, type State } from './state.js'
import { FLAG, KIND, type Register } from './values/register.js'
import { constantNumber } from './values/numbers.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

/** Checks that a pointer is to the field of its map's values. */
export function checkField(
  number: number,
  register: Register,
  kind: 'bpf_timer' | 'bpf_wq' | 'bpf_task_work',
): void {
  if (!isConst(register))
    invalid(`R${number} doesn't have constant offset. ${kind} has to be at the constant offset`)
  const { map } = register
  if (map === undefined) throw new Unmodelled(`${kind} outside of maps`)
  if (!map.hasTypes) invalid(`map '${map.name}' has to have BTF in order to use ${kind}`)
  if (!hasField(map, kind)) invalid(`map '${map.name}' has no valid ${kind}`)
  checkPlace(map.specialFields, kind, register)
}

function checkPlace(fields: VerifierMap['specialFields'], kind: string, register: Register): void {
  const field = fields.find((special) => special.kind === kind)
  const offset = constantNumber(register) + register.offset
  if (field !== undefined && field.offset !== offset)
    invalid(`off ${offset} doesn't point to 'struct ${kind}' that is at ${field.offset}`)
}

/** How messages call locks of a kind. */
type LockKind = Exclude<Reference['kind'], 'pointer' | 'irq'>
const PREFIX: Readonly<Record<LockKind, string>> = {
  lock: 'bpf_spin',
  res_lock: 'bpf_res_spin',
  res_lock_irq: 'bpf_res_spin',
}

export function isLock({ kind }: Reference): boolean {
  return kind !== 'pointer' && kind !== 'irq'
}

/** Checks that a pointer is to a lock. @returns what owns it: a map, or the types of the program */
function checkLock(env: Verification, number: number, register: Register, kind: LockKind): unknown {
  const prefix = PREFIX[kind]
  if (!isConst(register))
    invalid(`R${number} doesn't have constant offset. ${prefix}_lock has to be at the constant offset`)
  if (isUntold(register)) return env.locals
  const map = register.kind === KIND.MAP_VALUE ? register.map : undefined
  if (map?.hasTypes === false) invalid(`map '${map.name}' has to have BTF in order to use ${prefix}_lock`)
  const fields = fieldsOf(env.locals, register)
  if (!fields.some((field) => field.kind === `${prefix}_lock`))
    invalid(`${map === undefined ? "local 'kptr'" : `map '${map.name}'`} has no valid ${prefix}_lock`)
  checkPlace(fields, `${prefix}_lock`, register)
  return map ?? env.locals
}

export function lock(env: Verification, number: number, register: Register, kind: LockKind = 'lock'): void {
  const owner = checkLock(env, number, register, kind)
  if (env.state.activeLocks > 0) {
    if (kind === 'lock') invalid('Locking two bpf_spin_locks are not allowed')
    const isHeld = env.state.references.some(
      (held) => held.kind.startsWith('res_lock') && held.id === register.id && held.owner === owner,
    )
    if (isHeld) invalid('Acquiring the same lock again, AA deadlock detected')
  }
  env.addReference(kind, register.id, owner)
}

export function unlock(env: Verification, number: number, register: Register, kind: LockKind = 'lock'): void {
  const owner = checkLock(env, number, register, kind)
  const { state } = env
  const prefix = PREFIX[kind]
  if (state.activeLocks === 0) invalid(`${prefix}_unlock without taking a lock`)
  const isThis = (one: Reference): boolean => one.id === register.id && one.owner === owner
  const held = state.references.find((one) => one.kind === kind && isThis(one))
  if (held === undefined) return invalid(`${prefix}_unlock of different lock`)
  // The last one that was taken is the first to be given back.
  const last = state.references.findLast(isLock)
  if (last === undefined || !isThis(last)) invalid(`${prefix}_unlock cannot be out of order`)
  state.references = state.references.filter((reference) => reference !== held)
  state.activeLocks--
  forgetBorrowed(env, state)
}

/** What a graph owns may be taken out of it by others from here on. */
function forgetBorrowed(env: Verification, state: State): void {
  mapRegisters(state, (register) =>
    (register.flags & FLAG.NON_OWNING) !== 0 && register.kind === KIND.BTF_ID ? env.remains : register,
  )
}

/** Whether what a pointer is to, a value or an object of the program, is locked by its own lock. */
export function isLocked(env: Verification, register: Register): boolean {
  const { state, locals } = env
  if (state.activeLocks === 0) return false
  const owner = register.kind === KIND.MAP_VALUE ? register.map : locals
  return state.references.some((one) => isLock(one) && one.id === register.id && one.owner === owner)
}

/** In the callback that compares nodes of a tree, which is locked. */
export function isComparingNodes({ state }: Verification): boolean {
  return state.frames.length > 1 && state.current.callback?.helper === 'rbtree_add'
}

/** bpf_spin_lock() and bpf_spin_unlock(). */
export function checkNotComparing(env: Verification): void {
  if (isComparingNodes(env)) denied("can't spin_{lock,unlock} in rbtree cb")
}

/** Notes the map that a field lies in. */
export function noteMap(
  facts: { map: VerifierMap | undefined; mapUid: number },
  { map, mapUid }: Register,
): void {
  facts.map = map
  facts.mapUid = mapUid
}
