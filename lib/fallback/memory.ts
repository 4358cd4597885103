/**
 * The fallback kernel's physical memory: one WebAssembly.Memory, an allocator, and who may touch which byte.
 *
 * A BPF pointer is 64 bits: a tag in the high half, an offset into this memory in the low half. Both engines address
 * the same bytes, and simulated user memory lies in it under another tag.
 */
import { BpfError } from '../errors.js'
import { errnoText } from '../linux/errno.js'
import { KERNEL_WORD } from './kernel-words.js'
import { Access, GRANULE, ShadowMap } from './shadow.js'
import { createWasmMemory } from './web-assembly.js'
import type { WasmMemory } from './web-assembly.js'

export { Access, SHADOW_READABLE, SHADOW_READ_MASK, SHADOW_READ_WRITE } from './shadow.js'

/** High half of kernel addresses; the low half is the offset in the linear memory. */
export const KERNEL_HI = 0xffff8880 | 0
/** High half of simulated user addresses; same bytes, other permissions. */
export const USER_HI = 0x00005555

/** Addresses below are never handed out, so that null pointers with an offset are caught. */
export const NULL_PAGE = 0x10000

const WASM_PAGE = 0x10000
/** A pointer plus a 16-bit offset must not wrap around into valid memory. */
const LARGEST = 0xffff_0000
/** Inaccessible bytes behind each object, at least. */
const GUARD = 16
/** Up to this size there is a class for each multiple of 16; above it, eight classes for each power of two. */
const FINE_CLASSES = 1024

export interface MemoryOptions {
  /** Bytes at the start; default 1 MiB. Rounded up to 64 KiB. */
  readonly initialBytes?: number
  /** Bytes beyond which `alloc` throws ENOMEM; default 1 GiB, at most 4 GiB - 64 KiB. */
  readonly maximumBytes?: number
}

/** An object that was handed out. */
export interface Allocation {
  readonly address: number
  readonly size: number
  /** What it is, for people: `map value`, `stack`. */
  readonly label: string
}

interface Block extends Allocation {
  /** The block around the object: guard and rounding included. */
  readonly start: number
  readonly length: number
}

export class Memory {
  /** The `WebAssembly.Memory` that compiled programs import. */
  readonly wasm: WasmMemory
  readonly #shadow: ShadowMap
  readonly #maximum: number
  #u8: Uint8Array
  #i32: Int32Array
  #view: DataView
  /** Everything from here to the end was never handed out. */
  #frontier = NULL_PAGE
  /** Here the shadow starts: it is the last part of the memory, so that compiled programs can look at it too. */
  #end = 0
  readonly #blocks = new Map<number, Block>()
  /** Free blocks by length, oldest first: late reuse catches more uses after free. */
  readonly #free = new Map<number, FreeList>()
  #freeBytes = 0

  constructor(options: MemoryOptions = {}) {
    const maximum = wholePages(Math.min(options.maximumBytes ?? 1 << 30, LARGEST), Math.floor)
    const initial = withShadow(Math.min(options.initialBytes ?? 1 << 20, maximum))
    if (maximum < 2 * WASM_PAGE)
      throw new BpfError(
        'BAD_VALUE',
        `the simulated kernel's memory has at least ${2 * WASM_PAGE} bytes, not ${maximum}`,
      )
    this.#maximum = maximum
    this.wasm = createWasmMemory(initial / WASM_PAGE, withShadow(maximum) / WASM_PAGE)
    this.#u8 = new Uint8Array(this.wasm.buffer)
    this.#i32 = new Int32Array(this.wasm.buffer)
    this.#view = new DataView(this.wasm.buffer)
    this.#shadow = new ShadowMap(this.#placeShadow())
  }

