/** Counters of what found no room in a ring: those that bpf/include/libbpf_node/drops.h defines. */
import { BpfError } from './errors.js'
import type { KernelMap } from './kernel.js'
import { BPF_MAP_TYPE, mapTypeName } from './linux/map-types.js'

/** The program's count, from the time when its reader is open to the last word that this has: its object may be closed before. */
export interface DropCounter {
  open(): void
  /** So far. */
  read(): number
  close(): void
}

/** Finds another map of the same object. Throws where there is none of that name. */
export type SiblingMap = (name: string) => KernelMap

/** Where the count is: a function that reads it; the name of a counter map; `true`, the map that the header names after the ring. */
export type DropSource = (() => number | bigint) | string | boolean

/** @throws BpfError `NOT_FOUND`, or `BAD_VALUE` for a map that is no counter */
export function dropCounter(
  source: DropSource | undefined,
  ring: string,
  sibling: SiblingMap,
): DropCounter | undefined {
  if (source === undefined || source === false) return undefined
  if (typeof source === 'function') return { open() {}, read: () => Number(source()), close() {} }
  if (source !== true && typeof source !== 'string') {
    throw new BpfError(
      'BAD_VALUE',
      `option dropped must be a function, the name of a counter map, or true, not ${typeof source}`,
    )
  }
  const map = sibling(source === true ? `${ring}_drops` : source)
  const { name, type, valueSize, maxEntries } = map.info
  if (type !== BPF_MAP_TYPE.PERCPU_ARRAY || valueSize !== 8 || maxEntries !== 1) {
    throw new BpfError(
      'BAD_VALUE',
      `map '${name}' is no drop counter: it is of type ${mapTypeName(type)}, with ${maxEntries} entries of ${valueSize} bytes`,
      {
        hint: 'A drop counter is a per-CPU array with one 64-bit number: LIBBPF_NODE_DROPS() of libbpf_node/drops.h',
      },
    )
  }
  return new MapCounter(map)
}

/** All readers of several rings as one. */
export function sumOf(counters: readonly (DropCounter | undefined)[]): DropCounter | undefined {
  const known = counters.filter((counter) => counter !== undefined)
  if (known.length === 0) return undefined
  return {
    open: () => known.forEach((counter) => counter.open()),
    read: () => known.reduce((sum, counter) => sum + counter.read(), 0),
    close: () => known.forEach((counter) => counter.close()),
  }
}

/** Holds the map while it is open. */
class MapCounter implements DropCounter {
  readonly #key = new Uint8Array(4)
  readonly #counts: BigUint64Array
  #map: KernelMap

  constructor(map: KernelMap) {
    this.#map = map
    this.#counts = new BigUint64Array(map.info.bufferSize / 8)
  }

  open(): void {
    this.#map = this.#map.duplicate()
  }

  read(): number {
    this.#map.lookup(this.#key, new Uint8Array(this.#counts.buffer), 0)
    return Number(this.#counts.reduce((sum, count) => sum + count, 0n))
  }

  close(): void {
    this.#map.close()
  }
}
