/**
 * The elements of an LRU map in the order of their last use, as a ring of links in the kernel's memory: compiled programs move what they look up. In front
 * of each element are the addresses of the one that was used before it, and of the one that was used after it. The ring goes through an element that is
 * none, before the oldest and behind the newest.
 */
import { Access, type Memory } from '../memory.js'

/** From an element to its links. */
export const LRU_LINK = { BEFORE: -16, AFTER: -12 } as const
/** Bytes in front of an element that the links take. */
export const LRU_LINK_BYTES = 16

export class LruList {
  /** Address of the element that is none. */
  readonly ends: number
  readonly #memory: Memory
  readonly #block: number

  constructor(memory: Memory, label: string) {
    this.#memory = memory
    this.#block = memory.alloc(LRU_LINK_BYTES, Access.none, 16, label)
    this.ends = this.#block + LRU_LINK_BYTES
    this.#link(this.ends, this.ends)
  }

  /** The least recently used element; undefined: there is none. */
  get oldest(): number | undefined {
    const oldest = this.#after(this.ends)
    return oldest === this.ends ? undefined : oldest
  }

  /** An element that isn't in the list becomes the most recently used one. */
  add(element: number): void {
    this.#link(this.#before(this.ends), element)
    this.#link(element, this.ends)
  }

  remove(element: number): void {
    this.#link(this.#before(element), this.#after(element))
  }

  /** Makes it the most recently used one. */
  touch(element: number): void {
    if (this.#after(element) === this.ends) return
    this.remove(element)
    this.add(element)
  }

  free(): void {
    this.#memory.free(this.#block)
  }

  #before(element: number): number {
    return (this.#memory.i32[(element + LRU_LINK.BEFORE) >>> 2] ?? 0) >>> 0
  }

  #after(element: number): number {
    return (this.#memory.i32[(element + LRU_LINK.AFTER) >>> 2] ?? 0) >>> 0
  }

  #link(before: number, after: number): void {
    this.#memory.i32[(before + LRU_LINK.AFTER) >>> 2] = after
    this.#memory.i32[(after + LRU_LINK.BEFORE) >>> 2] = before
  }
}
