/** One CPU's buffer of a perf event array as a reader's source of records. It holds the map until it is released. */
import { BpfError } from '../../errors.js'
import type { KernelReader, PerfOptions, RecordSink } from '../../kernel.js'
import type { LoadedMap } from './loaded-map.js'
import type { PerfEventArray } from './perf-event-array.js'
import { PerfRing } from './perf-ring.js'
import { RingReader, type RecordSource } from './ring-reader.js'
import { PAGE_SIZE } from './types.js'

/** Bytes that all buffers of a reader may have. */
const MOST_BYTES = 2 ** 30

/**
 * perf_buffer__new(): a buffer for each CPU, put into the map.
 *
 * @throws BpfError `BAD_VALUE` for more memory than there is
 */
export function openPerfReader(
  map: LoadedMap,
  array: PerfEventArray,
  sink: RecordSink,
  options: PerfOptions,
): KernelReader {
  const { pages, timestamps } = options
  if (array.cpus * pages * PAGE_SIZE > MOST_BYTES)
    throw new BpfError('BAD_VALUE', `perf buffer '${map.name}': ${pages} pages a CPU are too many`)
  const sources = Array.from(
    { length: array.cpus },
    (_unused, cpu) => new PerfSource(map, array, cpu, new PerfRing(options)),
  )
  return new RingReader(sources, sink, options, { timestamps })
}

class PerfSource implements RecordSource {
  readonly subject: string
  readonly capacity: number
  readonly size: number
  readonly #map: LoadedMap
  readonly #array: PerfEventArray
  readonly #cpu: number
  readonly #ring: PerfRing

  /** Puts the buffer into the map, in place of the one that is there. */
  constructor(map: LoadedMap, array: PerfEventArray, cpu: number, ring: PerfRing) {
    this.subject = `perf buffer '${map.name}'`
    // No record is shorter than 16 bytes.
    this.capacity = ring.size / 16
    this.size = ring.size
    this.#map = map.retain()
    this.#array = array
    this.#cpu = cpu
    this.#ring = ring
    array.put(cpu, ring)
  }

  get readable(): boolean {
    return this.#ring.readable
  }

  get available(): number {
    return this.#ring.available
  }

  get lost(): number {
    return this.#ring.lost
  }

  nextLength(): number {
    return this.#ring.nextLength()
  }

  get nextTime(): bigint {
    return this.#ring.nextTime
  }

  take(length: number, into: Uint8Array, at: number): void {
    this.#ring.take(length, into, at)
  }

  subscribe(wake: () => void): () => void {
    return this.#ring.subscribe(wake)
  }

  /** As libbpf does: the slot is emptied, whoever's buffer is in it. */
  release(): void {
    this.#array.put(this.#cpu, undefined)
    this.#map.release()
  }
}
