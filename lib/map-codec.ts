/** Keys and values of a map: JavaScript above, bytes in the kernel's layout below. */
import { BtfBuilder } from './btf/builder.js'
import { parseBtf } from './btf/parse.js'
import { resolveType } from './btf/query.js'
import { createCodec, type Codec } from './codec/index.js'
import { integerReader, type ReadAt } from './entry-readers.js'
import { BpfError } from './errors.js'
import type { MapInfo } from './kernel.js'
import { isPerCpu, mapTypeDefaults } from './linux/map-types.js'
import type { EntryBlock } from './map-walk.js'
import type { MapDefinition, ObjectFile } from './object-file/types.js'

/** Where one value begins behind the other, in per-CPU values and in mapped memory. */
export function strideOf(valueSize: number): number {
  return Math.ceil(valueSize / 8) * 8
}

export class MapCodec<K, V> {
  readonly #info: MapInfo
  readonly #file: ObjectFile
  readonly #definition: MapDefinition | undefined
  readonly #perCpu: boolean
  /** The commonest keys and values have a short cut. */
  readonly #keysAreU32: boolean
  readonly #valuesAreU64: boolean
  #keyCodec: Codec | undefined
  #valueCodec: Codec | undefined

  constructor(info: MapInfo, file: ObjectFile, definition: MapDefinition | undefined) {
    this.#info = info
    this.#file = file
    this.#definition = definition
    this.#perCpu = isPerCpu(info.type)
    const key = this.keyInteger
    const value = this.integer
    this.#valuesAreU64 = value !== undefined && value.size === 8 && !value.signed && info.valueSize === 8
    this.#keysAreU32 = key !== undefined && key.size === 4 && !key.signed && info.keySize === 4
  }

