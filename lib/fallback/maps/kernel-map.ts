/** A map as the seam wants it: system calls with Linux's checks, errors as `BpfError`. */
import { BpfError, systemError, unsupported } from '../../errors.js'
import type {
  BatchOperation,
  BatchOutcome,
  KernelLink,
  KernelMap,
  KernelProgram,
  KernelReader,
  KernelUserRing,
  MapBatch,
  MapDetails,
  MapInfo,
  PerfOptions,
  ReaderOptions,
  RecordSink,
} from '../../kernel.js'
import { BPF_MAP_FLAGS, mapTypeName } from '../../linux/map-types.js'
import { EINVAL, ENOENT, ENOTSUPP, EPERM } from '../errors.js'
import type { Memory } from '../memory.js'
import { FallbackProgram } from '../program.js'
import { runBatch } from './batch.js'
import type { LoadedMap } from './loaded-map.js'
import { PerfEventArray } from './perf-event-array.js'
import { openPerfReader } from './perf-source.js'
import { RingReader } from './ring-reader.js'
import { RingSource } from './ring-source.js'
import { RingBufferMap } from './ring-buffer.js'
import { UserRingMap } from './user-ring.js'
import { UserRingProducer } from './user-ring-producer.js'

const LOOKUP = 'bpf(BPF_MAP_LOOKUP_ELEM)'
const UPDATE = 'bpf(BPF_MAP_UPDATE_ELEM)'
const DELETE = 'bpf(BPF_MAP_DELETE_ELEM)'
const NEXT_KEY = 'bpf(BPF_MAP_GET_NEXT_KEY)'
const TAKE = 'bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM)'
const BATCH_CALLS: Readonly<Record<BatchOperation, string>> = {
  lookup: 'bpf(BPF_MAP_LOOKUP_BATCH)',
  lookupAndDelete: 'bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH)',
  update: 'bpf(BPF_MAP_UPDATE_BATCH)',
  delete: 'bpf(BPF_MAP_DELETE_BATCH)',
}

export class FallbackMap implements KernelMap {
  readonly info: MapInfo
  readonly realm: object
  readonly scratch: { readonly key: Uint8Array; readonly value: Uint8Array }
  readonly #memory: Memory
  readonly #map: LoadedMap
  #closed = false

  /** Takes over one hold on the map. */
  constructor(memory: Memory, map: LoadedMap) {
    this.#memory = memory
    this.realm = memory
    this.#map = map.retainForUser()
    map.release()
    const { name, type, keySize, valueSize, maxEntries, flags } = map.storage.attributes
    this.info = {
      name,
      id: map.id,
      type,
      keySize,
      valueSize,
      bufferSize: map.storage.bufferSize,
      maxEntries,
      flags,
    }
    this.scratch = { key: new Uint8Array(keySize), value: new Uint8Array(map.storage.bufferSize) }
  }

