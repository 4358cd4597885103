/** A ring-buffer map as a reader's source of records. It holds the map until it is released. */
import type { LoadedMap } from './loaded-map.js'
import type { RingBufferMap } from './ring-buffer.js'
import type { RecordSource } from './ring-reader.js'

export class RingSource implements RecordSource {
  readonly subject: string
  readonly capacity: number
  readonly size: number
  readonly #map: LoadedMap
  readonly #ring: RingBufferMap

  constructor(map: LoadedMap, ring: RingBufferMap) {
    this.subject = `ring buffer '${map.name}'`
    // No ring holds more records than it has room for headers.
    this.capacity = ring.size / 8
    this.size = ring.size
    this.#map = map.retain()
    this.#ring = ring
  }

  get readable(): boolean {
    return this.#ring.readable
  }

  get available(): number {
    return this.#ring.available
  }

  nextLength(): number {
    return this.#ring.nextLength()
  }

  take(length: number, into: Uint8Array, at: number): void {
    this.#ring.take(length, into, at)
  }

  subscribe(wake: () => void): () => void {
    return this.#ring.subscribe(wake)
  }

  release(): void {
    this.#map.release()
  }
}
