/** What a map is below the seam: storage in the kernel's memory, with Linux's error numbers. */
import type { Access } from '../memory.js'

/** Size of a page: sizes of ring buffers are multiples of it, as on x86-64. */
export const PAGE_SIZE = 4096

/** What `BPF_MAP_CREATE` takes, as far as the maps here look at it. */
export interface MapAttributes {
  readonly name: string
  /** BPF_MAP_TYPE_*. */
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  /** BPF_F_*. */
  readonly flags: number
  readonly mapExtra: bigint
}

/**
 * A map's storage.
 *
 * Keys come from anywhere (`bytes` at `at`: a caller's buffer, or the kernel's memory); values are named by their address. Operations
 * return 0 or a negative errno: no allocation and no exception on the way of a program.
 */
export interface MapStorage {
  /** Address of the element that user space and programs see, or 0. `cpu` matters to per-CPU maps alone. */
  lookup(bytes: Uint8Array, at: number, cpu: number): number
  /** @returns 0, or a negative errno */
  update(bytes: Uint8Array, at: number, value: Uint8Array, valueAt: number, flags: number, cpu: number): number
  /** @returns 0, or a negative errno */
  delete(bytes: Uint8Array, at: number): number
  /** As `BPF_MAP_GET_NEXT_KEY`. @returns 0, or -ENOENT at the end */
  nextKey(bytes: Uint8Array | null, next: Uint8Array): number
  /** Where and how long the memory is that may be mapped, if there is any. */
  readonly mapped: { readonly address: number; readonly size: number } | undefined
  /** Elements in the order of `nextKey`, for bpf_for_each_map_elem: calls `visit(key address, value address)` until it returns false. */
  forEach?(cpu: number, visit: (key: number, value: number) => boolean): number
  /** Gives its memory back. */
  destroy(): void
}

/** Value used for every CPU at once in {@link MapStorage.update}: user space writes all of them. */
export const ALL_CPUS = -1

export type { Access }
