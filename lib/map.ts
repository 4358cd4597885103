/** Maps: typed by BTF above the seam, bytes below it. */
import { createCodec, type Codec } from './codec/index.js'
import { BpfError } from './errors.js'
import type { KernelMap, MapInfo } from './kernel.js'
import { BPF_UPDATE_FLAGS, isPerCpu, mapTypeName } from './linux/map-types.js'
import type { MapDefinition, ObjectFile } from './object-file/types.js'
import { RingBuffer, type RingBufferOptions } from './ring-buffer.js'

export interface SetOptions {
  /** `any` (default) makes or replaces; `noexist` fails with `EEXIST`; `exist` fails with `ENOENT`. */
  readonly mode?: 'any' | 'noexist' | 'exist'
}

const UPDATE_FLAGS = {
  any: BPF_UPDATE_FLAGS.BPF_ANY,
  noexist: BPF_UPDATE_FLAGS.BPF_NOEXIST,
  exist: BPF_UPDATE_FLAGS.BPF_EXIST,
} as const

/**
 * A map of a loaded object.
 *
 * Keys and values are what BTF says of them: numbers, bigint for 64 bits, strings for char arrays, plain objects for structs;
 * `Uint8Array`s of the exact size where the map has no types. Writing also takes a `Uint8Array` everywhere.
 *
 * Lifetime: that of its object. After `object.close()` every method throws `CLOSED`.
 */
export class BpfMap<K = unknown, V = unknown> implements Iterable<[K, V]> {
  readonly #map: KernelMap
  readonly #file: ObjectFile
  readonly #definition: MapDefinition | undefined
  readonly #info: MapInfo
  readonly #key: Uint8Array
  readonly #value: Uint8Array
  #keyCodec: Codec | undefined
  #valueCodec: Codec | undefined

  /**
   * @internal
   * @param owner kept alive as long as the map is in use
   */
  constructor(
    map: KernelMap,
    file: ObjectFile,
    definition: MapDefinition | undefined,
    readonly owner: object,
  ) {
    this.#map = map
    this.#file = file
    this.#definition = definition
    this.#info = map.info
    this.#key = new Uint8Array(map.info.keySize)
    this.#value = new Uint8Array(map.info.bufferSize)
    Object.defineProperty(this, 'owner', { enumerable: false })
  }

  get name(): string {
    return this.#info.name
  }

