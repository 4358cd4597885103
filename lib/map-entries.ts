/**
 * Iterators over the blocks of a walk, one item at a time. By hand: a generator takes longer for its `yield` than the kernel
 * for the entry.
 */
import type { ReadAt } from './entry-readers.js'
import type { EntryBlock } from './map-walk.js'

/** Makes readers of a block's items. Called again when the walk has moved to other memory. */
export type ItemReader<T> = (block: EntryBlock) => ReadAt<T>

/** Like the iterators of a Map. */
export class BlockIterator<T> implements IterableIterator<T, undefined, undefined> {
  readonly #blocks: Iterator<EntryBlock, void, undefined>
  readonly #itemReader: ItemReader<T>
  #read: ReadAt<T> | undefined
  #keys: Uint8Array | undefined
  #values: Uint8Array | undefined
  #next = 0
  #count = 0

  constructor(blocks: Iterator<EntryBlock, void, undefined>, itemReader: ItemReader<T>) {
    this.#blocks = blocks
    this.#itemReader = itemReader
  }

  next(): IteratorResult<T, undefined> {
    if (this.#next >= this.#count && !this.#advance()) return { value: undefined, done: true }
    const read = this.#read! // #advance() has set it
    return { value: read(this.#next++), done: false }
  }

  return(): IteratorResult<T, undefined> {
    this.#next = this.#count = 0
    this.#blocks.return?.()
    return { value: undefined, done: true }
  }

  [Symbol.iterator](): this {
    return this
  }

  /** @returns false at the end */
  #advance(): boolean {
    const { value: block, done } = this.#blocks.next()
    if (done === true || block === undefined) {
      this.#next = this.#count = 0
      return false
    }
    if (block.keys !== this.#keys || block.values !== this.#values) {
      this.#read = this.#itemReader(block)
      this.#keys = block.keys
      this.#values = block.values
    }
    this.#next = 0
    this.#count = block.count
    return true
  }
}