  lookup(key: Uint8Array, value: Uint8Array, flags: number): boolean {
    this.#enter(LOOKUP, key, value)
    if (flags !== 0) throw this.#failure(LOOKUP, EINVAL)
    this.#mayAccess(LOOKUP, BPF_MAP_FLAGS.BPF_F_WRONLY)
    const { storage } = this.#map
    if (storage.sequence?.contains !== undefined) return storage.sequence.contains(value, 0) === 0
    const address = storage.lookupAll(key, 0)
    if (address === 0) return false
    if (address < 0) throw this.#failure(LOOKUP, address)
    value.set(this.#memory.u8.subarray(address, address + this.info.bufferSize))
    return true
  }

  update(key: Uint8Array, value: Uint8Array, flags: number): void {
    this.#enter(UPDATE, key, value)
    this.#mayWrite(UPDATE)
    const error = this.#map.storage.updateAll(key, 0, value, 0, flags >>> 0)
    if (error !== 0) throw this.#failure(UPDATE, error)
  }

  delete(key: Uint8Array): boolean {
    this.#enter(DELETE, key)
    this.#mayWrite(DELETE)
    const error = this.#map.storage.delete(key, 0)
    if (error === ENOENT) return false
    if (error !== 0) throw this.#failure(DELETE, error)
    return true
  }

  nextKey(key: Uint8Array | null, next: Uint8Array): boolean {
    this.#enter(NEXT_KEY, key ?? next)
    this.#mayAccess(NEXT_KEY, BPF_MAP_FLAGS.BPF_F_WRONLY)
    if (next.length < this.info.keySize) throw this.#tooShort('next', next.length, this.info.keySize)
    const error = this.#map.storage.nextKey(key, next)
    if (error === ENOENT) return false
    if (error !== 0) throw this.#failure(NEXT_KEY, error)
    return true
  }

  lookupAndDelete(key: Uint8Array, value: Uint8Array, flags: number): boolean {
    this.#enter(TAKE, key, value)
    if (flags !== 0) throw this.#failure(TAKE, EINVAL)
    this.#mayAccess(TAKE, BPF_MAP_FLAGS.BPF_F_WRONLY)
    this.#mayWrite(TAKE)
    const { storage } = this.#map
    const address = storage.takeAll?.(key, 0) ?? storage.sequence?.take() ?? ENOTSUPP
    if (address === ENOENT) return false
    if (address < 0) throw this.#failure(TAKE, address)
    value.set(this.#memory.u8.subarray(address, address + this.info.bufferSize))
    return true
  }

  updateHandle(key: Uint8Array, handle: KernelMap | KernelProgram, flags: number): void {
    this.#enter(UPDATE, key)
    this.#mayWrite(UPDATE)
    const { updateMap, updateProgram } = this.#map.storage
    const program = handle instanceof FallbackProgram ? handle.share(this.#memory) : undefined
    const map = handle instanceof FallbackMap ? handle.share(this.#memory) : undefined
    try {
      const error =
        (program && updateProgram?.(key, 0, program, flags)) ?? (map && updateMap?.(key, 0, map, flags))
      if (error === 0) return
      if (program !== undefined || map !== undefined) throw this.#failure(UPDATE, error ?? EINVAL)
      throw new BpfError('BAD_VALUE', `map '${this.info.name}': '${handle.info.name}' is not of this kernel`)
    } finally {
      program?.release()
      map?.release()
    }
  }

  batch(operation: BatchOperation, batch: MapBatch): BatchOutcome {
    const call = BATCH_CALLS[operation]
    this.#assertOpen(call)
    if (operation !== 'update' && operation !== 'delete') this.#mayAccess(call, BPF_MAP_FLAGS.BPF_F_WRONLY)
    if (operation !== 'lookup') this.#mayWrite(call)
    const { keySize, bufferSize } = this.info
    this.#holds('keys', batch.keys, batch.count * keySize)
    this.#holds('values', batch.values, operation === 'delete' ? 0 : batch.count * bufferSize)
    this.#holds('cursor', batch.cursor, Math.max(4, keySize))
    const { count, error } = runBatch(this.#memory, this.#map.storage, operation, batch)
    const end = error === ENOENT && (operation === 'lookup' || operation === 'lookupAndDelete')
    return { count, end, error: error === 0 || end ? undefined : this.#failure(call, error) }
  }

  async batchAsync(operation: BatchOperation, batch: MapBatch): Promise<BatchOutcome> {
    return this.batch(operation, batch)
  }

  freeze(): void {
    this.#assertOpen('bpf(BPF_MAP_FREEZE)')
    if (this.#map.frozen) throw this.#failure('bpf(BPF_MAP_FREEZE)', EPERM, 'It is frozen already')
    this.#map.frozen = true
  }

  pin(path: string): void {
    this.#assertOpen('bpf(BPF_OBJ_PIN)')
    this.#map.pin(path)
  }

  unpin(path: string): void {
    this.#assertOpen('unlink')
    this.#map.unpin(path)
  }

  details(): MapDetails {
    this.#assertOpen('bpf(BPF_OBJ_GET_INFO_BY_FD)')
    const { frozen, storage } = this.#map
    return {
      frozen,
      memlock: undefined,
      mapExtra: storage.attributes.mapExtra,
      ifindex: 0,
      btfId: 0,
      btfKeyType: 0,
      btfValueType: 0,
    }
  }

  /** There are no file descriptors here. */
  get fd(): undefined {
    return undefined
  }

  /**
   * A view of the memory as it is now. The kernel's memory moves when it grows, which any later call may bring about: ask again at each
   * access. Read-only maps have none: a view could be written through.
   */
  memory(): Uint8Array | undefined {
    this.#assertOpen('mmap')
    const { mapped, attributes } = this.#map.storage
    const readOnly = BPF_MAP_FLAGS.BPF_F_RDONLY_PROG | BPF_MAP_FLAGS.BPF_F_RDONLY | BPF_MAP_FLAGS.BPF_F_WRONLY
    if (mapped === undefined || this.#map.frozen || (attributes.flags & readOnly) !== 0) return undefined
    return this.#memory.u8.subarray(mapped.address, mapped.address + mapped.size)
  }

  duplicate(): FallbackMap {
    this.#assertOpen('map')
    return new FallbackMap(this.#memory, this.#map.retain())
  }

  openRing(sink: RecordSink, options: ReaderOptions, others: readonly KernelMap[] = []): KernelReader {
    const rings = [this, ...others].map((map) => {
      if (map instanceof FallbackMap && map.#memory === this.#memory) return map.#ring()
      throw new BpfError(
        'BAD_VALUE',
        `map '${map.info.name}' is of another kernel: one reader has rings of one kernel`,
      )
    })
    const sources = rings.map(([map, ring]) => new RingSource(map, ring))
    return new RingReader(sources, sink, options)
  }

  openPerf(sink: RecordSink, options: PerfOptions): KernelReader {
    this.#assertOpen('perf_buffer__new_raw')
    const { storage } = this.#map
    if (!(storage instanceof PerfEventArray))
      throw systemError('perf_buffer__new_raw', -EINVAL, `map '${this.info.name}'`, {
        hint: `It is of type ${mapTypeName(this.info.type)}, no perf event array`,
      })
    return openPerfReader(this.#map, storage, sink, options)
  }

  openUserRing(): KernelUserRing {
    this.#assertOpen('user_ring_buffer__new')
    const { storage } = this.#map
    if (storage instanceof UserRingMap) return new UserRingProducer(this.#memory, this.#map, storage)
    throw systemError('user_ring_buffer__new', -EINVAL, `map '${this.info.name}'`, {
      hint: `It is of type ${mapTypeName(this.info.type)}, no user ring buffer`,
    })
  }

  #ring(): readonly [LoadedMap, RingBufferMap] {
    this.#assertOpen('ring_buffer__new')
    const { storage } = this.#map
    if (storage instanceof RingBufferMap) return [this.#map, storage]
    throw systemError('ring_buffer__new', -EINVAL, `map '${this.info.name}'`, {
      hint: `It is of type ${mapTypeName(this.info.type)}, no ring buffer`,
    })
  }

  attachStructOps(): KernelLink {
    throw unsupported(`attaching struct_ops map '${this.info.name}' in the fallback kernel`)
  }

  /** The map itself, with a hold on it for the caller; undefined if it lies in another kernel's memory. */
  share(memory: Memory): LoadedMap | undefined {
    this.#assertOpen('bpf_map__reuse_fd')
    return memory === this.#memory ? this.#map.retain() : undefined
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#map.releaseForUser()
  }

  #enter(call: string, key: Uint8Array, value?: Uint8Array): void {
    this.#assertOpen(call)
    if (key.length < this.info.keySize) throw this.#tooShort('key', key.length, this.info.keySize)
    if (value !== undefined && value.length < this.info.bufferSize)
      throw this.#tooShort('value', value.length, this.info.bufferSize)
  }

  #mayWrite(call: string): void {
    this.#mayAccess(call, BPF_MAP_FLAGS.BPF_F_RDONLY)
    if (this.#map.frozen)
      throw this.#failure(call, EPERM, 'The map is frozen: constants are set before load()')
  }

  #holds(what: string, bytes: Uint8Array, needed: number): void {
    if (bytes.length < needed) throw this.#tooShort(what, bytes.length, needed)
  }

  #mayAccess(call: string, forbidding: number): void {
    if ((this.info.flags & forbidding) !== 0) throw this.#failure(call, EPERM)
  }

  #assertOpen(call: string): void {
    if (this.#closed) throw new BpfError('CLOSED', `map '${this.info.name}' is closed`, { call })
  }

  #tooShort(what: string, got: number, needed: number): BpfError {
    return new BpfError(
      'BAD_VALUE',
      `map '${this.info.name}': ${what} has ${got} bytes, ${needed} are needed`,
    )
  }

  #failure(call: string, error: number, hint?: string): BpfError {
    return systemError(call, -error, `map '${this.info.name}'`, hint === undefined ? {} : { hint })
  }
}
