/** Maps without an object: created, or found by id or pin. */
import { BpfError, systemError, unsupported } from '../../errors.js'
import type { KernelMap, MapAttributes, MapReference } from '../../kernel.js'
import { errno } from '../../linux/errno.js'
import { FallbackMap } from './kernel-map.js'
import { LoadedMap, type MapHost } from './loaded-map.js'

export function createKernelMap(host: MapHost, attributes: MapAttributes): KernelMap {
  const { name, type, keySize, valueSize, maxEntries, flags, mapExtra, inner } = attributes
  let innerMap: LoadedMap | undefined
  if (inner !== undefined) {
    innerMap = inner instanceof FallbackMap ? inner.share(host.memory) : undefined
    if (innerMap === undefined) {
      throw new BpfError(
        'BAD_VALUE',
        `map '${name}': its inner map '${inner.info.name}' is not in this kernel`,
      )
    }
  }
  try {
    const map = new LoadedMap(host, { name, type, keySize, valueSize, maxEntries, flags, mapExtra, innerMap })
    return new FallbackMap(host.memory, map)
  } finally {
    // What the template looks like is known now: it isn't held.
    innerMap?.release()
  }
}

export function openKernelMap(host: MapHost, reference: MapReference): KernelMap {
  if ('fd' in reference) throw unsupported('file descriptors of maps in the fallback kernel')
  const [call, subject, map] =
    'id' in reference
      ? ['bpf(BPF_MAP_GET_FD_BY_ID)', `map ${reference.id}`, byId(host, reference.id)]
      : ['bpf(BPF_OBJ_GET)', `map pinned at ${reference.pin}`, host.pins.get(reference.pin)]
  if (map === undefined) throw systemError(call, errno('ENOENT'), subject)
  return new FallbackMap(host.memory, map.retain())
}

function byId({ maps }: MapHost, id: number): LoadedMap | undefined {
  for (const map of maps.values()) if (map.id === id) return map
  return undefined
}
