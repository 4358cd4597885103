/** Walks over the entries of a map: by batches where the kernel has them, key by key where it doesn't. */
import { BpfError } from './errors.js'
import type { BatchOutcome, KernelMap, MapBatch } from './kernel.js'
import { BPF_MAP_TYPE } from './linux/map-types.js'

/** Entries of one step of a walk: key `i` at `i * keySize`, value `i` at `i * bufferSize`. The memory is used again by the next step. */
export interface EntryBlock {
  readonly count: number
  readonly keys: Uint8Array
  readonly values: Uint8Array
}

export type WalkOperation = 'lookup' | 'lookupAndDelete'

/** Bytes of a batch, about: a system call of a fraction of a millisecond. */
const BATCH_BYTES = 128 << 10
const LEAST_ENTRIES = 64
const MOST_ENTRIES = 4096
/** A batch may have to hold all entries of a hash map, if they share a bucket; replaced ones may be there twice. */
const GROWTH_LIMIT = 2

/** Answers to a batch call that mean: there is no such call for this map. */
const NO_SUCH_CALL: ReadonlySet<string> = new Set(['ENOTSUPP', 'EOPNOTSUPP', 'EINVAL'])

/**
 * The way to walk a map, which is found out once.
 *
 * Batches of a hash map go bucket by bucket: an entry that is there all the time comes exactly once, whatever is inserted and deleted
 * meanwhile. A walk key by key starts again when its current key vanishes: keys that came before are skipped then.
 */
export class MapWalk {
  readonly #map: KernelMap
  /** Undefined: not tried yet. */
  readonly #batches: Record<WalkOperation, boolean | undefined>

  constructor(map: KernelMap) {
    this.#map = map
    // The cursor of a trie's batches is a key: deleted, it makes the walk start again, unnoticed.
    const unstable = map.info.type === BPF_MAP_TYPE.LPM_TRIE
    this.#batches = { lookup: unstable ? false : undefined, lookupAndDelete: undefined }
  }