  /** Map type under bpftool's name: `hash`, `array`, `ringbuf` … */
  get type(): string {
    return mapTypeName(this.#info.type)
  }

  /** Kernel id. */
  get id(): number {
    return this.#info.id
  }

  get keySize(): number {
    return this.#info.keySize
  }

  get valueSize(): number {
    return this.#info.valueSize
  }

  get maxEntries(): number {
    return this.#info.maxEntries
  }

  /** The value of a key, or undefined. */
  get(key: K): V | undefined {
    this.#encodeKey(key)
    if (!this.#map.lookup(this.#key, this.#value, 0)) return undefined
    return this.#decodeValue()
  }

  /** Makes or replaces an entry. @throws BpfError `E2BIG` when the map is full, `BAD_VALUE` for what doesn't fit its types */
  set(key: K, value: V, options: SetOptions = {}): this {
    const flags = updateFlags(this.name, options.mode)
    this.#encodeKey(key)
    this.#encode(this.#codecOfValue(), value, this.#value, 'value')
    this.#map.update(this.#key, this.#value, flags)
    return this
  }

  has(key: K): boolean {
    this.#encodeKey(key)
    return this.#map.lookup(this.#key, this.#value, 0)
  }

  /** Removes an entry. @returns whether there was one */
  delete(key: K): boolean {
    this.#encodeKey(key)
    return this.#map.delete(this.#key)
  }

  /**
   * Entries, in the kernel's order. A key that is deleted by somebody else under way makes a hash map start again from its
   * beginning (so does the kernel): an entry may then come twice.
   */
  *entries(): Generator<[K, V], void, undefined> {
    for (const key of this.#rawKeys()) {
      if (!this.#map.lookup(key, this.#value, 0)) continue
      yield [this.#codecOfKey().decode(key) as K, this.#decodeValue()]
    }
  }

  *keys(): Generator<K, void, undefined> {
    for (const key of this.#rawKeys()) yield this.#codecOfKey().decode(key) as K
  }

  *values(): Generator<V, void, undefined> {
    for (const [, value] of this.entries()) yield value
  }

  [Symbol.iterator](): Generator<[K, V], void, undefined> {
    return this.entries()
  }

  /**
   * Reads a ring-buffer map (`BPF_MAP_TYPE_RINGBUF`, Linux 5.8+).
   *
   * @throws BpfError `BAD_VALUE` if the map is of another type or the event type isn't in the object's BTF
   */
  ringBuffer<T = unknown>(options: RingBufferOptions<T> = {}): RingBuffer<T> {
    return new RingBuffer<T>(this.#map, this.#file, options)
  }

  /** @internal */
  get kernelMap(): KernelMap {
    return this.#map
  }

  // Two keys in turn: the kernel reads one while it writes the other.
  *#rawKeys(): Generator<Uint8Array, void, undefined> {
    let key = new Uint8Array(this.#info.keySize)
    let next = new Uint8Array(this.#info.keySize)
    // A hash map whose current key vanishes starts again: bound the walk, as a busy map could make it endless.
    let left = 2 * this.#info.maxEntries
    let found = this.#map.nextKey(null, key)
    while (found && left-- > 0) {
      yield key
      found = this.#map.nextKey(key, next)
      const last = key
      key = next
      next = last
    }
  }

  #codecOfKey(): Codec {
    return (this.#keyCodec ??= this.#codec(this.#definition?.keyType, this.#info.keySize))
  }

  #codecOfValue(): Codec {
    return (this.#valueCodec ??= this.#codec(this.#definition?.valueType, this.#info.valueSize))
  }

  #codec(type: number | undefined, size: number): Codec {
    const { btf } = this.#file
    return btf === undefined || type === undefined ? rawBytes(size) : createCodec(btf, type)
  }

  #encodeKey(key: K): void {
    this.#encode(this.#codecOfKey(), key, this.#key, 'key')
  }

  #decodeValue(): V {
    const codec = this.#codecOfValue()
    if (!isPerCpu(this.#info.type)) return codec.decode(this.#value) as V
    const stride = (this.#info.valueSize + 7) & ~7
    const values: unknown[] = []
    for (let at = 0; at < this.#value.length; at += stride) values.push(codec.decode(this.#value, at))
    return values as V
  }

  #encode(codec: Codec, value: unknown, into: Uint8Array, role: 'key' | 'value'): void {
    try {
      if (role === 'value' && isPerCpu(this.#info.type)) this.#encodePerCpu(codec, value, into)
      else codec.encode(value, into)
    } catch (error) {
      if (error instanceof BpfError && error.code === 'BAD_VALUE') {
        throw new BpfError('BAD_VALUE', `map '${this.name}', ${role}: ${error.message}`, { cause: error })
      }
      throw error
    }
  }

  #encodePerCpu(codec: Codec, value: unknown, into: Uint8Array): void {
    const stride = (this.#info.valueSize + 7) & ~7
    const cpus = into.length / stride
    if (!Array.isArray(value) || value.length !== cpus) {
      throw new BpfError(
        'BAD_VALUE',
        `a per-CPU value is an array with one element for each of the ${cpus} possible CPUs`,
      )
    }
    for (let cpu = 0; cpu < cpus; cpu++) codec.encode(value[cpu], into, cpu * stride)
  }
}

function updateFlags(map: string, mode: SetOptions['mode'] = 'any'): number {
  if (Object.hasOwn(UPDATE_FLAGS, mode)) return UPDATE_FLAGS[mode]
  throw new BpfError(
    'BAD_VALUE',
    `map '${map}': option mode must be any, noexist or exist, not '${String(mode)}'`,
  )
}

/** For maps without types: bytes of the exact size. */
function rawBytes(size: number): Codec {
  return {
    size,
    typeName: `${size} bytes`,
    decode: (bytes, offset = 0) => bytes.slice(offset, offset + size),
    encode(value, bytes, offset = 0) {
      if (!(value instanceof Uint8Array) || value.length !== size) {
        const got = value instanceof Uint8Array ? `${value.length} bytes` : typeof value
        throw new BpfError(
          'BAD_VALUE',
          `a Uint8Array of ${size} bytes is needed (the map has no types), not ${got}`,
        )
      }
      bytes.set(value, offset)
    },
  }
}
