/** What is said of maps, and what their batches carry. */
import type { BpfError } from '../errors.js'

export interface MapInfo {
  readonly name: string
  readonly id: number
  readonly type: number
  readonly keySize: number
  readonly valueSize: number
  /** Bytes that a look-up fills: `valueSize`, or its 8-byte round-up times the possible CPUs for per-CPU maps. */
  readonly bufferSize: number
  readonly maxEntries: number
  readonly flags: number
}

/** What is seldom asked for, or may change. */
export interface MapDetails {
  readonly frozen: boolean
  /** Bytes of memory that the kernel charges for it, where it tells. */
  readonly memlock: number | undefined
  readonly mapExtra: bigint
  /** Network device that it is offloaded to; 0: none. */
  readonly ifindex: number
  /** Kernel id of its BTF, and the types there; 0: none. */
  readonly btfId: number
  readonly btfKeyType: number
  readonly btfValueType: number
}

/** Types of keys and values, for the kernel: storage maps and spin locks need them. */
export interface MapTypes {
  /** A BTF blob. */
  readonly btf: Uint8Array
  readonly keyType: number
  readonly valueType: number
}

/** How a map is found: kernel id, path in a BPF file system, or a file descriptor, which is duplicated. */
export type MapReference = { readonly id: number } | { readonly pin: string } | { readonly fd: number }

/** One BPF_MAP_*_BATCH call. Linux 5.6; which map types have which, the error tells. */
export type BatchOperation = 'lookup' | 'lookupAndDelete' | 'update' | 'delete'

/** Entries side by side: key `i` at `i * keySize`, value `i` at `i * bufferSize`. */
export interface MapBatch {
  /** A walk starts: `cursor` says nothing yet. Without meaning for `update` and `delete`, as is the cursor. */
  readonly first: boolean
  /** Where a walk stands: max(4, keySize) bytes, written by each call. */
  readonly cursor: Uint8Array
  readonly keys: Uint8Array
  /** Not looked at by `delete`. */
  readonly values: Uint8Array
  /** Entries asked for, or given. */
  readonly count: number
  /** BPF_F_LOCK, or 0. */
  readonly flags: number
}

export interface BatchOutcome {
  /** Entries that were read or done. A walk's batch may be shorter than asked for without being the last. */
  readonly count: number
  /** The walk is over. Its last batch may hold entries. */
  readonly end: boolean
  /**
   * Why it stopped before its end, if it did. Of a walk: `ENOSPC` means that a part of the map needs a larger batch, `ENOTSUPP` or
   * `EINVAL` that maps of this type (or this kernel) have no such call. Of others: entry `count` could not be written or deleted.
   */
  readonly error: BpfError | undefined
}