  /** @throws BpfError `ITERATION_ABORTED` if the map changes faster than it can be walked */
  *blocks(operation: WalkOperation, withValues = true): Generator<EntryBlock, void, undefined> {
    const state = new BatchState(this.#map)
    while (this.#batches[operation] !== false) {
      const step = this.#accept(operation, state, this.#map.batch(operation, state.batch))
      if (step !== undefined && step.count > 0) yield step
      if (state.done) return
    }
    yield* operation === 'lookup' ? this.#keyByKey(withValues) : this.#takeOneByOne()
  }

  /** Like `blocks('lookup')`, for whoever wants keys only: values are there by chance. Types whose values can't be read have keys too. */
  *keyBlocks(): Generator<EntryBlock, void, undefined> {
    yield* this.blocks('lookup', false)
  }

  /** Like `blocks()`, with the system calls off the event loop's thread where they are batches. */
  async *blocksAsync(operation: WalkOperation): AsyncGenerator<EntryBlock, void, undefined> {
    const state = new BatchState(this.#map)
    while (this.#batches[operation] !== false) {
      const step = this.#accept(operation, state, await this.#map.batchAsync(operation, state.batch))
      if (step !== undefined && step.count > 0) yield step
      if (state.done) return
    }
    yield* operation === 'lookup' ? this.#keyByKey(true) : this.#takeOneByOne()
  }

  #accept(operation: WalkOperation, state: BatchState, outcome: BatchOutcome): EntryBlock | undefined {
    const { error } = outcome
    if (error !== undefined && this.#batches[operation] === undefined && NO_SUCH_CALL.has(error.code)) {
      this.#batches[operation] = false
      return undefined
    }
    if (error !== undefined && error.code !== 'ENOSPC') throw error
    this.#batches[operation] = true
    return state.accept(outcome)
  }

  *#keyByKey(withValues: boolean): Generator<EntryBlock, void, undefined> {
    const { keySize, bufferSize, maxEntries } = this.#map.info
    const values = new Uint8Array(bufferSize)
    const seen = new Set<string>()
    let repeats = 0
    // Three keys in turn: the kernel reads one while it writes the other, and the caller looks at the third.
    let key = new Uint8Array(keySize)
    let next = new Uint8Array(keySize)
    const shown = new Uint8Array(keySize)
    let found = this.#map.nextKey(null, key)
    while (found) {
      const known = seen.size
      const isNew = seen.add(textOf(key)).size > known
      if (!isNew && ++repeats > 16 * (maxEntries + 64)) throw aborted(this.#map.info.name, seen.size)
      shown.set(key)
      // Ahead of the caller, who may delete the key that it gets.
      found = this.#map.nextKey(key, next)
      const last = key
      key = next
      next = last
      if (isNew && (!withValues || this.#map.lookup(shown, values, 0)))
        yield { count: 1, keys: shown, values }
    }
  }

  *#takeOneByOne(): Generator<EntryBlock, void, undefined> {
    const keys = new Uint8Array(this.#map.info.keySize)
    const values = new Uint8Array(this.#map.info.bufferSize)
    // Somebody who inserts all the time would keep this going for ever.
    for (let left = 2 * this.#map.info.maxEntries + 64; left > 0; left--) {
      if (!this.#map.nextKey(null, keys)) return
      if (this.#take(keys, values)) yield { count: 1, keys, values }
    }
    throw aborted(this.#map.info.name, 2 * this.#map.info.maxEntries)
  }

  #take(key: Uint8Array, value: Uint8Array): boolean {
    try {
      return this.#map.lookupAndDelete(key, value, 0)
    } catch (error) {
      // Before Linux 5.14, and for tries: not in one step.
      if (!(error instanceof BpfError && NO_SUCH_CALL.has(error.code))) throw error
      return this.#map.lookup(key, value, 0) && this.#map.delete(key)
    }
  }
}

/** Where a walk by batches stands. */
class BatchState {
  readonly #map: KernelMap
  readonly #cursor: Uint8Array
  #first = true
  #done = false
  #keys: Uint8Array
  #values: Uint8Array
  #size: number

  constructor(map: KernelMap) {
    const { keySize, bufferSize, maxEntries } = map.info
    const fitting = Math.floor(BATCH_BYTES / Math.max(1, keySize + bufferSize))
    this.#map = map
    this.#cursor = new Uint8Array(Math.max(4, keySize))
    this.#size = Math.min(Math.max(1, maxEntries), Math.max(LEAST_ENTRIES, Math.min(MOST_ENTRIES, fitting)))
    this.#keys = new Uint8Array(this.#size * keySize)
    this.#values = new Uint8Array(this.#size * bufferSize)
  }

  get done(): boolean {
    return this.#done
  }

  get batch(): MapBatch {
    return {
      first: this.#first,
      cursor: this.#cursor,
      keys: this.#keys,
      values: this.#values,
      count: this.#size,
      flags: 0,
    }
  }

  accept({ count, end, error }: BatchOutcome): EntryBlock {
    this.#done = end
    if (error !== undefined) {
      this.#grow(error)
      return { count: 0, keys: this.#keys, values: this.#values }
    }
    this.#first = false
    return { count, keys: this.#keys, values: this.#values }
  }

  /** A bucket didn't fit; the cursor stands before it. */
  #grow(cause: BpfError): void {
    const { keySize, bufferSize, maxEntries } = this.#map.info
    if (this.#size >= GROWTH_LIMIT * maxEntries) throw cause
    this.#size = Math.min(2 * this.#size, GROWTH_LIMIT * maxEntries)
    this.#keys = new Uint8Array(this.#size * keySize)
    this.#values = new Uint8Array(this.#size * bufferSize)
  }
}

function aborted(map: string, entries: number): BpfError {
  return new BpfError(
    'ITERATION_ABORTED',
    `map '${map}': the iteration was aborted after ${entries} entries: the map changes faster than it can be walked`,
    {
      hint: 'What was read until then is valid, but not all there is: stop its writers, or take it as a sample',
    },
  )
}

/** A string for each key: bytes as characters. */
function textOf(key: Uint8Array): string {
  return String.fromCharCode(...key)
}
