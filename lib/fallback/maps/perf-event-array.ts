/** BPF_MAP_TYPE_PERF_EVENT_ARRAY: kernel/bpf/arraymap.c. Linux 4.3. */
import { E2BIG, EBADF, EINVAL, ENOENT, ENOTSUPP } from '../errors.js'
import type { Memory } from '../memory.js'
import { createArray, u32 } from './array.js'
import type { PerfRing } from './perf-ring.js'
import type { CpuState, MapAttributes, MapStorage } from './types.js'

export class PerfEventArray implements MapStorage {
  readonly bufferSize = 4
  readonly forEach = undefined
  readonly mapped = undefined
  readonly direct = undefined
  readonly #keys: MapStorage
  /** Buffers by slot: that of a CPU stands in its own. */
  readonly #rings: (PerfRing | undefined)[] = []

  constructor(
    memory: Memory,
    cpus: CpuState,
    readonly attributes: MapAttributes,
  ) {
    this.#keys = createArray(memory, cpus, attributes, { perCpu: false })
    /** Slots that a reader fills. */
    this.#rings.length = Math.min(cpus.possible, attributes.maxEntries)
  }

  /** CPUs that a reader has buffers for. */
  get cpus(): number {
    return this.#rings.length
  }

  ringAt(index: number): PerfRing | undefined {
    return this.#rings[index]
  }

  put(index: number, ring: PerfRing | undefined): void {
    this.#rings[index] = ring
  }

  lookup(): number {
    return 0
  }

  lookupAll(): number {
    return ENOTSUPP
  }

  update(): number {
    return EINVAL
  }

  /** Values are file descriptors, and there are none here: put() takes a buffer itself. */
  updateAll(bytes: Uint8Array, at: number, _value: Uint8Array, _valueAt: number, flags: number): number {
    if (flags !== 0) return EINVAL
    return u32(bytes, at) >= this.attributes.maxEntries ? E2BIG : EBADF
  }

  delete(bytes: Uint8Array, at: number): number {
    const index = u32(bytes, at)
    if (index >= this.attributes.maxEntries) return E2BIG
    if (this.#rings[index] === undefined) return ENOENT
    this.#rings[index] = undefined
    return 0
  }

  nextKey(key: Uint8Array | null, next: Uint8Array): number {
    return this.#keys.nextKey(key, next)
  }

  destroy(): void {
    this.#keys.destroy()
  }
}
