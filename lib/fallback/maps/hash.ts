/**
 * BPF_MAP_TYPE_HASH, its LRU and per-CPU variants: kernel/bpf/hashtab.c.
 *
 * Chained buckets. An element lies in the kernel's memory from its insertion on, at one address: `key, value(s)`. As in Linux, an
 * update of a key that is there takes a new element, so a pointer from an earlier look-up goes on showing the old value; and a deleted
 * element stays readable until it is used again. A full LRU map drops exactly its least recently used element, where Linux drops one that
 * wasn't used for long, or several.
 */
import { BPF_UPDATE_FLAGS } from '../../linux/map-types.js'
import { Access, type Memory } from '../memory.js'
import { copy } from './array.js'
import { hashOf, NEXT_OFFSET, type MapLayout } from './layout.js'
import { LRU_LINK_BYTES, LruList } from './lru-list.js'
import { E2BIG, EEXIST, EINVAL, ENOENT } from '../errors.js'
import { roundUp8, valueAccess, type CpuState, type MapAttributes, type MapStorage } from './types.js'

/** Elements are allocated in blocks of about this size, when they are needed. */
const SLAB_BYTES = 1 << 14
const MAX_BUCKETS = 1 << 20
/** Inaccessible bytes in front of each element, so that a step outside is caught. The address of the next element in the chain is there; links of LRU maps too. */
const GUARD = 8
const NEXT_WORD = NEXT_OFFSET >> 2
/** Longer keys are compared by JavaScript. */
const LONGEST_COMPILED_KEY = 64

export interface HashTraits {
  readonly perCpu: boolean
  /** A new element takes the place of the least recently used one when the map is full. */
  readonly lru: boolean
}

export function createHash(
  memory: Memory,
  cpus: CpuState,
  attributes: MapAttributes,
  traits: HashTraits,
): MapStorage {
  return new HashMap(memory, cpus, attributes, traits)
}

class HashMap implements MapStorage {
  readonly bufferSize: number
  readonly mapped = undefined
  readonly direct = undefined
  readonly #memory: Memory
  readonly #cpus: CpuState
  readonly layout: MapLayout | undefined
  /** Elements of an LRU map by their last use. Undefined: it is none. */
  readonly #recent: LruList | undefined
  /** Bytes in front of an element. */
  readonly #guard: number
  readonly #perCpu: boolean
  readonly #keySize: number
  readonly #valueSize: number
  /** Bytes from one CPU's copy to the next. */
  readonly #stride: number
  /** From an element's address to its value. */
  readonly #valueOffset: number
  readonly #elementSize: number
  readonly #valueAccess: Access
  readonly #slabs: number[] = []
  /** Elements of a slab, and how many of the newest one were taken. */
  readonly #perSlab: number
  #taken: number
  readonly #free: number[] = []
  /** The element that the last replacement left over: the next replacement takes it, so that a full map can be updated. */
  #spare = 0
  #count = 0
  /** Where the chains start: a table of addresses. An element is known by its address; 0 ends a chain. */
  readonly #heads: number
  readonly #buckets: number

  constructor(
    memory: Memory,
    cpus: CpuState,
    readonly attributes: MapAttributes,
    traits: HashTraits,
  ) {
    const { keySize, valueSize, maxEntries, flags } = attributes
    this.#memory = memory
    this.#cpus = cpus
    this.#perCpu = traits.perCpu
    this.#recent = traits.lru ? new LruList(memory, `uses of map '${attributes.name}'`) : undefined
    this.#guard = traits.lru ? LRU_LINK_BYTES : GUARD
    this.#keySize = keySize
    this.#valueSize = valueSize
    this.#stride = roundUp8(valueSize)
    this.bufferSize = traits.perCpu ? this.#stride * cpus.possible : valueSize
    this.#valueOffset = roundUp8(keySize)
    this.#elementSize = this.#guard + this.#valueOffset + roundUp8(this.bufferSize)
    this.#valueAccess = valueAccess(flags)
    this.#perSlab = Math.max(1, Math.min(maxEntries + 1, Math.floor(SLAB_BYTES / this.#elementSize)))
    this.#taken = this.#perSlab
    this.#buckets = Math.min(MAX_BUCKETS, 2 ** Math.ceil(Math.log2(maxEntries)))
    this.#heads = memory.alloc(4 * this.#buckets, Access.none, 16, `buckets of map '${attributes.name}'`)
    this.layout = keySize <= LONGEST_COMPILED_KEY ? this.#layout() : undefined
  }