  /** Of one key. */
  get key(): Codec {
    return (this.#keyCodec ??= this.#createKeyCodec())
  }

  /** Of one value: of a per-CPU map, of one CPU's. */
  get value(): Codec {
    return (this.#valueCodec ??= this.#createValueCodec())
  }

  /** Bytes and sign of a value that is a plain integer; undefined if it is something else. */
  get integer(): { readonly size: number; readonly signed: boolean } | undefined {
    return this.#perCpu ? undefined : this.#integerOf(this.#definition?.valueType)
  }

  /** The same of a key. */
  get keyInteger(): { readonly size: number; readonly signed: boolean } | undefined {
    return this.#integerOf(this.#definition?.keyType)
  }

  /** Of keys side by side. */
  keyReader(bytes: Uint8Array): ReadAt<K> {
    const { keySize } = this.#info
    return (
      (readerOf(this.keyInteger, bytes, keySize) as ReadAt<K> | undefined) ??
      ((i) => this.key.decode(bytes, i * keySize) as K)
    )
  }

  /** Of values side by side. */
  valueReader(bytes: Uint8Array): ReadAt<V> {
    const { bufferSize } = this.#info
    return (
      (readerOf(this.integer, bytes, bufferSize) as ReadAt<V> | undefined) ??
      ((i) => this.decodeValue(bytes, i * bufferSize))
    )
  }

  readonly entryReader = ({ keys, values }: EntryBlock): ReadAt<[K, V]> => {
    const key = this.keyReader(keys)
    const value = this.valueReader(values)
    return (i) => [key(i), value(i)]
  }

  /** The value at `offset`: an array of all CPUs' in a per-CPU map. */
  decodeValue(bytes: Uint8Array, offset = 0): V {
    const codec = this.value
    if (!this.#perCpu) return codec.decode(bytes, offset) as V
    const stride = strideOf(this.#info.valueSize)
    const values: unknown[] = []
    for (let at = 0; at < this.#info.bufferSize; at += stride) values.push(codec.decode(bytes, offset + at))
    return values as V
  }

  /** @throws BpfError `BAD_VALUE` */
  encodeKey(key: unknown, into: Uint8Array, offset = 0): void {
    if (this.#keysAreU32 && typeof key === 'number' && key >>> 0 === key) return putU32(into, offset, key)
    try {
      this.key.encode(key, into, offset)
    } catch (error) {
      throw this.#named(error, 'key')
    }
  }

  /** @throws BpfError `BAD_VALUE` */
  encodeValue(value: unknown, into: Uint8Array, offset = 0): void {
    try {
      if (this.#valuesAreU64 && typeof value === 'bigint' && putU64(into, offset, value)) return
      if (this.#perCpu) this.#encodePerCpu(value, into, offset)
      else this.value.encode(value, into, offset)
    } catch (error) {
      throw this.#named(error, 'value')
    }
  }

  #encodePerCpu(value: unknown, into: Uint8Array, offset: number): void {
    const stride = strideOf(this.#info.valueSize)
    const cpus = this.#info.bufferSize / stride
    if (!Array.isArray(value) || value.length !== cpus) {
      throw new BpfError(
        'BAD_VALUE',
        `a per-CPU value is an array with one element for each of the ${cpus} possible CPUs`,
      )
    }
    for (let cpu = 0; cpu < cpus; cpu++) this.value.encode(value[cpu], into, offset + cpu * stride)
  }

  #integerOf(type: number | undefined): { readonly size: number; readonly signed: boolean } | undefined {
    const { btf } = this.#file
    if (btf === undefined || type === undefined || type === 0) return undefined
    const resolved = resolveType(btf, type)
    return resolved.kind === 'int' && !resolved.bool && resolved.name !== 'char' ? resolved : undefined
  }

  #createKeyCodec(): Codec {
    const { type, keySize } = this.#info
    const { key, descriptors } = mapTypeDefaults(type)
    return this.#codec(
      this.#definition?.keyType,
      keySize,
      descriptors === true && key === 'u32' && keySize === 4,
    )
  }

  #createValueCodec(): Codec {
    const { type, valueSize } = this.#info
    const { value, descriptors } = mapTypeDefaults(type)
    const scalar = valueSize === 4 ? value !== undefined : valueSize === 8 && descriptors === true
    return this.#codec(this.#definition?.valueType, valueSize, scalar)
  }

  #codec(type: number | undefined, size: number, scalar: boolean): Codec {
    const { btf } = this.#file
    if (btf !== undefined && type !== undefined && type !== 0) return createCodec(btf, type)
    return scalar ? unsigned(size) : rawBytes(size)
  }

  #named(error: unknown, role: 'key' | 'value'): unknown {
    if (!(error instanceof BpfError && error.code === 'BAD_VALUE')) return error
    return new BpfError('BAD_VALUE', `map '${this.#info.name}', ${role}: ${error.message}`, { cause: error })
  }
}

function readerOf(
  integer: { readonly size: number; readonly signed: boolean } | undefined,
  bytes: Uint8Array,
  stride: number,
): ReadAt<number | bigint> | undefined {
  return integer?.size === stride ? integerReader(bytes, integer.size, integer.signed) : undefined
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

const U64 = new BigUint64Array(1)
const WORDS = new Uint32Array(U64.buffer)

/** @returns false for what doesn't fit */
function putU64(bytes: Uint8Array, at: number, value: bigint): boolean {
  if (BigInt.asUintN(64, value) !== value) return false
  U64[0] = value
  putU32(bytes, at, WORDS[0] ?? 0)
  putU32(bytes, at + 4, WORDS[1] ?? 0)
  return true
}

/** For maps whose values can only be numbers. */
function unsigned(size: number): Codec {
  const builder = new BtfBuilder()
  const id = builder.int(`u${8 * size}`, size)
  return createCodec(parseBtf(builder.finish()), id)
}

/** For maps without types: bytes of the exact size. */
function rawBytes(size: number): Codec {
  return {
    size,
    typeName: `${size} bytes`,
    decode: (bytes, offset = 0) => new Uint8Array(bytes.subarray(offset, offset + size)),
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
