/** What a map is below the seam: storage in the kernel's memory, with Linux's error numbers. */
import { BPF_MAP_FLAGS } from '../../linux/map-types.js'
import { Access } from '../memory.js'
import type { MapLayout } from './layout.js'
import type { Registers } from '../vm/types.js'

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
  /** Of a map of maps: a map like those that it will hold. */
  readonly innerMap?: HeldMap | undefined
}

/** A map as another map holds it. */
export interface HeldMap {
  readonly id: number
  /** Low half of the address that stands for it in programs. */
  readonly address: number
  readonly storage: MapStorage
  retain(): unknown
  release(): void
}

/** A program as a map holds it. */
export interface HeldProgram {
  readonly id: number
  /** Of what a prog array's programs must all be the same: program type and expected attach type. */
  readonly kind: string
  /** Runs it as the target of a tail call: r0 is left in `registers`. @param context low half of the context's address */
  continueWith(context: number, registers: Registers): void
  retain(): unknown
  release(): void
}

/** Possible CPUs, and the one that runs: what per-CPU maps look at. */
export interface CpuState {
  readonly possible: number
  readonly current: number
}

/** Bytes of the kernel's memory. */
export interface Range {
  readonly address: number
  readonly size: number
}

/** What an arena's addresses are, in user space and here, and who gives its pages. */
export interface Arena {
  readonly range: Range
  /** Halves of user space's first address, signed. */
  readonly userLow: number
  readonly userHigh: number
  /**
   * bpf_arena_alloc_pages()
   *
   * @param at low half of the first page's address in user space; undefined: wherever there is room
   * @returns low half of the first page's address in user space; undefined: there is no room
   */
  allocate(count: number, at: number | undefined): number | undefined
  /** bpf_arena_free_pages(). @param at low half of an address of user space in the first page */
  release(at: number, count: number): void
}

/** What queues, stacks and bloom filters do: bpf_map_push_elem and its like, and what user space does with a key of no bytes. */
export interface Sequence {
  push(value: Uint8Array, at: number, flags: number): number
  /** Removes the next value. @returns its address, readable until the next call, or a negative errno */
  take(): number
  /** Address of the next value, or a negative errno; undefined in a bloom filter. */
  readonly peek: (() => number) | undefined
  /** 0 or -ENOENT; undefined in all but a bloom filter. */
  readonly contains?: (value: Uint8Array, at: number) => number
}

/** How a map is read and written by batches. */
export interface Batches {
  /**
   * Elements of a part of the map that walks don't leave half-read: addresses of key and value in turn, or undefined behind the last part.
   * Undefined: walks go key by key.
   */
  readonly part?: (index: number) => readonly number[] | undefined
  /** Whether entries can be deleted by batches. */
  readonly removable: boolean
}

/**
 * A map's storage, as programs see it through helpers. Keys and new values are `bytes` from `at` on: a caller's buffer, or the kernel's
 * memory. Values that are there are named by their address. Operations return 0 or a negative errno: no allocation and no exception on a
 * program's way.
 */
export interface MapStorage {
  readonly attributes: MapAttributes
  /** Bytes that user space reads and writes for a value: the value size, or that of all CPUs' copies. */
  readonly bufferSize: number
  /** Address of the value that the running CPU sees, or 0. */
  lookup(bytes: Uint8Array, at: number): number
  /** Address of `bufferSize` bytes for user space, or 0. */
  lookupAll(bytes: Uint8Array, at: number): number
  /** As bpf_map_update_elem: writes the running CPU's copy. */
  update(bytes: Uint8Array, at: number, value: Uint8Array, valueAt: number, flags: number): number
  /** As BPF_MAP_UPDATE_ELEM: `value` holds `bufferSize` bytes from `valueAt` on. */
  updateAll(bytes: Uint8Array, at: number, value: Uint8Array, valueAt: number, flags: number): number
  delete(bytes: Uint8Array, at: number): number
  /** As BPF_MAP_LOOKUP_AND_DELETE_ELEM: `bufferSize` bytes, readable until the next call, or a negative errno. Undefined: ENOTSUPP. */
  readonly takeAll?: (bytes: Uint8Array, at: number) => number
  /** Undefined in maps that have keys. */
  readonly sequence?: Sequence
  /** Undefined: no batches. */
  readonly batches?: Batches
  /** Of a map of maps: writes an entry, as an update with the file descriptor of `map` does. */
  readonly updateMap?: (bytes: Uint8Array, at: number, map: HeldMap, flags: number) => number
  /** Of a prog array: writes an entry, as an update with the file descriptor of `program` does. */
  readonly updateProgram?: (bytes: Uint8Array, at: number, program: HeldProgram, flags: number) => number
  /** Of a prog array. `takes`: whether the program is of the kind that the others are of, the first one deciding. */
  readonly programs?: {
    at(index: number): HeldProgram | undefined
    takes(program: HeldProgram): boolean
  }
  /** Of a map of targets for packets. `flags`: what bpf_redirect_map() takes besides a verdict. */
  readonly redirect?: {
    readonly flags: number
    hasTarget(index: number, flags: number): boolean
  }
  /** Of values that belong to objects of the kernel: one of these is gone. */
  readonly ownerGone?: (owner: object) => void
  /** User space has no handle and no pin of it any more: what only user space could have put in is dropped. */
  readonly leftByUser?: () => void
  /** As BPF_MAP_GET_NEXT_KEY: the key behind `key`, or the first one for null and for a key that isn't there. -ENOENT at the end. */
  nextKey(key: Uint8Array | null, next: Uint8Array): number
  /** Elements in order: `visit(key address, value address)` until it answers false. @returns elements visited; undefined: not iterable */
  readonly forEach: ((visit: (key: number, value: number) => boolean) => number) | undefined
  /** Where elements are looked up, if that is all that a look-up does. Undefined: only {@link lookup} can. */
  readonly layout?: MapLayout | undefined
  /** Of an arena: where it lies, for user space and here. */
  readonly arena?: Arena
  /** Memory that user space may map; undefined where there is none. */
  readonly mapped: Range | undefined
  /** What direct value access (BPF_PSEUDO_MAP_VALUE) starts from; undefined where there is none. */
  readonly direct: Range | undefined
  /** Gives its memory back. */
  destroy(): void
}

/** What programs may do with the values of a map of these flags. */
export function valueAccess(flags: number): Access {
  if ((flags & BPF_MAP_FLAGS.BPF_F_RDONLY_PROG) !== 0) return Access.read
  return (flags & BPF_MAP_FLAGS.BPF_F_WRONLY_PROG) !== 0 ? Access.write : Access.readWrite
}

/** Values of per-CPU maps lie at multiples of 8 bytes. */
export function roundUp8(size: number): number {
  return Math.ceil(size / 8) * 8
}
