/** Counters of what found no room in a ring: those that bpf/include/libbpf_node/drops.h defines. */
import { BpfError } from './errors.js'
import type { KernelMap } from './kernel.js'
import { BPF_MAP_TYPE, mapTypeName } from './linux/map-types.js'

/** The program's count so far. */
export type DropCounter = () => number | bigint

/** Finds another map of the same object. Throws where there is none of that name. */
export type SiblingMap = (name: string) => KernelMap

/** Where the count is: a function that reads it; the name of a counter map; `true`, the map that the header names after the ring. */
export type DropSource = DropCounter | string | boolean

/** @throws BpfError `NOT_FOUND`, or `BAD_VALUE` for a map that is no counter */
export function dropCounter(
  source: DropSource | undefined,
  ring: string,
  sibling: SiblingMap,
): DropCounter | undefined {
  if (source === undefined || source === false) return undefined
  if (typeof source === 'function') return source
  if (source !== true && typeof source !== 'string') {
    throw new BpfError(
      'BAD_VALUE',
      `option dropped must be a function, the name of a counter map, or true, not ${typeof source}`,
    )
  }
  const map = sibling(source === true ? `${ring}_drops` : source)
  const { name, type, valueSize, maxEntries, bufferSize } = map.info
  if (type !== BPF_MAP_TYPE.PERCPU_ARRAY || valueSize !== 8 || maxEntries !== 1) {
    throw new BpfError(
      'BAD_VALUE',
      `map '${name}' is no drop counter: it is of type ${mapTypeName(type)}, with ${maxEntries} entries of ${valueSize} bytes`,
      {
        hint: 'A drop counter is a per-CPU array with one 64-bit number: LIBBPF_NODE_DROPS() of libbpf_node/drops.h',
      },
    )
  }
  const key = new Uint8Array(4)
  const counts = new BigUint64Array(bufferSize / 8)
  const bytes = new Uint8Array(counts.buffer)
  return () => {
    map.lookup(key, bytes, 0)
    return counts.reduce((sum, count) => sum + count, 0n)
  }
}
