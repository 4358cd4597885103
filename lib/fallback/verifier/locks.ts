/** Spin locks and timers in map values. */
import { hasField } from './map-compatibility.js'
import { invalid, Unmodelled } from './rejection.js'
import type { Register } from './values/register.js'
import { constantNumber } from './values/numbers.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

/** Checks that a pointer is to the field of its map's values. */
export function checkField(number: number, register: Register, kind: 'bpf_spin_lock' | 'bpf_timer'): void {
  if (!isConst(register))
    invalid(`R${number} doesn't have constant offset. ${kind} has to be at the constant offset`)
  const { map } = register
  if (map === undefined) throw new Unmodelled(`${kind} outside of maps`)
  if (!map.hasTypes) invalid(`map '${map.name}' has to have BTF in order to use ${kind}`)
  if (!hasField(map, kind)) invalid(`map '${map.name}' has no valid ${kind}`)
  const field = map.specialFields.find((special) => special.kind === kind)
  const offset = constantNumber(register) + register.offset
  if (field !== undefined && field.offset !== offset)
    invalid(`off ${offset} doesn't point to 'struct ${kind}' that is at ${field.offset}`)
}

export function lock(env: Verification, number: number, register: Register): void {
  checkField(number, register, 'bpf_spin_lock')
  if (env.state.activeLocks > 0) invalid('Locking two bpf_spin_locks are not allowed')
  env.addReference('lock', register.id, register.map)
}

export function unlock(env: Verification, number: number, register: Register): void {
  checkField(number, register, 'bpf_spin_lock')
  const { state } = env
  if (state.activeLocks === 0) invalid('bpf_spin_unlock without taking a lock')
  const held = state.references.find(
    ({ kind, id, owner }) => kind === 'lock' && id === register.id && owner === register.map,
  )
  if (held === undefined) invalid('bpf_spin_unlock of different lock')
  state.references = state.references.filter((reference) => reference !== held)
  state.activeLocks--
}
