/** Who reads which ring: two readers of one would take each other's records, and half of them twice. */
import { BpfError } from './errors.js'
import type { KernelMap } from './kernel.js'

/** Ids of the rings that are being read, by kernel. */
const claims = new WeakMap<object, Set<number>>()

/**
 * Claims rings for a reader of this thread: all or none. The native kernel knows of those in other threads, too; of other processes' nobody does.
 *
 * @returns gives them free again
 * @throws BpfError `EBUSY` if one of them has a reader, or comes twice
 */
export function claimRings(maps: readonly KernelMap[]): () => void {
  const claimed: KernelMap[] = []
  const release = (): void => {
    for (const { realm, info } of claimed.splice(0)) claims.get(realm)?.delete(info.id)
  }
  for (const map of maps) {
    const { name, id } = map.info
    const ids = claims.get(map.realm) ?? new Set()
    if (ids.has(id)) {
      release()
      throw new BpfError('EBUSY', `ring buffer '${name}' has a reader already`, {
        hint: 'A record goes to one reader: close() the first one, or give it more listeners',
      })
    }
    claims.set(map.realm, ids.add(id))
    claimed.push(map)
  }
  return release
}
