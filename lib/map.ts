/** Maps: typed by BTF above the seam, bytes below it. */
import { BpfError } from './errors.js'
import type { ReadAt } from './entry-readers.js'
import type { KernelMap, KernelProgram, MapDetails, MapInfo } from './kernel.js'
import { isPerCpu, mapTypeName } from './linux/map-types.js'
import { Link } from './link.js'
import { BatchWriter } from './map-batch.js'
import { MapCodec } from './map-codec.js'
import { BlockIterator } from './map-entries.js'
import { keyWriter, takesDescriptors, valueWriter, type Put } from './map-entry.js'
import { lookupFlags, updateFlags, type GetOptions, type SetOptions } from './map-flags.js'
import { MapView } from './map-view.js'
import { MapWalk, type WalkOperation } from './map-walk.js'
import type { MapDefinition, ObjectFile } from './object-file/types.js'
import { maxOf, sumOf, type Summable } from './per-cpu.js'
import { Program } from './program.js'
import { openPerfBuffer, type PerfBuffer, type PerfBufferOptions } from './perf-buffer.js'
import { openRingBuffer, type RingBuffer, type RingBufferOptions, type RingParts } from './ring-buffer.js'
import { UserRing, type UserRingOptions } from './user-ring.js'

const NO_KEY = new Uint8Array(0)

/**
 * A map: of a loaded object, or one of its own (`createMap()`, `openPinnedMap()`, `mapById()`).
 *
 * Keys and values are what BTF says of them: numbers, bigint for 64 bits, strings for char arrays, plain objects for structs;
 * `Uint8Array`s of the exact size where the map has no types. Writing also takes a `Uint8Array` everywhere. A per-CPU value is an array with
 * an element for each possible CPU. Where Linux wants a file descriptor (inner maps, programs, sockets, cgroups), a `BpfMap`, a `Program`, a
 * Node socket, anything with an `fd`, or the number will do; so will a `Program` within the values of device and CPU maps.
 *
 * Lifetime: that of its object. After `object.close()` every method throws `CLOSED`.
 */
export class BpfMap<K = unknown, V = unknown> implements Iterable<[K, V]> {
  readonly #map: KernelMap
  readonly #file: ObjectFile
  readonly #info: MapInfo
  readonly #codec: MapCodec<K, V>
  readonly #walk: MapWalk
  readonly #writer: BatchWriter<K, V>
  readonly #takesHandles: boolean
  readonly #key: Uint8Array
  readonly #value: Uint8Array
  /** To and from these two. */
  readonly #putKey: Put
  readonly #putValue: Put
  readonly #readValue: ReadAt<V>
  #view: MapView<V> | undefined

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
    this.#info = map.info
    this.#codec = new MapCodec<K, V>(map.info, file, definition)
    this.#walk = new MapWalk(map)
    this.#writer = new BatchWriter(map, this.#codec)
    this.#key = map.scratch.key
    this.#value = map.scratch.value
    this.#takesHandles = takesDescriptors(map.info.type)
    this.#putKey = keyWriter(map.info, this.#codec, this.#key)
    this.#putValue = valueWriter(map.info, this.#codec, this.#value)
    this.#readValue = this.#codec.valueReader(this.#value)
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

