/** Maps without an object: created, or found by pin, id or file descriptor. */
import { checkText } from './checked-settings.js'
import { BpfError } from './errors.js'
import type { Kernel, KernelMap, MapReference } from './kernel.js'
import {
  BPF_MAP_FLAGS,
  isMapOfMaps,
  mapTypeDefaults,
  MAP_TYPES,
  type MapTypeDefaults,
} from './linux/map-types.js'
import type { BpfMap } from './map.js'
import { didYouMean } from './nearest.js'
import { NO_FILE } from './no-file.js'
import type { MapDefinition, ObjectFile } from './object-file/types.js'
import { readObject, type ObjectSource } from './read-object.js'
import { selectKernel, type KernelChoice } from './select-kernel.js'
import { StandaloneMap } from './standalone-map.js'
import { describeTypes, type TypeDescriptor } from './type-descriptor.js'

/** What keys and values are. Without a type they are `Uint8Array`s, save where the type of map says more. */
export interface MapTyping {
  /** `'u32'`, `'char[16]'`, `{ prefixlen: 'u32', address: 'u8[4]' }`, or with `file` the name of one of its types: `'struct flow'`. */
  readonly key?: TypeDescriptor
  readonly value?: TypeDescriptor
  /** An object file, or its bytes: its BTF has the types that `key` and `value` name. */
  readonly file?: ObjectSource
}

export interface OpenMapOptions extends MapTyping {
  /** Default: `'auto'`, or what `LIBBPF_NODE_KERNEL` says. */
  readonly kernel?: KernelChoice
}

export interface CreateMapOptions extends OpenMapOptions {
  /** Under bpftool's name: `'hash'`, `'lru_hash'`, `'array_of_maps'` … */
  readonly type: string
  /** Linux keeps 15 bytes of it. Default: the type. */
  readonly name?: string
  /** Bytes of a key without a type. */
  readonly keySize?: number
  /** Bytes of a value without a type. */
  readonly valueSize?: number
  /**
   * Entries; bytes of a ring buffer (a power of two and a multiple of the page size); pages of an arena. Perf event arrays have one for each
   * possible CPU by default, storage maps none.
   */
  readonly maxEntries?: number
  /** By name, or as a number. What Linux demands for the type of map (`BPF_F_NO_PREALLOC` of tries …) is added. */
  readonly flags?: number | readonly (keyof typeof BPF_MAP_FLAGS)[]
  /** Bloom filter: number of hash functions, 1 to 15; default 5. Arena: its address in user space. */
  readonly mapExtra?: number | bigint
  readonly numaNode?: number
  /** Of a map of maps: a map like those that it will hold. It may be closed afterwards. */
  readonly inner?: BpfMap
  /** Where to take a BPF token, as `open()` does. Linux 6.9, libbpf 1.4. */
  readonly bpfTokenPath?: string
}

/**
 * Creates a map. Needs `CAP_BPF` (Linux 5.8; before that `CAP_SYS_ADMIN`), some types `CAP_NET_ADMIN` too.
 *
 * @throws BpfError `BAD_VALUE` for options that make no sense, `EINVAL`, `E2BIG` or `EPERM` with a hint where Linux refuses, `UNSUPPORTED`
 *   naming a type that the kernel doesn't have
 *
 * @example
 * using counts = createMap<number, bigint>({ type: 'hash', key: 'u32', value: 'u64', maxEntries: 1024 })
 * counts.set(1, 10n)
 */
