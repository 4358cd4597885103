/** Many entries in few system calls: BPF_MAP_UPDATE_BATCH and BPF_MAP_DELETE_BATCH, Linux 5.6. */
import { BpfError } from './errors.js'
import type { BatchOutcome, KernelMap, MapBatch } from './kernel.js'
import type { MapCodec } from './map-codec.js'

/** Entries of one system call. */
const CHUNK = 2048
const NO_VALUES = new Uint8Array(0)
const NO_SUCH_CALL: ReadonlySet<string> = new Set(['ENOTSUPP', 'EOPNOTSUPP', 'EINVAL'])

/** Encoded entries that are written or deleted in order. */
export class BatchWriter<K, V> {
  readonly #map: KernelMap
  readonly #codec: MapCodec<K, V>
  readonly #cursor: Uint8Array

  constructor(map: KernelMap, codec: MapCodec<K, V>) {
    this.#map = map
    this.#codec = codec
    this.#cursor = new Uint8Array(Math.max(4, map.info.keySize))
  }

  /**
   * Writes entries. @returns how many
   * @throws BpfError what the first entry that couldn't be written met; those before it are written, those behind it aren't
   */
  set(entries: Iterable<readonly [K, V]>, flags: number): number {
    let written = 0
    for (const chunk of this.#chunks(entries)) {
      // The kernel's batches know no flags but BPF_F_LOCK: the others go one by one.
      if ((flags & 3) !== 0) this.#setEach(chunk, 0, flags)
      else this.#finishSet(chunk, this.#map.batch('update', { ...chunk, flags }), flags, written)
      written += chunk.count
    }
    return written
  }

  /** Like `set()`, with the system calls off the event loop's thread. */
  async setAsync(entries: Iterable<readonly [K, V]>, flags: number): Promise<number> {
    let written = 0
    for (const chunk of this.#chunks(entries)) {
      if ((flags & 3) !== 0) this.#setEach(chunk, 0, flags)
      else this.#finishSet(chunk, await this.#map.batchAsync('update', { ...chunk, flags }), flags, written)
      written += chunk.count
    }
    return written
  }

  /** Deletes entries; keys that aren't there are passed over. @returns how many were there */
  delete(keys: Iterable<K>): number {
    let deleted = 0
    for (const chunk of this.#keyChunks(keys)) {
      let rest: MapBatch | undefined = chunk
      while (rest !== undefined) {
        const step = this.#finishDelete(rest, this.#map.batch('delete', rest))
        deleted += step.deleted
        rest = step.rest
      }
    }
    return deleted
  }

  /** Like `delete()`, with the system calls off the event loop's thread. */
  async deleteAsync(keys: Iterable<K>): Promise<number> {
    let deleted = 0
    for (const chunk of this.#keyChunks(keys)) {
      let rest: MapBatch | undefined = chunk
      while (rest !== undefined) {
        const step = this.#finishDelete(rest, await this.#map.batchAsync('delete', rest))
        deleted += step.deleted
        rest = step.rest
      }
    }
    return deleted
  }

  #finishSet(chunk: MapBatch, { count, error }: BatchOutcome, flags: number, before: number): void {
    if (error === undefined) return
    if (count === 0 && NO_SUCH_CALL.has(error.code)) return this.#setEach(chunk, 0, flags)
    throw atEntry(error, before + count)
  }

  #setEach({ keys, values, count }: MapBatch, from: number, flags: number): void {
    const { keySize, bufferSize } = this.#map.info
    for (let i = from; i < count; i++) {
      this.#map.update(slice(keys, i, keySize), slice(values, i, bufferSize), flags)
    }
  }

  /** What a call did, and the part of the chunk behind the key that it stopped at. */
  #finishDelete(
    chunk: MapBatch,
    { count, error }: BatchOutcome,
  ): { readonly deleted: number; readonly rest?: MapBatch } {
    if (error === undefined) return { deleted: count }
    if (error.code === 'ENOENT') return { deleted: count, ...rest(chunk, count + 1, this.#map.info.keySize) }
    if (count > 0 || !NO_SUCH_CALL.has(error.code)) throw error
    let deleted = 0
    for (let i = 0; i < chunk.count; i++) {
      if (this.#map.delete(slice(chunk.keys, i, this.#map.info.keySize))) deleted++
    }
    return { deleted }
  }

  *#chunks(entries: Iterable<readonly [K, V]>): Generator<MapBatch, void, undefined> {
    const { keySize, bufferSize } = this.#map.info
    const keys = new Uint8Array(CHUNK * keySize)
    const values = new Uint8Array(CHUNK * bufferSize)
    let count = 0
    for (const [key, value] of entries) {
      this.#codec.encodeKey(key, keys, count * keySize)
      this.#codec.encodeValue(value, values, count * bufferSize)
      if (++count < CHUNK) continue
      yield this.#batch(keys, values, count)
      count = 0
    }
    if (count > 0) yield this.#batch(keys, values, count)
  }

  *#keyChunks(wanted: Iterable<K>): Generator<MapBatch, void, undefined> {
    const { keySize } = this.#map.info
    const keys = new Uint8Array(CHUNK * keySize)
    let count = 0
    for (const key of wanted) {
      this.#codec.encodeKey(key, keys, count * keySize)
      if (++count < CHUNK) continue
      yield this.#batch(keys, NO_VALUES, count)
      count = 0
    }
    if (count > 0) yield this.#batch(keys, NO_VALUES, count)
  }

  #batch(keys: Uint8Array, values: Uint8Array, count: number): MapBatch {
    return { first: true, cursor: this.#cursor, keys, values, count, flags: 0 }
  }
}

function rest(chunk: MapBatch, from: number, keySize: number): { rest?: MapBatch } {
  if (from >= chunk.count) return {}
  return { rest: { ...chunk, keys: chunk.keys.subarray(from * keySize), count: chunk.count - from } }
}

function slice(bytes: Uint8Array, index: number, size: number): Uint8Array {
  return bytes.subarray(index * size, (index + 1) * size)
}

function atEntry(error: BpfError, index: number): BpfError {
  const { errno, call, hint } = error
  const message = hint === undefined ? error.message : error.message.replace(`. ${hint}`, '')
  return new BpfError(error.code, `${message}, at entry ${index}; those before it were written`, {
    ...(errno !== undefined && { errno }),
    ...(call !== undefined && { call }),
    ...(hint !== undefined && { hint }),
    cause: error,
  })
}
