/** Pointers that may be null: what they are once that is known not to be so. */
import { cloneRegister, FLAG, KIND, type Register } from './values/register.js'

/** Fields whose functions take the map too. */
const BY_MAP: ReadonlySet<string> = new Set(['bpf_timer', 'bpf_wq', 'bpf_task_work'])
const XSKMAP = 17
const SOCKMAP = 15
const SOCKHASH = 18

/** A pointer that isn't null. */
export function notNull(register: Register): Register {
  const known = cloneRegister(register)
  known.flags &= ~FLAG.MAYBE_NULL
  if (known.kind === KIND.MAP_VALUE) notNullValue(known)
  return known
}

/** The same, of a pointer that no other is a copy of. */
export function markNotNull(register: Register): Register {
  return (register.flags & FLAG.MAYBE_NULL) === 0 ? register : notNull(register)
}

/** A value of a map of maps is a map; sockets of socket maps are sockets; values with a lock keep their id. */
function notNullValue(register: Register): void {
  const { map } = register
  if (map?.inner !== undefined) {
    register.kind = KIND.MAP_PTR
    register.map = map.inner
    // Timers and the like need to be told apart by the look-up that found their map.
    if (map.inner.specialFields.some(({ kind }) => BY_MAP.has(kind))) register.mapUid = register.id
    return
  }
  if (map?.type === XSKMAP) register.kind = KIND.XDP_SOCK
  else if (map?.type === SOCKMAP || map?.type === SOCKHASH) register.kind = KIND.SOCKET
}