export function createMap<K = unknown, V = unknown>(options: CreateMapOptions): StandaloneMap<K, V> {
  const type = typeNumber(options.type)
  const defaults = mapTypeDefaults(type)
  const { bpfTokenPath } = options
  if (bpfTokenPath !== undefined && bpfTokenPath !== '') checkText('option bpfTokenPath', bpfTokenPath)
  const kernel = selectKernel(options.kernel, { ...NO_FILE, token: { path: bpfTokenPath } })
  const typing = describe(options, defaults)
  const name = options.name ?? options.type
  const entries = options.maxEntries ?? defaultEntries(defaults, kernel)
  if (entries === undefined) throw new BpfError('BAD_VALUE', `map '${name}': option maxEntries is missing`)
  if (isMapOfMaps(type) !== (options.inner !== undefined)) {
    throw new BpfError('BAD_VALUE', `map '${name}': option inner is for maps of maps, and they need it`)
  }
  const attributes = {
    name,
    type,
    keySize: typing.keySize ?? size('keySize', options.keySize, name, defaults.key),
    valueSize: typing.valueSize ?? size('valueSize', options.valueSize, name, defaults.value),
    maxEntries: unsigned('maxEntries', entries, name),
    flags: (flagBits(options.flags ?? 0, name) | (defaults.flags ?? 0)) >>> 0,
    mapExtra: BigInt.asUintN(64, BigInt(options.mapExtra ?? 0)),
    numaNode: unsigned('numaNode', options.numaNode ?? 0, name),
    inner: options.inner?.kernelMap,
    bpfTokenPath,
  }
  const { keyType, valueType } = typing.definition
  const types =
    typing.file.btf === undefined || keyType === undefined || valueType === undefined
      ? undefined
      : { btf: typing.file.btf.bytes, keyType, valueType }
  if (defaults.needsTypes === true && types === undefined) {
    throw new BpfError('BAD_VALUE', `map '${name}': Linux wants to know the types of a ${options.type} map`, {
      hint: "Give `value` a type: { value: 'u64' }",
    })
  }
  const map = createWith(kernel, { ...attributes, types }, defaults.needsTypes === true)
  return new StandaloneMap<K, V>(map, typing.file, typing.definition)
}

/**
 * Opens the map that is pinned at a path. Needs the right to read and write the file, and `CAP_BPF`.
 *
 * @throws BpfError `ENOENT`, `EACCES`; `EINVAL` if something else is pinned there; `BAD_VALUE` if key or value have other sizes
 */
export function openPinnedMap<K = unknown, V = unknown>(
  path: string,
  options: OpenMapOptions = {},
): StandaloneMap<K, V> {
  return openMap({ pin: path }, options)
}

/** Opens any map of this machine by its kernel id. Needs `CAP_SYS_ADMIN`. @throws BpfError `ENOENT`, `EPERM` */
export function mapById<K = unknown, V = unknown>(
  id: number,
  options: OpenMapOptions = {},
): StandaloneMap<K, V> {
  return openMap({ id: unsigned('id', id, String(id)) }, options)
}

/** Opens the map behind a file descriptor, which is duplicated: the caller's stays open. @throws BpfError `EINVAL` if it is no map */
export function mapFromFd<K = unknown, V = unknown>(
  fd: number,
  options: OpenMapOptions = {},
): StandaloneMap<K, V> {
  return openMap({ fd: unsigned('fd', fd, String(fd)) }, options)
}

function openMap<K, V>(reference: MapReference, options: OpenMapOptions): StandaloneMap<K, V> {
  const kernel = selectKernel(options.kernel, NO_FILE)
  const map = kernel.openMap(reference)
  try {
    // Its values are as large as they are: only its keys follow from the type of map.
    const typing = describe(options, { key: mapTypeDefaults(map.info.type).key ?? 'none' })
    assertSize('key', typing.keySize, map.info.keySize, map)
    assertSize('value', typing.valueSize, map.info.valueSize, map)
    return new StandaloneMap<K, V>(map, typing.file, typing.definition)
  } catch (error) {
    map.close()
    throw error
  }
}

interface Typing {
  readonly file: ObjectFile
  readonly definition: MapDefinition
  readonly keySize: number | undefined
  readonly valueSize: number | undefined
}