  /** What the kernel knows of it, as of now: sizes and flags, whether it is frozen, the memory that it takes, its BTF. */
  get info(): MapInfo & MapDetails {
    return { ...this.#info, ...this.#map.details() }
  }

  /** The value of a key, or undefined. */
  get(key: K, options?: GetOptions): V | undefined {
    this.#putKey(key)
    if (!this.#map.lookup(this.#key, this.#value, lookupFlags(options))) return undefined
    return this.#readValue(0)
  }

  /** Makes or replaces an entry. @throws BpfError `E2BIG` when the map is full, `BAD_VALUE` for what doesn't fit its types */
  set(key: K, value: V, options?: SetOptions): this {
    this.#putKey(key)
    this.#update(this.#key, value, updateFlags(options))
    return this
  }

  has(key: K): boolean {
    this.#putKey(key)
    return this.#map.lookup(this.#key, this.#value, 0)
  }

  /** Removes an entry. @returns whether there was one */
  delete(key: K): boolean {
    this.#putKey(key)
    return this.#map.delete(this.#key)
  }

  /** Removes an entry, in one step that no program comes between. Hash maps, Linux 5.14. @returns its value, or undefined */
  getAndDelete(key: K): V | undefined {
    this.#putKey(key)
    if (!this.#map.lookupAndDelete(this.#key, this.#value, 0)) return undefined
    return this.#readValue(0)
  }

  /**
   * Removes all entries; of a queue or stack, too. What others insert meanwhile may stay.
   *
   * @returns how many there were
   * @throws BpfError `EINVAL` for arrays, whose entries can't be removed
   */
  clear(): number {
    let removed = 0
    if (this.#info.keySize === 0) {
      for (let left = this.#info.maxEntries; left > 0 && this.pop() !== undefined; left--) removed++
      return removed
    }
    for (const { count } of this.#walk.blocks('lookupAndDelete')) removed += count
    return removed
  }

  /**
   * Entries, in the kernel's order, read by batches where the kernel has them (Linux 5.6): a value is as it was when its batch was read. An
   * entry that is there all the time comes exactly once; what is inserted or deleted meanwhile may come or not.
   *
   * @throws BpfError `ITERATION_ABORTED` if the map changes faster than it can be walked
   */
  entries(): IterableIterator<[K, V], undefined, undefined> {
    return new BlockIterator(this.#walk.blocks('lookup'), this.#codec.entryReader)
  }

  keys(): IterableIterator<K, undefined, undefined> {
    return new BlockIterator(this.#walk.keyBlocks(), ({ keys }) => this.#codec.keyReader(keys))
  }

  values(): IterableIterator<V, undefined, undefined> {
    return new BlockIterator(this.#walk.blocks('lookup'), ({ values }) => this.#codec.valueReader(values))
  }

  [Symbol.iterator](): IterableIterator<[K, V], undefined, undefined> {
    return this.entries()
  }

  /** Like `entries()`, with the system calls on another thread: for maps whose reading takes milliseconds. */
  async *entriesAsync(): AsyncGenerator<[K, V], void, undefined> {
    for await (const block of this.#walk.blocksAsync('lookup')) {
      const read = this.#codec.entryReader(block)
      for (let i = 0; i < block.count; i++) yield read(i)
    }
  }

  /** All entries. */
  getBatch(): [K, V][] {
    return this.#collect('lookup')
  }

  getBatchAsync(): Promise<[K, V][]> {
    return this.#collectAsync('lookup')
  }

  /** Removes all entries, and gives them: none is lost between reading and removing. Hash maps. */
  getAndDeleteBatch(): [K, V][] {
    return this.#collect('lookupAndDelete')
  }

  getAndDeleteBatchAsync(): Promise<[K, V][]> {
    return this.#collectAsync('lookupAndDelete')
  }

  /**
   * Writes many entries, in order.
   *
   * @returns how many
   * @throws BpfError as `set()` does, with the number of the entry that failed; those before it are written
   */
  setBatch(entries: Iterable<readonly [K, V]>, options?: SetOptions): number {
    return this.#writer.set(entries, updateFlags(options))
  }

  setBatchAsync(entries: Iterable<readonly [K, V]>, options?: SetOptions): Promise<number> {
    return this.#writer.setAsync(entries, updateFlags(options))
  }

  /** Removes many entries. @returns how many of them there were */
  deleteBatch(keys: Iterable<K>): number {
    return this.#writer.delete(keys)
  }

  deleteBatchAsync(keys: Iterable<K>): Promise<number> {
    return this.#writer.deleteAsync(keys)
  }

  /**
   * Puts a value into a queue, stack or bloom filter.
   *
   * @param options `mode: 'exist'` makes room in a full queue or stack by dropping its oldest value
   * @throws BpfError `E2BIG` if it is full
   */
  push(value: V, options?: SetOptions): this {
    this.#assertKeyless('push')
    this.#update(NO_KEY, value, updateFlags(options))
    return this
  }

  /** The next value of a queue or stack, which stays there; undefined if it is empty. */
  peek(): V | undefined {
    this.#assertKeyless('peek')
    return this.#map.lookup(NO_KEY, this.#value, 0) ? this.#readValue(0) : undefined
  }

  /** Takes the next value of a queue or stack; undefined if it is empty. */
  pop(): V | undefined {
    this.#assertKeyless('pop')
    return this.#map.lookupAndDelete(NO_KEY, this.#value, 0) ? this.#readValue(0) : undefined
  }

  /** Whether a bloom filter may hold a value: `false` is certain. */
  mayContain(value: V): boolean {
    this.#assertKeyless('mayContain')
    this.#putValue(value)
    return this.#map.lookup(NO_KEY, this.#value, 0)
  }

  /**
   * The sum of a per-CPU value over all CPUs, or undefined if there is no such key.
   *
   * @param of what to add where the value is no number: `({ packets }) => packets`
   */
  sum<T extends Summable = ElementOf<V> & Summable>(key: K, of?: (value: ElementOf<V>) => T): T | undefined {
    const values = this.#perCpu<T>(key, of)
    return values && sumOf(values)
  }

  /** The largest of a per-CPU value. See `sum()`. */
  max<T extends Summable = ElementOf<V> & Summable>(key: K, of?: (value: ElementOf<V>) => T): T | undefined {
    const values = this.#perCpu<T>(key, of)
    return values && maxOf(values)
  }

  /** The values of an mmap-able array, read and written in memory: nanoseconds instead of a system call. @throws BpfError `UNSUPPORTED` */
  view(): MapView<V> {
    return (this.#view ??= new MapView<V>(this.#map, this.#codec))
  }

  /**
   * The live memory of an arena or an mmap-able array; undefined where there is none. It is empty once the map is closed.
   *
   * An arena's pages are allocated when they are touched first.
   */
  get memory(): Uint8Array | undefined {
    return this.#map.memory()
  }

  /**
   * From now on user space can't write it; programs still can. There is no way back. Linux 5.2.
   *
   * @throws BpfError `EPERM` if it is frozen already, `EBUSY` if its memory was asked for
   */
  freeze(): void {
    this.#map.freeze()
  }

  /**
   * Gives it a name in a BPF file system. It lives on when all is closed, until `unpin()`.
   *
   * @param path in `/sys/fs/bpf`, or wherever a BPF file system is mounted
   * @throws BpfError `EEXIST` if something has that name, `EINVAL` or `EPERM` for other file systems
   */
  pin(path: string): this {
    this.#map.pin(path)
    return this
  }

  /** Removes the name. @throws BpfError `ENOENT` */
  unpin(path: string): this {
    this.#map.unpin(path)
    return this
  }

  /**
   * Reads a ring-buffer map (`BPF_MAP_TYPE_RINGBUF`, Linux 5.8+); `ringBuffers()` reads several at once.
   *
   * @throws BpfError `BAD_VALUE` if the map is of another type or the event type isn't in the object's BTF; `EBUSY` if it has a reader
   */
  ringBuffer<T = unknown>(options: RingBufferOptions<T> = {}): RingBuffer<T> {
    return openRingBuffer<T>(this.ringParts, options)
  }

  /**
   * Reads a perf event array (`BPF_MAP_TYPE_PERF_EVENT_ARRAY`, Linux 4.4+).
   *
   * @throws BpfError `BAD_VALUE` as `ringBuffer()` does; `EPERM`, `EACCES` where perf events are denied
   */
  perfBuffer<T = unknown>(options: PerfBufferOptions<T> = {}): PerfBuffer<T> {
    return openPerfBuffer<T>(this.#map, this.#file, options)
  }

  /** Sends records to a program (`BPF_MAP_TYPE_USER_RINGBUF`, Linux 6.1+). @throws BpfError `BAD_VALUE` if the map is of another type */
  userRing<T = Uint8Array>(options: UserRingOptions = {}): UserRing<T> {
    return new UserRing<T>(this.#map, this.#file, options)
  }

  /** @internal What readers of its ring need. */
  get ringParts(): RingParts {
    return {
      map: this.#map,
      file: this.#file,
      sibling: (name) => {
        const { maps } = this.owner as { readonly maps?: Readonly<Record<string, BpfMap>> }
        if (maps !== undefined) return maps[name]!.kernelMap // an unknown name has thrown
        throw new BpfError('BAD_VALUE', `map '${this.name}' is of no object: give \`dropped\` a function`)
      },
    }
  }

  /**
   * Of a struct_ops map: registers what its programs implement, such as a congestion control, until the link is closed. `object.attach()`
   * does it too. Linux 5.6.
   *
   * @throws BpfError `EEXIST` if something of that name is registered, `BAD_VALUE` if it is no struct_ops map of an object
   */
  attachStructOps(): Link {
    return new Link(this.#map.attachStructOps(), this.name)
  }

  /** @internal */
  get kernelMap(): KernelMap {
    return this.#map
  }

  #update(key: Uint8Array, value: unknown, flags: number): void {
    if (this.#takesHandles) {
      const handle = handleOf(value)
      if (handle !== undefined) return this.#map.updateHandle(key, handle, flags)
    }
    this.#putValue(value)
    this.#map.update(key, this.#value, flags)
  }

  #collect(operation: WalkOperation): [K, V][] {
    return [...new BlockIterator(this.#walk.blocks(operation), this.#codec.entryReader)]
  }

  async #collectAsync(operation: WalkOperation): Promise<[K, V][]> {
    const entries: [K, V][] = []
    for await (const block of this.#walk.blocksAsync(operation)) {
      const read = this.#codec.entryReader(block)
      for (let i = 0; i < block.count; i++) entries.push(read(i))
    }
    return entries
  }

  #perCpu<T extends Summable>(
    key: K,
    of: ((value: ElementOf<V>) => T) | undefined,
  ): readonly T[] | undefined {
    if (!isPerCpu(this.#info.type)) {
      throw new BpfError('BAD_VALUE', `map '${this.name}' is no per-CPU map, its type is ${this.type}`)
    }
    const values = this.get(key) as readonly ElementOf<V>[] | undefined
    return of === undefined ? (values as readonly T[] | undefined) : values?.map((value) => of(value))
  }

  #assertKeyless(method: string): void {
    if (this.#info.keySize === 0) return
    throw new BpfError(
      'BAD_VALUE',
      `map '${this.name}': ${method}() is for queues, stacks and bloom filters, its type is ${this.type}`,
    )
  }
}

/** What one CPU has of a per-CPU value. */
export type ElementOf<V> = V extends readonly (infer T)[] ? T : unknown

/** What a value stands for, if it is a thing of the library. */
function handleOf(value: unknown): KernelMap | KernelProgram | undefined {
  if (value instanceof BpfMap) return value.kernelMap
  return value instanceof Program ? value.kernelProgram : undefined
}
