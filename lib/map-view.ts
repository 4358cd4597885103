/** Values of an mmap-able array, read and written in memory: no system call takes part. */
import { BpfError } from './errors.js'
import type { KernelMap } from './kernel.js'
import { strideOf, type MapCodec } from './map-codec.js'

type IntegerArray =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
interface IntegerArrayConstructor {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): IntegerArray
}

/** By sign and bytes. BPF objects are little-endian, as are the machines that this runs on. */
const INTEGER_ARRAYS: Readonly<Record<string, IntegerArrayConstructor>> = {
  u1: Uint8Array,
  u2: Uint16Array,
  u4: Uint32Array,
  u8: BigUint64Array,
  s1: Int8Array,
  s2: Int16Array,
  s4: Int32Array,
  s8: BigInt64Array,
}

/**
 * A live view of an array map's values (`BPF_F_MMAPABLE`, Linux 5.5). What programs write is seen at once; what is written here, they
 * see at once. A value of more than 8 bytes may be seen half-written.
 *
 * Lifetime: that of the map. After that every access throws `CLOSED`.
 */
export class MapView<V = unknown> implements Iterable<V> {
  readonly #map: KernelMap
  readonly #codec: MapCodec<unknown, V>
  readonly #stride: number
  /** Reads integers straight from memory: an array of `#source`'s bytes, and its elements from one value to the next. */
  readonly #create: IntegerArrayConstructor | undefined
  readonly #step: number
  #source: Uint8Array | undefined
  #integers: IntegerArray | undefined
  readonly length: number

  /** @internal */
  constructor(map: KernelMap, codec: MapCodec<unknown, V>) {
    this.#map = map
    this.#codec = codec
    this.#stride = strideOf(map.info.valueSize)
    this.length = map.info.maxEntries
    const integer = codec.integer
    this.#create = integer && INTEGER_ARRAYS[`${integer.signed ? 's' : 'u'}${integer.size}`]
    this.#step = integer === undefined ? 0 : this.#stride / integer.size
    if (map.info.keySize !== 4 || map.memory() === undefined) {
      throw new BpfError(
        'UNSUPPORTED',
        `UNSUPPORTED: map '${map.info.name}' has no values in mapped memory`,
        {
          hint: 'It must be an array with BPF_F_MMAPABLE among its flags, and not frozen',
        },
      )
    }
  }

  /**
   * The bytes themselves: value `i` begins at `i * stride`. They move when a simulated kernel's memory grows: ask again at each use.
   *
   * @throws BpfError `CLOSED`
   */
  get bytes(): Uint8Array {
    const bytes = this.#map.memory()
    if (bytes === undefined)
      throw new BpfError('CLOSED', `map '${this.#map.info.name}' has no memory any more`)
    return bytes
  }

  /** Bytes from one value to the next: the value size, rounded up to 8. */
  get stride(): number {
    return this.#stride
  }

  /** @returns undefined behind the end */
  get(index: number): V | undefined {
    if (!(index >= 0 && index < this.length)) return undefined
    // Closed: throws, as this asks the map each time.
    if (this.#map.memory() !== this.#source) this.#remap()
    if (this.#integers !== undefined) return this.#integers[index * this.#step] as V
    return this.#codec.decodeValue(this.bytes, index * this.#stride)
  }

  /** @throws BpfError `BAD_VALUE` for an index behind the end or a value that doesn't fit */
  set(index: number, value: V): this {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      throw new BpfError(
        'BAD_VALUE',
        `map '${this.#map.info.name}': index ${index} is not in 0…${this.length - 1}`,
      )
    }
    this.#codec.encodeValue(value, this.bytes, index * this.#stride)
    return this
  }

  #remap(): void {
    const { bytes } = this
    this.#source = bytes
    const create = this.#create
    if (create === undefined || bytes.byteOffset % 8 !== 0) this.#integers = undefined
    else
      this.#integers = new create(
        bytes.buffer,
        bytes.byteOffset,
        Math.floor(bytes.length / create.BYTES_PER_ELEMENT),
      )
  }

  *[Symbol.iterator](): Generator<V, void, undefined> {
    for (let index = 0; index < this.length; index++) {
      yield this.#codec.decodeValue(this.bytes, index * this.#stride)
    }
  }
}