/** Types for the codec, in BTF of their own; scalars where the type of map leaves no choice. */
function describe(
  options: MapTyping & { readonly keySize?: number; readonly valueSize?: number },
  defaults: MapTypeDefaults,
): Typing {
  const source = options.file === undefined ? undefined : readObject(options.file)
  const known = (type: TypeDescriptor | undefined): TypeDescriptor | undefined =>
    type === 'none' ? undefined : type
  const key = options.key ?? (options.keySize === undefined ? known(defaults.key) : undefined)
  const value = options.value ?? (options.valueSize === undefined ? known(defaults.value) : undefined)
  const { btf, types } = describeTypes([key, value], source?.btf)
  const [keyType, valueType] = types
  return {
    // Without key and value (a ring buffer) the file's types are for what reads the map's records.
    file: { ...NO_FILE, btf: key === undefined && value === undefined ? (source?.btf ?? btf) : btf },
    definition: {
      name: '',
      type: 0,
      keySize: keyType?.size ?? 0,
      valueSize: valueType?.size ?? 0,
      maxEntries: 0,
      flags: 0,
      pinning: 0,
      mapExtra: 0n,
      numaNode: 0,
      keyType: keyType?.id,
      valueType: valueType?.id,
      inner: undefined,
      slots: [],
      data: undefined,
    },
    keySize: keyType?.size,
    valueSize: valueType?.size,
  }
}

/** With types, so that tools can show entries; without, where Linux wants none for this type of map. */
function createWith(
  kernel: Kernel,
  attributes: Parameters<Kernel['createMap']>[0],
  typesAreNeeded: boolean,
): KernelMap {
  if (attributes.types === undefined || typesAreNeeded) return kernel.createMap(attributes)
  try {
    return kernel.createMap(attributes)
  } catch (error) {
    if (!(error instanceof BpfError) || error.errno === undefined) throw error
    return kernel.createMap({ ...attributes, types: undefined })
  }
}

function typeNumber(name: string): number {
  const known = MAP_TYPES.find((candidate) => candidate.name === name)
  if (known !== undefined) return known.type
  const hint = didYouMean(
    name,
    MAP_TYPES.map((candidate) => candidate.name),
  )
  throw new BpfError('BAD_VALUE', `there is no map type '${name}'`, hint === undefined ? {} : { hint })
}

function defaultEntries({ entries }: MapTypeDefaults, kernel: Kernel): number | undefined {
  if (entries === 'cpus') return kernel.possibleCpus
  return entries === 'none' ? 0 : undefined
}

function flagBits(flags: number | readonly string[], map: string): number {
  if (typeof flags === 'number') return unsigned('flags', flags, map)
  const bits: Readonly<Record<string, number>> = BPF_MAP_FLAGS
  let sum = 0
  for (const flag of flags) {
    const bit = Object.hasOwn(bits, flag) ? bits[flag] : undefined
    if (bit === undefined) {
      const hint = didYouMean(flag, Object.keys(bits))
      throw new BpfError(
        'BAD_VALUE',
        `map '${map}': there is no flag '${flag}'`,
        hint === undefined ? {} : { hint },
      )
    }
    sum |= bit
  }
  return sum
}

function size(option: string, value: number | undefined, map: string, known: string | undefined): number {
  if (value !== undefined) return unsigned(option, value, map)
  if (known === 'none') return 0
  const type = option === 'keySize' ? 'key' : 'value'
  throw new BpfError('BAD_VALUE', `map '${map}': option ${type} (or ${option}) is missing`)
}

function unsigned(option: string, value: number, map: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffffffff) return value
  throw new BpfError(
    'BAD_VALUE',
    `map '${map}': option ${option} is an unsigned 32-bit integer, not ${String(value)}`,
  )
}

function assertSize(role: string, described: number | undefined, actual: number, map: KernelMap): void {
  if (described === undefined || described === actual) return
  throw new BpfError(
    'BAD_VALUE',
    `map '${map.info.name}': the type of its ${role} has ${described} bytes, but its ${role}s have ${actual}`,
  )
}