  #layout(): MapLayout {
    return {
      kind: 'hash',
      keySize: this.#keySize,
      heads: this.#heads,
      mask: this.#buckets - 1,
      valueOffset: this.#valueOffset,
      perCpuStride: this.#perCpu ? this.#stride : 0,
      recent: this.#recent?.ends ?? 0,
      valueSize: this.#valueSize,
      access: this.#valueAccess,
    }
  }

  lookup(bytes: Uint8Array, at: number): number {
    const element = this.#find(bytes, at)
    if (element === 0) return 0
    this.#recent?.touch(element)
    return this.#valueOf(element) + (this.#perCpu ? this.#cpus.current * this.#stride : 0)
  }

  lookupAll(bytes: Uint8Array, at: number): number {
    const element = this.#find(bytes, at)
    return element === 0 ? 0 : this.#valueOf(element)
  }

  update(bytes: Uint8Array, at: number, value: Uint8Array, valueAt: number, flags: number): number {
    const old = this.#find(bytes, at)
    const error = this.#refusal(old, flags)
    if (error !== 0) return error
    if (old !== 0 && this.#perCpu) {
      this.#recent?.touch(old)
      copy(
        this.#memory,
        this.#valueOf(old) + this.#cpus.current * this.#stride,
        value,
        valueAt,
        this.#valueSize,
      )
      return 0
    }
    const before = this.#memory.u8
    const element = this.#replace(old)
    const memory = this.#memory.u8
    // The memory may have grown: what came from it must be read from where it is now.
    const from = value === before ? memory : value
    // Other CPUs start from zero.
    if (this.#perCpu) memory.fill(0, this.#valueOf(element), this.#valueOf(element) + this.bufferSize)
    const offset = this.#perCpu ? this.#cpus.current * this.#stride : 0
    copy(this.#memory, this.#valueOf(element) + offset, from, valueAt, this.#valueSize)
    this.#insert(element, bytes === before ? memory : bytes, at)
    return 0
  }

  updateAll(bytes: Uint8Array, at: number, value: Uint8Array, valueAt: number, flags: number): number {
    const old = this.#find(bytes, at)
    const error = this.#refusal(old, flags)
    if (error !== 0) return error
    const element = old !== 0 && this.#perCpu ? old : this.#replace(old)
    copy(this.#memory, this.#valueOf(element), value, valueAt, this.bufferSize)
    if (element !== old) this.#insert(element, bytes, at)
    return 0
  }

  delete(bytes: Uint8Array, at: number): number {
    const element = this.#find(bytes, at)
    if (element === 0) return ENOENT
    this.#remove(element)
    return 0
  }

  readonly takeAll = (bytes: Uint8Array, at: number): number => {
    const element = this.#find(bytes, at)
    if (element === 0) return ENOENT
    this.#remove(element)
    return this.#valueOf(element)
  }

  readonly batches = {
    removable: true,
    part: (bucket: number): readonly number[] | undefined => {
      if (bucket >= this.#buckets) return undefined
      const found: number[] = []
      for (let element = this.#head(bucket); element !== 0; element = this.#next(element)) {
        found.push(element, this.#valueOf(element))
      }
      return found
    },
  }

  nextKey(key: Uint8Array | null, next: Uint8Array): number {
    const element = key === null ? 0 : this.#find(key, 0)
    let bucket = 0
    let found = 0
    if (element !== 0 && key !== null) {
      found = this.#next(element)
      bucket = this.#bucketOf(key, 0) + 1
    }
    for (; found === 0 && bucket < this.#buckets; bucket++) found = this.#head(bucket)
    if (found === 0) return ENOENT
    next.set(this.#memory.u8.subarray(found, found + this.#keySize))
    return 0
  }

  readonly forEach = (visit: (key: number, value: number) => boolean): number => {
    const offset = this.#perCpu ? this.#cpus.current * this.#stride : 0
    let visited = 0
    for (let bucket = 0; bucket < this.#buckets; bucket++) {
      let element = this.#head(bucket)
      while (element !== 0) {
        // The callback may delete the element that it was given.
        const next = this.#next(element)
        visited++
        if (!visit(element, this.#valueOf(element) + offset)) return visited
        element = next
      }
    }
    return visited
  }

  destroy(): void {
    for (const slab of this.#slabs) this.#memory.free(slab)
    this.#slabs.length = 0
    this.#memory.free(this.#heads)
    this.#recent?.free()
  }

  #refusal(old: number, flags: number): number {
    if (flags > BPF_UPDATE_FLAGS.BPF_EXIST) return EINVAL
    if (old !== 0) return flags === BPF_UPDATE_FLAGS.BPF_NOEXIST ? EEXIST : 0
    if (flags === BPF_UPDATE_FLAGS.BPF_EXIST) return ENOENT
    if (this.#count < this.attributes.maxEntries) return 0
    const oldest = this.#recent?.oldest
    if (oldest === undefined) return E2BIG
    this.#remove(oldest)
    return 0
  }

  #remove(element: number): void {
    this.#unlink(element)
    this.#free.push(element)
    this.#count--
  }

  /** An element to write to: a new one, or one in the place of `old`, which is taken out. */
  #replace(old: number): number {
    if (old === 0) {
      this.#count++
      return this.#free.pop() ?? this.#create()
    }
    const element = this.#spare === 0 ? this.#create() : this.#spare
    this.#unlink(old)
    this.#spare = old
    return element
  }

  #create(): number {
    if (this.#taken === this.#perSlab) {
      const label = `element of map '${this.attributes.name}'`
      this.#slabs.push(this.#memory.alloc(this.#perSlab * this.#elementSize, Access.none, 16, label))
      this.#taken = 0
    }
    const address = (this.#slabs.at(-1) ?? 0) + this.#taken++ * this.#elementSize + this.#guard
    this.#memory.protect(address, this.#keySize, Access.read)
    const value = address + this.#valueOffset
    if (this.#perCpu) {
      for (let cpu = 0; cpu < this.#cpus.possible; cpu++) {
        this.#memory.protect(value + cpu * this.#stride, this.#valueSize, this.#valueAccess)
      }
    } else this.#memory.protect(value, this.#valueSize, this.#valueAccess)
    return address
  }

  #insert(element: number, bytes: Uint8Array, at: number): void {
    copy(this.#memory, element, bytes, at, this.#keySize)
    const bucket = this.#bucketOf(bytes, at)
    this.#link(element, this.#head(bucket))
    this.#memory.i32[(this.#heads >>> 2) + bucket] = element
    this.#recent?.add(element)
  }

  #unlink(element: number): void {
    this.#recent?.remove(element)
    const bucket = this.#bucketOf(this.#memory.u8, element)
    const behind = this.#next(element)
    let previous = this.#head(bucket)
    if (previous === element) {
      this.#memory.i32[(this.#heads >>> 2) + bucket] = behind
      return
    }
    for (let next = this.#next(previous); next !== element; next = this.#next(previous)) previous = next
    this.#link(previous, behind)
  }

  #find(bytes: Uint8Array, at: number): number {
    const memory = this.#memory.u8
    let element = this.#head(this.#bucketOf(bytes, at))
    while (element !== 0) {
      let i = 0
      while (i < this.#keySize && memory[element + i] === bytes[at + i]) i++
      if (i === this.#keySize) return element
      element = this.#next(element)
    }
    return 0
  }

  #bucketOf(bytes: Uint8Array, at: number): number {
    return hashOf(bytes, at, this.#keySize) & (this.#buckets - 1)
  }

  #head(bucket: number): number {
    return (this.#memory.i32[(this.#heads >>> 2) + bucket] ?? 0) >>> 0
  }

  #next(element: number): number {
    return (this.#memory.i32[(element >>> 2) + NEXT_WORD] ?? 0) >>> 0
  }

  #link(element: number, next: number): void {
    this.#memory.i32[(element >>> 2) + NEXT_WORD] = next
  }

  #valueOf(element: number): number {
    return element + this.#valueOffset
  }
}
