/** BPF_MAP_TYPE_BLOOM_FILTER: kernel/bpf/bloom_filter.c. A set that may say yes to what was never put in. Linux 5.16. */
import { BPF_UPDATE_FLAGS } from '../../linux/map-types.js'
import { EINVAL, ENOENT, EOPNOTSUPP } from '../errors.js'
import type { MapAttributes, MapStorage } from './types.js'

const DEFAULT_HASHES = 5
const MOST_HASHES = 15
const MOST_BITS = 2 ** 31

export function createBloomFilter(attributes: MapAttributes): MapStorage {
  const { valueSize, maxEntries, mapExtra } = attributes
  const hashes = Number(mapExtra) & MOST_HASHES || DEFAULT_HASHES
  // Bits for a rate of wrong answers that the number of hashes is best for: hashes / ln 2 an entry.
  const wanted = Math.ceil((maxEntries * hashes * 7) / 5)
  const bits = Math.min(MOST_BITS, Math.max(64, 2 ** Math.ceil(Math.log2(wanted))))
  const words = new Uint32Array(bits / 32)

  function each(value: Uint8Array, at: number, visit: (word: number, bit: number) => boolean): boolean {
    for (let seed = 1; seed <= hashes; seed++) {
      const hash = hashOf(value, at, valueSize, seed) % bits
      if (!visit(hash >>> 5, 1 << (hash & 31))) return false
    }
    return true
  }

  function push(value: Uint8Array, at: number, flags: number): number {
    if (flags !== BPF_UPDATE_FLAGS.BPF_ANY) return EINVAL
    each(value, at, (word, bit) => {
      words[word] = (words[word] ?? 0) | bit
      return true
    })
    return 0
  }

  function contains(value: Uint8Array, at: number): boolean {
    return each(value, at, (word, bit) => ((words[word] ?? 0) & bit) !== 0)
  }

  return {
    attributes,
    bufferSize: valueSize,
    lookup: () => 0,
    lookupAll: () => 0,
    update: () => EINVAL,
    updateAll: (_bytes, _at, value, valueAt, flags) => push(value, valueAt, flags),
    delete: () => EOPNOTSUPP,
    nextKey: () => EOPNOTSUPP,
    sequence: {
      push,
      take: () => EOPNOTSUPP,
      peek: undefined,
      contains: (value, at) => (contains(value, at) ? 0 : ENOENT),
    },
    forEach: undefined,
    mapped: undefined,
    direct: undefined,
    destroy: () => {},
  }
}

/** FNV-1a with a seed, finished so that all bits depend on all bytes. */
function hashOf(bytes: Uint8Array, at: number, size: number, seed: number): number {
  let hash = 0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1)
  for (let i = at; i < at + size; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
