/** A map as the seam wants it: system calls with Linux's checks, errors as `BpfError`. */
import { BpfError, systemError } from '../../errors.js'
import type { KernelMap, KernelReader, MapInfo, RecordSink, ReaderOptions } from '../../kernel.js'
import { BPF_MAP_FLAGS, mapTypeName } from '../../linux/map-types.js'
import { EINVAL, ENOENT, EPERM } from '../errors.js'
import type { Memory } from '../memory.js'
import type { LoadedMap } from './loaded-map.js'
import { RingReader } from './ring-reader.js'
import { RingBufferMap } from './ring-buffer.js'

const LOOKUP = 'bpf(BPF_MAP_LOOKUP_ELEM)'
const UPDATE = 'bpf(BPF_MAP_UPDATE_ELEM)'
const DELETE = 'bpf(BPF_MAP_DELETE_ELEM)'
const NEXT_KEY = 'bpf(BPF_MAP_GET_NEXT_KEY)'

export class FallbackMap implements KernelMap {
  readonly info: MapInfo
  readonly #memory: Memory
  readonly #map: LoadedMap
  #closed = false

  /** Takes over one hold on the map. */
  constructor(memory: Memory, map: LoadedMap) {
    this.#memory = memory
    this.#map = map
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
  }

  lookup(key: Uint8Array, value: Uint8Array, flags: number): boolean {
    this.#enter(LOOKUP, key, value)
    if (flags !== 0) throw this.#failure(LOOKUP, EINVAL)
    this.#mayAccess(LOOKUP, BPF_MAP_FLAGS.BPF_F_WRONLY)
    const address = this.#map.storage.lookupAll(key, 0)
    if (address === 0) return false
    if (address < 0) throw this.#failure(LOOKUP, address)
    value.set(this.#memory.u8.subarray(address, address + this.info.bufferSize))
    return true
  }

  update(key: Uint8Array, value: Uint8Array, flags: number): void {
    this.#enter(UPDATE, key, value)
    this.#mayAccess(UPDATE, BPF_MAP_FLAGS.BPF_F_RDONLY)
    if (this.#map.frozen)
      throw this.#failure(UPDATE, EPERM, 'The map is frozen: constants are set before load()')
    const error = this.#map.storage.updateAll(key, 0, value, 0, flags >>> 0)
    if (error !== 0) throw this.#failure(UPDATE, error)
  }

  delete(key: Uint8Array): boolean {
    this.#enter(DELETE, key)
    this.#mayAccess(DELETE, BPF_MAP_FLAGS.BPF_F_RDONLY)
    if (this.#map.frozen) throw this.#failure(DELETE, EPERM)
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

  openRing(sink: RecordSink, options: ReaderOptions): KernelReader {
    this.#assertOpen('ring_buffer__new')
    const { storage } = this.#map
    if (storage instanceof RingBufferMap) return new RingReader(this.#map, storage, sink, options)
    throw systemError('ring_buffer__new', -EINVAL, `map '${this.info.name}'`, {
      hint: `It is of type ${mapTypeName(this.info.type)}, no ring buffer`,
    })
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#map.release()
  }

  #enter(call: string, key: Uint8Array, value?: Uint8Array): void {
    this.#assertOpen(call)
    if (key.length < this.info.keySize) throw this.#tooShort('key', key.length, this.info.keySize)
    if (value !== undefined && value.length < this.info.bufferSize)
      throw this.#tooShort('value', value.length, this.info.bufferSize)
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
