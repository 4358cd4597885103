/**
 * BPF_MAP_TYPE_ARENA: memory that programs and user space share, by pages. kernel/bpf/arena.c. Linux 6.9.
 *
 * All of it is there from the beginning, as zeroes. In Linux pages are there once a program has allocated or user space has touched them; before that, and once
 * they are freed, programs read zeroes there too, and what they write is lost, where here it stays.
 */
import { systemError } from '../../errors.js'
import { BPF_MAP_FLAGS } from '../../linux/map-types.js'
import { E2BIG, EINVAL, EOPNOTSUPP, ERANGE } from '../errors.js'
import { Access, type Memory } from '../memory.js'
import { type Arena, PAGE_SIZE, type MapAttributes, type MapStorage, type Range } from './types.js'

/** Where user space has the memory, if the map doesn't say: as mmap() chooses. */
const CHOSEN = 0x7f00_0000_0000n
const WINDOW = 2 ** 32
const PAGE = BigInt(PAGE_SIZE)

/** Pages, first and last. */
interface PageRange {
  readonly first: number
  readonly last: number
}

/** Pages that are free, as kernel/bpf/range_tree.c keeps them: which of them are given is what programs see. */
class FreePages {
  /** In the order in which they came to be what they are. */
  #ranges: PageRange[]

  constructor(count: number) {
    this.#ranges = [{ first: 0, last: count - 1 }]
  }

  /** The smallest range that is large enough; of equal ones the latest. @returns its first page, or -1 */
  find(count: number): number {
    let best: PageRange | undefined
    for (const range of this.#ranges)
      if (sizeOf(range) >= count && (best === undefined || sizeOf(range) <= sizeOf(best))) best = range
    return best?.first ?? -1
  }

  has({ first, last }: PageRange): boolean {
    return this.#ranges.some((range) => range.first <= first && last <= range.last)
  }

  remove({ first, last }: PageRange): void {
    for (const range of this.#ranges.filter((one) => one.first <= last && first <= one.last)) {
      this.#ranges = this.#ranges.filter((one) => one !== range)
      if (range.first < first) this.#ranges.push({ first: range.first, last: first - 1 })
      if (range.last > last) this.#ranges.push({ first: last + 1, last: range.last })
    }
  }

  add(pages: PageRange): void {
    if (this.has(pages)) return
    this.remove(pages)
    const left = this.#ranges.find(({ last }) => last === pages.first - 1)
    const right = this.#ranges.find(({ first }) => first === pages.last + 1)
    this.#ranges = this.#ranges.filter((one) => one !== left && one !== right)
    this.#ranges.push({ first: left?.first ?? pages.first, last: right?.last ?? pages.last })
  }
}

function sizeOf({ first, last }: PageRange): number {
  return last - first + 1
}

class Pages implements Arena {
  readonly userLow: number
  readonly userHigh: number
  readonly #free: FreePages
  readonly #count: number
  readonly #memory: Memory

  constructor(
    memory: Memory,
    readonly range: Range,
    userStart: bigint,
  ) {
    this.#memory = memory
    this.userLow = Number(BigInt.asIntN(32, userStart))
    this.userHigh = Number(BigInt.asIntN(32, userStart >> 32n))
    this.#count = range.size / PAGE_SIZE
    this.#free = new FreePages(this.#count)
  }

  allocate(count: number, at: number | undefined): number | undefined {
    if (count === 0 || count > this.#count) return undefined
    const first = at === undefined ? this.#free.find(count) : this.#pageAt(at)
    const pages = { first, last: first + count - 1 }
    if (first < 0 || !this.#free.has(pages)) return undefined
    this.#free.remove(pages)
    return (this.userLow + first * PAGE_SIZE) | 0
  }

  release(at: number, count: number): void {
    const first = Math.floor(((at - this.userLow) >>> 0) / PAGE_SIZE)
    const last = Math.min(first + count, this.#count) - 1
    if (first > last) return
    this.#free.add({ first, last })
    const { address } = this.range
    this.#memory.u8.fill(0, address + first * PAGE_SIZE, address + (last + 1) * PAGE_SIZE)
  }

  /** The page that begins at an address; -1: none does. */
  #pageAt(at: number): number {
    const offset = (at - this.userLow) >>> 0
    return offset % PAGE_SIZE === 0 ? offset / PAGE_SIZE : -1
  }
}

/** 0, or the negative errno with which Linux refuses. */
export function checkArena({ keySize, valueSize, maxEntries, flags, mapExtra }: MapAttributes): number {
  const { BPF_F_MMAPABLE } = BPF_MAP_FLAGS
  if (keySize !== 0 || valueSize !== 0 || maxEntries === 0 || flags !== BPF_F_MMAPABLE) return EINVAL
  if (mapExtra % PAGE !== 0n) return EINVAL
  const size = maxEntries * PAGE_SIZE
  if (size > WINDOW) return E2BIG
  return Number(BigInt.asUintN(32, mapExtra)) + size > WINDOW ? ERANGE : 0
}

/** @throws BpfError `ENOMEM`: all of it is taken at once */
export function createArena(memory: Memory, attributes: MapAttributes): MapStorage {
  const { name, maxEntries, mapExtra } = attributes
  const size = maxEntries * PAGE_SIZE
  if (size >= WINDOW)
    throw systemError('bpf(BPF_MAP_CREATE)', 12, `map '${name}'`, {
      hint: 'The simulated kernel takes all of an arena at once',
    })
  const address = memory.alloc(size, Access.readWrite, PAGE_SIZE, `arena '${name}'`)
  const range = { address, size }
  const refuse = (): number => EOPNOTSUPP
  return {
    attributes,
    bufferSize: 0,
    lookup: () => 0,
    lookupAll: () => EOPNOTSUPP,
    update: refuse,
    updateAll: refuse,
    delete: refuse,
    nextKey: refuse,
    forEach: undefined,
    mapped: range,
    direct: undefined,
    arena: new Pages(memory, range, mapExtra === 0n ? CHOSEN : mapExtra),
    destroy: () => memory.free(address),
  }
}
