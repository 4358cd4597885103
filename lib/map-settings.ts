/** A map between open and load. */
import {
  checkBoolean,
  checkDescriptor,
  checkName,
  checkText,
  checkUint32,
  checkUint64,
} from './checked-settings.js'
import { BpfError } from './errors.js'
import type { KernelMap, KernelObject, MapConfig, MapSpec } from './kernel.js'
import { isMapOfMaps, MAP_TYPES, mapTypeName } from './linux/map-types.js'
import { BpfMap } from './map.js'

/** Values of maps of maps are file descriptors. */
const HANDLE_SIZE = 4

/** A template for what a map of maps holds. */
export interface InnerMap {
  /** Map type under bpftool's name. */
  readonly type: string
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  /** BPF_F_*. */
  readonly flags: number
}

/**
 * What `load()` will create. Setters check and apply at once; what the kernel makes of the whole, it says at `load()`.
 *
 * Lifetime: until `load()` or `close()` of its object.
 *
 * @example
 * spec.maps.events.maxEntries = 1 << 20
 * spec.maps.seen.type = 'lru_hash'
 * spec.maps.config.reuse(other.map('config'))
 */
export class MapSettings {
  readonly #object: KernelObject
  readonly #find: () => MapSpec
  readonly name: string

  /**
   * @internal
   * @param find what the kernel's object says of it now
   */
  constructor(object: KernelObject, name: string, find: () => MapSpec) {
    this.#object = object
    this.#find = find
    this.name = name
  }

  /** Map type under bpftool's name: `hash`, `array`, `ringbuf` … A map of maps stays one. */
  get type(): string {
    return mapTypeName(this.#find().type)
  }

  set type(type: string) {
    const number = checkName(`map '${this.name}': type`, type, typeNumber, () =>
      MAP_TYPES.map(({ name }) => name),
    )
    if (isMapOfMaps(number) !== isMapOfMaps(this.#find().type)) {
      throw new BpfError('BAD_VALUE', `map '${this.name}': ${this.type} can't be made ${type}`, {
        hint: 'A map of maps stays one, as its definition says what it holds; others do not become one',
      })
    }
    this.#configure({ type: number })
  }

  /** Bytes of a key. Where they aren't those of the type in the source, keys are `Uint8Array`s. */
  get keySize(): number {
    return this.#find().keySize
  }

  set keySize(keySize: number) {
    this.#configure({ keySize: checkUint32(`map '${this.name}': keySize`, keySize) })
  }

  /** Bytes of a value. Where they aren't those of the type in the source, values are `Uint8Array`s. */
  get valueSize(): number {
    return this.#find().valueSize
  }

  set valueSize(valueSize: number) {
    const size = checkUint32(`map '${this.name}': valueSize`, valueSize)
    if (isMapOfMaps(this.#find().type) && size !== HANDLE_SIZE)
      throw new BpfError(
        'BAD_VALUE',
        `map '${this.name}': values of maps of maps have ${HANDLE_SIZE} bytes, not ${size}`,
      )
    this.#configure({ valueSize: size })
  }

  /** Entries, or bytes of a ring buffer (rounded up to a power of two of whole pages). */
  get maxEntries(): number {
    return this.#find().maxEntries
  }

  set maxEntries(maxEntries: number) {
    this.#configure({ maxEntries: checkUint32(`map '${this.name}': maxEntries`, maxEntries) })
  }

  /** BPF_F_* of linux/bpf.h: `__uint(map_flags, …)`. */
  get flags(): number {
    return this.#find().flags
  }

  set flags(flags: number) {
    this.#configure({ flags: checkUint32(`map '${this.name}': flags`, flags) })
  }

  /** NUMA node of its memory. Counts with BPF_F_NUMA_NODE. */
  get numaNode(): number {
    return this.#find().numaNode
  }

  set numaNode(numaNode: number) {
    this.#configure({ numaNode: checkUint32(`map '${this.name}': numaNode`, numaNode) })
  }

  /** Bloom filter: number of hash functions (Linux 5.16). Arena: address in user space (Linux 6.9). */
  get mapExtra(): bigint {
    return this.#find().mapExtra
  }

  set mapExtra(mapExtra: bigint) {
    this.#configure({ mapExtra: checkUint64(`map '${this.name}': mapExtra`, mapExtra) })
  }

  /** Whether `load()` creates it. A program that uses a map that wasn't created is refused, if it can get there. */
  get autocreate(): boolean {
    return this.#find().autocreate
  }

  set autocreate(autocreate: boolean) {
    this.#configure({ autocreate: checkBoolean(`map '${this.name}': autocreate`, autocreate) })
  }

  /**
   * Where `load()` pins it; if something is pinned there already, that takes its place, and must be alike. From
   * `__uint(pinning, LIBBPF_PIN_BY_NAME)` and the option `pinRootPath` at first; undefined: nowhere.
   */
  get pinPath(): string | undefined {
    return this.#find().pinPath
  }

  set pinPath(path: string | undefined) {
    this.#configure({ pinPath: path === undefined ? null : checkText(`map '${this.name}': pinPath`, path) })
  }

  /**
   * Of a map of maps: the template for what it holds, as the source defines it; undefined where there is none. It can't be changed, but
   * another map can be made the template: see {@link setInner}.
   */
  get inner(): InnerMap | undefined {
    const { inner } = this.#find()
    if (inner === undefined) return undefined
    const { type, keySize, valueSize, maxEntries, flags } = inner
    return { type: mapTypeName(type), keySize, valueSize, maxEntries, flags }
  }

  /**
   * Of a map of maps: makes an existing map the template for what it holds, in place of that of the source. It need not stay open.
   *
   * @param map of the same kernel, or its file descriptor
   */
  setInner(map: BpfMap | number): void {
    if (!isMapOfMaps(this.#find().type))
      throw new BpfError('BAD_VALUE', `map '${this.name}' is of type ${this.type}, and no map of maps`)
    this.#configure({ inner: this.#existing('setInner()', map) })
  }

  /**
   * Another map takes its place: programs use that one, with its type and sizes, and `load()` creates none. It need not stay open.
   *
   * @param map of the same kernel, or its file descriptor
   */
  reuse(map: BpfMap | number): void {
    this.#configure({ reuse: this.#existing('reuse()', map) })
  }

  #existing(method: string, map: BpfMap | number): KernelMap | number {
    if (map instanceof BpfMap) return map.kernelMap
    if (typeof map === 'number') return checkDescriptor(`map '${this.name}': ${method}`, map)
    throw new BpfError('BAD_VALUE', `map '${this.name}': ${method} takes a BpfMap or a file descriptor`)
  }

  #configure(config: MapConfig): void {
    this.#object.configureMap(this.name, config)
  }
}

function typeNumber(name: string): number | undefined {
  return MAP_TYPES.find((candidate) => candidate.name === name)?.type
}