  /** The bytes. Like `i32`, `view` and `shadow`, to be read again after anything that may allocate. */
  get u8(): Uint8Array {
    return this.#u8
  }
  get i32(): Int32Array {
    return this.#i32
  }
  get view(): DataView {
    return this.#view
  }
  /** Shadow bytes, one for each 8: {@link SHADOW_READ_WRITE} where a program may do everything. */
  get shadow(): Uint8Array {
    return this.#shadow.bytes
  }
  /** Bytes that are handed out now, without guards. */
  get usedBytes(): number {
    let sum = 0
    for (const block of this.#blocks.values()) sum += block.size
    return sum
  }

  /**
   * Hands out zeroed memory.
   *
   * @param size      bytes, 0 or more
   * @param alignment a power of two
   * @param label     what it is, for the messages of traps
   * @returns the low half of its address; never below 65,536
   * @throws BpfError ENOMEM at the maximum
   */
  alloc(size: number, access: Access, alignment = 16, label = 'object'): number {
    if (!Number.isInteger(size) || size < 0) throw new BpfError('BAD_VALUE', `cannot allocate ${size} bytes`)
    if (!Number.isInteger(alignment) || alignment < 1 || !Number.isInteger(Math.log2(alignment)))
      throw new BpfError('BAD_VALUE', `an alignment is a power of two, not ${alignment}`)
    // Blocks start 16-byte aligned: only larger alignments cost room.
    const length = blockLength(size + GUARD + (alignment > 16 ? alignment - 16 : 0))
    const start = this.#take(length, size)
    const address = Math.ceil(start / alignment) * alignment
    this.#blocks.set(address, { address, size, label, start, length })
    this.#shadow.set(start, length, Access.none)
    this.#u8.fill(0, address, address + size)
    this.#shadow.set(address, size, access)
    return address
  }

  /**
   * Takes memory back: any access to it is caught until it is handed out again.
   * @throws BpfError BAD_VALUE if `address` is not that of an object
   */
  free(address: number): void {
    const block = this.#blocks.get(address)
    if (block === undefined)
      throw new BpfError('BAD_VALUE', `cannot free 0x${address.toString(16)}: no object starts there`)
    this.#blocks.delete(address)
    this.#shadow.setFreed(block.start, block.length)
    this.#release(block.start, block.length)
  }

  /** Sets the rights to bytes, exactly. */
  protect(address: number, size: number, access: Access): void {
    if (address < NULL_PAGE || size < 0 || address + size > this.#end)
      throw new BpfError(
        'BAD_VALUE',
        `cannot protect ${size} bytes at 0x${address.toString(16)}: outside of memory`,
      )
    this.#shadow.set(address, size, access)
  }

  /**
   * Sets the rights to `size` bytes at the start of each of `count` strides, which were handed out without rights.
   * `address` and `stride` are multiples of 8, and no stride is smaller than `size`.
   */
  protectRepeated(address: number, size: number, stride: number, count: number, access: Access): void {
    this.#shadow.setRepeated(address, size, stride, count, access)
  }

  accessible(address: number, size: number, access: Access): boolean {
    return this.#shadow.firstForbidden(address, size, access) < 0
  }

  /** The first byte of a range that lacks the rights, or -1. */
  firstForbidden(address: number, size: number, access: Access): number {
    return this.#shadow.firstForbidden(address, size, access)
  }

  /** The rights to one byte: bits of {@link Access}. */
  accessAt(address: number): number {
    return this.#shadow.at(address)
  }

  /** Whether the byte belongs to freed memory that was not handed out again. */
  isFreed(address: number): boolean {
    return this.#shadow.freed(address)
  }

  /** The object that contains the address, or the nearest one below it. Slow: for messages. */
  nearestAllocation(address: number): Allocation | undefined {
    let nearest: Allocation | undefined
    for (const block of this.#blocks.values())
      if (block.address <= address && (nearest === undefined || block.address > nearest.address))
        nearest = block
    return nearest
  }

  /** The object that starts next above the address. Slow: for messages. */
  nextAllocation(address: number): Allocation | undefined {
    let next: Allocation | undefined
    for (const block of this.#blocks.values())
      if (block.address > address && (next === undefined || block.address < next.address)) next = block
    return next
  }

  #take(length: number, size: number): number {
    const list = this.#free.get(length)
    const reused = list?.take()
    if (reused !== undefined) {
      this.#freeBytes -= length
      return reused
    }
    if (this.#frontier + length <= this.#end || this.#grow(length)) {
      const start = this.#frontier
      this.#frontier += length
      return start
    }
    const found = this.#freeBytes >= length ? this.#takeFromMerged(length) : undefined
    if (found !== undefined) return found
    throw new BpfError('ENOMEM', `the kernel's memory is full: ${errnoText(12)} for ${size} bytes`, {
      errno: 12,
      hint: `The simulated kernel has ${this.#maximum} bytes: createKernel({ memoryBytes }) sets how many`,
    })
  }

  /** Merges neighbouring free blocks, takes the first that is large enough, and gives the rest back. */
  #takeFromMerged(length: number): number | undefined {
    const regions = [...this.#free].flatMap(([size, list]) => list.rest().map((start) => ({ start, size })))
    regions.sort((a, b) => a.start - b.start)
    this.#free.clear()
    this.#freeBytes = 0
    const merged: { start: number; size: number }[] = []
    for (const region of regions) {
      const last = merged.at(-1)
      if (last !== undefined && last.start + last.size === region.start) last.size += region.size
      else merged.push(region)
    }
    let found: number | undefined
    for (const region of merged) {
      if (found === undefined && region.size >= length) {
        found = region.start
        region.start += length
        region.size -= length
      }
      if (region.size === 0) continue
      if (region.start + region.size === this.#frontier) this.#frontier = region.start
      else this.#release(region.start, region.size)
    }
    return found
  }

  #release(start: number, length: number): void {
    let list = this.#free.get(length)
    if (list === undefined) {
      list = new FreeList()
      this.#free.set(length, list)
    }
    list.add(start)
    this.#freeBytes += length
  }

  #grow(length: number): boolean {
    const current = this.#u8.length
    const needed = this.#frontier + length
    const most = withShadow(this.#maximum)
    if (needed > Math.min(this.#maximum, most - most / GRANULE)) return false
    const wanted = Math.min(most, withShadow(Math.max(needed, this.#end * 1.5)))
    const before = { start: this.#end, length: this.#u8.length - this.#end }
    try {
      this.wasm.grow((wanted - current) / WASM_PAGE)
    } catch {
      return false
    }
    this.#u8 = new Uint8Array(this.wasm.buffer)
    this.#i32 = new Int32Array(this.wasm.buffer)
    this.#view = new DataView(this.wasm.buffer)
    const shadow = this.#placeShadow()
    // The new place may overlap the old one.
    this.#u8.copyWithin(this.#end, before.start, before.start + before.length)
    shadow.fill(0, before.length)
    this.#shadow.bytes = shadow
    return true
  }

  /** Gives the last part of the memory to the shadow, and says so to compiled programs. */
  #placeShadow(): Uint8Array {
    const granules = this.#u8.length / GRANULE
    this.#end = this.#u8.length - granules
    this.#i32[KERNEL_WORD.SHADOW >> 2] = this.#end
    this.#i32[KERNEL_WORD.GRANULES >> 2] = granules
    return this.#u8.subarray(this.#end)
  }
}

/** First in, first out, without the cost of Array.shift. */
class FreeList {
  #starts: number[] = []
  #head = 0

  add(start: number): void {
    this.#starts.push(start)
  }

  take(): number | undefined {
    const start = this.#starts[this.#head]
    if (start === undefined) return undefined
    this.#head++
    if (this.#head > 1024 && this.#head * 2 > this.#starts.length) {
      this.#starts = this.rest()
      this.#head = 0
    }
    return start
  }

  rest(): number[] {
    return this.#starts.slice(this.#head)
  }
}

/** Rounds up to the length of a class: waste is at most an eighth. */
function blockLength(size: number): number {
  const step = size <= FINE_CLASSES ? 16 : 2 ** (Math.floor(Math.log2(size)) - 3)
  return Math.ceil(size / step) * step
}

/** Whole pages that hold so many bytes and their shadow: an eighth of it all. */
function withShadow(bytes: number): number {
  return Math.min(LARGEST, wholePages((bytes / (GRANULE - 1)) * GRANULE, Math.ceil))
}

function wholePages(bytes: number, round: (pages: number) => number): number {
  return round(bytes / WASM_PAGE) * WASM_PAGE
}
