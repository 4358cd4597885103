/** A map in Linux. */
import type { KernelMap, KernelReader, MapInfo, RecordBatch, RecordSink, RingOptions } from '../kernel.js'
import type { AddonMap } from './addon-types.js'

type Writable<T> = { -readonly [Name in keyof T]: T[Name] }

export class NativeMap implements KernelMap {
  readonly info: MapInfo
  readonly #handle: AddonMap
  #closed = false

  /** @param name as the object file has it: the kernel cuts names at 15 bytes */
  constructor(handle: AddonMap, name: string) {
    this.#handle = handle
    this.info = { name, ...handle.info() }
  }

  get closed(): boolean {
    return this.#closed
  }

  lookup(key: Uint8Array, value: Uint8Array, flags: number): boolean {
    return this.#handle.lookup(key, value, flags)
  }

  update(key: Uint8Array, value: Uint8Array, flags: number): void {
    this.#handle.update(key, value, flags)
  }

  delete(key: Uint8Array): boolean {
    return this.#handle.delete(key)
  }

  nextKey(key: Uint8Array | null, next: Uint8Array): boolean {
    return this.#handle.nextKey(key, next)
  }

  memory(): Uint8Array | undefined {
    return this.#handle.memory()
  }

  openRing(sink: RecordSink, options: RingOptions): KernelReader {
    // One batch object for the life of the reader: nothing is allocated per batch.
    const batch: Writable<RecordBatch> = { count: 0, bytes: new Uint8Array(0), index: new Uint32Array(0) }
    return this.#handle.openRing(
      (count, bytes, index) => {
        if (bytes !== undefined) batch.bytes = bytes
        if (index !== undefined) batch.index = index
        batch.count = count
        sink(batch)
      },
      options.batchBytes,
      options.batchRecords,
      options.floodIntervalMs,
      options.floodWakeups,
      options.floodPeriodMs,
    )
  }

  close(): void {
    this.#closed = true
    this.#handle.close()
  }
}
