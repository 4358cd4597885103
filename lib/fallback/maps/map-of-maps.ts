/** BPF_MAP_TYPE_ARRAY_OF_MAPS and BPF_MAP_TYPE_HASH_OF_MAPS: kernel/bpf/map_in_map.c. Linux 4.12. */
import { BPF_MAP_FLAGS, BPF_MAP_TYPE } from '../../linux/map-types.js'
import { EINVAL, ENOENT } from '../errors.js'
import { Access, type Memory } from '../memory.js'
import { u32 } from './array.js'
import type { HeldMap, MapAttributes, MapStorage } from './types.js'

/**
 * @param slots an array or a hash whose values, of 4 bytes, are addresses of maps here; 0: none. A program that looks up gets such an
 *   address, user space the map's id.
 */
export function createMapOfMaps(memory: Memory, attributes: MapAttributes, slots: MapStorage): MapStorage {
  const held = new Map<number, HeldMap>()
  const template = attributes.innerMap?.storage.attributes
  const idScratch = memory.alloc(4, Access.none, 8, `id in map '${attributes.name}'`)
  const address = new Uint8Array(4)

  function heldAt(bytes: Uint8Array, at: number): HeldMap | undefined {
    const slot = slots.lookupAll(bytes, at)
    return slot === 0 ? undefined : held.get(u32(memory.u8, slot))
  }

  function remove(bytes: Uint8Array, at: number): number {
    const old = heldAt(bytes, at)
    if (attributes.type === BPF_MAP_TYPE.HASH_OF_MAPS) {
      const error = slots.delete(bytes, at)
      if (error === 0) old?.release()
      return error
    }
    if (u32(bytes, at) >= attributes.maxEntries) return EINVAL
    if (old === undefined) return ENOENT
    address.fill(0)
    slots.updateAll(bytes, at, address, 0, 0)
    old?.release()
    return 0
  }

  return {
    attributes,
    bufferSize: 4,
    lookup: (bytes, at) => heldAt(bytes, at)?.address ?? 0,
    lookupAll(bytes, at) {
      const map = heldAt(bytes, at)
      if (map === undefined) return 0
      memory.view.setUint32(idScratch, map.id, true)
      return idScratch
    },
    // Values are file descriptors, and there are none here: updateMap() takes the map itself.
    update: () => EINVAL,
    updateAll: () => EINVAL,
    updateMap(bytes, at, map, flags) {
      if (template !== undefined && !alike(template, map.storage.attributes)) return EINVAL
      const old = heldAt(bytes, at)
      new DataView(address.buffer).setUint32(0, map.address, true)
      const error = slots.updateAll(bytes, at, address, 0, flags)
      if (error !== 0) return error
      map.retain()
      held.set(map.address, map)
      old?.release()
      return 0
    },
    delete: remove,
    nextKey: (key, next) => slots.nextKey(key, next),
    forEach: undefined,
    mapped: undefined,
    direct: undefined,
    destroy() {
      const key = new Uint8Array(attributes.keySize)
      const keys: Uint8Array[] = []
      for (let error = slots.nextKey(null, key); error === 0; error = slots.nextKey(key.slice(), key)) {
        keys.push(key.slice())
      }
      for (const each of keys) heldAt(each, 0)?.release()
      memory.free(idScratch)
      slots.destroy()
    },
  }
}

/** bpf_map_meta_equal(), and array_map_meta_equal(), which looks at the number of entries too. */
function alike(a: MapAttributes, b: MapAttributes): boolean {
  const sameShape =
    a.type === b.type && a.keySize === b.keySize && a.valueSize === b.valueSize && a.flags === b.flags
  if (a.type !== BPF_MAP_TYPE.ARRAY || (a.flags & BPF_MAP_FLAGS.BPF_F_INNER_MAP) !== 0) return sameShape
  return sameShape && a.maxEntries === b.maxEntries
}
