/**
 * What may be accessed, to the byte: a shadow byte for each granule of 8 bytes, in the manner of AddressSanitizer.
 *
 * A shadow byte holds access bits in its high half and the number of accessible leading bytes in its low half.
 * A granule whose bytes differ in another way (read-only field next to a writable one) has a count of 0, so that the
 * one comparison on an engine's hot path fails, and the per-byte truth in a side table.
 */

/** Rights to bytes; combine with |. User memory is for helpers such as bpf_probe_read_user: programs can't touch it. */
export const Access = {
  none: 0,
  read: 1,
  /** Values of maps that programs may write alone; whoever may write anything else may read it too. */
  write: 2,
  readWrite: 3,
  /** Simulated user memory, readable and writable for user space. */
  user: 7,
  /** Simulated user memory that user space may only read. */
  userRead: 5,
} as const
export type Access = (typeof Access)[keyof typeof Access]

/** Bytes of a granule. */
export const GRANULE = 8
/** The shadow byte of a granule whose 8 bytes a program may read and write: what hot paths compare with. */
export const SHADOW_READ_WRITE = 0x38
/** Of a shadow byte: all but the right to write. Where that is SHADOW_READABLE, a program may read all 8 bytes. */
export const SHADOW_READ_MASK = 0xdf
export const SHADOW_READABLE = 0x18

const ACCESS_SHIFT = 4
const COUNT_MASK = 0x0f
const ACCESS_MASK = 0x70
const USER = 4
/** In the shadow byte: these bytes were handed out and given back. */
const FREED = 0x80
const MIXED = ACCESS_MASK

export class ShadowMap {
  /** Current bytes; replaced when the memory grows, so read it again after anything that may allocate. */
  bytes: Uint8Array
  readonly #mixed = new Map<number, Uint8Array>()

  /** @param bytes a zero for each granule of the memory; whoever moves them sets `bytes` again */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** Sets the rights to `size` bytes from `address`, exactly. */
  set(address: number, size: number, access: Access): void {
    const end = address + size
    let at = address
    if (at % GRANULE !== 0) {
      const stop = Math.min(end, at - (at % GRANULE) + GRANULE)
      this.#setPart(at, stop, access)
      at = stop
    }
    const whole = end - (end % GRANULE)
    if (at < whole) {
      const first = at / GRANULE
      const last = whole / GRANULE
      this.#forget(first, last)
      this.bytes.fill(access === Access.none ? 0 : (access << ACCESS_SHIFT) | GRANULE, first, last)
      at = whole
    }
    if (at < end) this.#setPart(at, end, access)
  }

  /** Sets the rights to `size` bytes at the start of each of `count` strides; `address` and `stride` are multiples of 8. */
  setRepeated(address: number, size: number, stride: number, count: number, access: Access): void {
    this.set(address, size, access)
    const start = address / GRANULE
    const period = stride / GRANULE
    // Doubles what is there: millions of elements in a few copies.
    for (let done = 1; done < count; done *= 2) {
      const more = Math.min(done, count - done)
      this.bytes.copyWithin(start + done * period, start, start + more * period)
    }
  }

  /** Makes whole granules inaccessible and remembers that they were freed. */
  setFreed(address: number, size: number): void {
    const first = Math.floor(address / GRANULE)
    const last = Math.ceil((address + size) / GRANULE)
    this.#forget(first, last)
    this.bytes.fill(FREED, first, last)
  }

  freed(address: number): boolean {
    return this.bytes[Math.floor(address / GRANULE)] === FREED
  }

  /** The rights to one byte. */
  at(address: number): number {
    const granule = Math.floor(address / GRANULE)
    const shadow = this.bytes[granule]
    if (shadow === undefined) return Access.none
    if (shadow === MIXED) return this.#mixed.get(granule)?.[address % GRANULE] ?? Access.none
    return address % GRANULE < (shadow & COUNT_MASK) ? (shadow & ACCESS_MASK) >> ACCESS_SHIFT : Access.none
  }

  /**
   * The first byte of a range that lacks the rights, or -1. Kernel rights are not satisfied by user memory, nor user
   * rights by kernel memory.
   */
  firstForbidden(address: number, size: number, access: Access): number {
    const end = address + size
    for (let at = address; at < end;) {
      const shadow = this.bytes[Math.floor(at / GRANULE)] ?? 0
      const inGranule = at % GRANULE
      const stop = Math.min(end, at - inGranule + GRANULE)
      if (shadow === MIXED) {
        for (; at < stop; at++) if (!grants(this.at(at), access)) return at
        continue
      }
      if (!grants((shadow & ACCESS_MASK) >> ACCESS_SHIFT, access)) return at
      const reach = at - inGranule + (shadow & COUNT_MASK)
      if (reach < stop) return Math.max(at, reach)
      at = stop
    }
    return -1
  }

  #setPart(from: number, to: number, access: Access): void {
    const granule = Math.floor(from / GRANULE)
    const base = granule * GRANULE
    const rights = Uint8Array.from({ length: GRANULE }, (_, i) => this.at(base + i))
    rights.fill(access, from - base, to - base)
    const first = rights[0] ?? 0
    let count = 0
    while (count < GRANULE && rights[count] === first) count++
    const uniform = first !== Access.none && rights.every((r, i) => i < count || r === Access.none)
    this.#mixed.delete(granule)
    if (uniform) this.bytes[granule] = (first << ACCESS_SHIFT) | count
    else if (rights.every((r) => r === Access.none)) this.bytes[granule] = 0
    else {
      this.bytes[granule] = MIXED
      this.#mixed.set(granule, rights)
    }
  }

  #forget(first: number, last: number): void {
    if (this.#mixed.size === 0) return
    for (const granule of this.#mixed.keys())
      if (granule >= first && granule < last) this.#mixed.delete(granule)
  }
}

function grants(rights: number, access: number): boolean {
  return (rights & access) === access && (rights & USER) === (access & USER)
}
