/** Where the elements of a map lie in the kernel's memory: what compiled programs need to find them without a call. */
import type { Access } from '../memory.js'

interface Values {
  /** Bytes of a value, and what programs may do with them. */
  readonly valueSize: number
  readonly access: Access
}

export interface ArrayLayout extends Values {
  readonly kind: 'array'
  readonly keySize: 4
  /** Address of the first value, and bytes from one to the next. */
  readonly base: number
  readonly stride: number
  readonly maxEntries: number
  /** Bytes from one CPU's values to the next one's; 0: all CPUs see the same. */
  readonly perCpuStride: number
}

/**
 * A hash with chains. The element of a key is found through a table of i32 addresses, by the low bits of the key's hash; an element is its
 * key, at a fixed distance behind its start its value, and NEXT_OFFSET before it the address of the next one in its chain. 0 ends a chain.
 */
export interface HashLayout extends Values {
  readonly kind: 'hash'
  readonly keySize: number
  /** Address of the table. */
  readonly heads: number
  /** Chains, less one: a power of two less one. */
  readonly mask: number
  readonly valueOffset: number
  readonly perCpuStride: number
  /** Of an LRU map, the list of its elements: see lru-list.ts. 0: it keeps none. */
  readonly recent: number
}

export interface RingLayout {
  readonly kind: 'ring'
  /** Address of its block of words: see ring-control.ts. */
  readonly control: number
}

export type MapLayout = ArrayLayout | HashLayout | RingLayout

/** From an element of a hash to the address of the next one. */
export const NEXT_OFFSET = -8

/** Constants of the hash function: see {@link hashOf}. */
export const HASH = { SEED: 0x811c9dc5 | 0, MULTIPLIER: 0x9e3779b1 | 0, FINISH: 0x2c1b3c6d } as const

/** The hash of a key: word by word, then byte by byte what is left, finished so that low bits depend on all of it. */
export function hashOf(bytes: Uint8Array, at: number, size: number): number {
  let hash: number = HASH.SEED
  let i = at
  for (const end = at + size - 3; i < end; i += 4) {
    const word =
      (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8) | ((bytes[i + 2] ?? 0) << 16) | ((bytes[i + 3] ?? 0) << 24)
    hash = Math.imul(hash ^ word, HASH.MULTIPLIER)
    hash ^= hash >>> 15
  }
  for (const end = at + size; i < end; i++) {
    hash = Math.imul(hash ^ (bytes[i] ?? 0), HASH.MULTIPLIER)
    hash ^= hash >>> 15
  }
  hash = Math.imul(hash, HASH.FINISH)
  return hash ^ (hash >>> 13)
}
