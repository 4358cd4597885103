/** BPF_MAP_CREATE: which attributes Linux accepts for which type, and what is made of them. */
import { systemError, unsupported } from '../../errors.js'
import { BPF_MAP_FLAGS, BPF_MAP_TYPE, mapTypeName } from '../../linux/map-types.js'
import type { Memory } from '../memory.js'
import { checkArena, createArena } from './arena.js'
import { createArray, type ArrayTraits } from './array.js'
import { createBloomFilter } from './bloom-filter.js'
import { E2BIG, EBADF, EINVAL, ENOTSUPP } from '../errors.js'
import { createHash, type HashTraits } from './hash.js'
import { LocalStorage } from './local-storage.js'
import { createLpmTrie } from './lpm-trie.js'
import { createMapOfMaps } from './map-of-maps.js'
import { PerfEventArray } from './perf-event-array.js'
import { createProgArray } from './prog-array.js'
import { createQueue, type QueueTraits } from './queue.js'
import { createCpuMap, createDeviceMap, createSocketMap } from './redirect.js'
import { RingBufferMap } from './ring-buffer.js'
import { UserRingMap } from './user-ring.js'
import { PAGE_SIZE, roundUp8, type CpuState, type MapAttributes, type MapStorage } from './types.js'

interface MapType {
  /** 0, or the negative errno with which Linux refuses. */
  check(attributes: MapAttributes): number
  create(
    memory: Memory,
    cpus: CpuState,
    attributes: MapAttributes,
    interfaces: ReadonlySet<number>,
  ): MapStorage
}

const ACCESS_FLAGS =
  BPF_MAP_FLAGS.BPF_F_RDONLY |
  BPF_MAP_FLAGS.BPF_F_WRONLY |
  BPF_MAP_FLAGS.BPF_F_RDONLY_PROG |
  BPF_MAP_FLAGS.BPF_F_WRONLY_PROG
const ARRAY_FLAGS =
  BPF_MAP_FLAGS.BPF_F_NUMA_NODE |
  BPF_MAP_FLAGS.BPF_F_MMAPABLE |
  ACCESS_FLAGS |
  BPF_MAP_FLAGS.BPF_F_PRESERVE_ELEMS |
  BPF_MAP_FLAGS.BPF_F_INNER_MAP
const HASH_FLAGS =
  BPF_MAP_FLAGS.BPF_F_NO_PREALLOC |
  BPF_MAP_FLAGS.BPF_F_NUMA_NODE |
  ACCESS_FLAGS |
  BPF_MAP_FLAGS.BPF_F_ZERO_SEED
const TARGET_FLAGS = BPF_MAP_FLAGS.BPF_F_NUMA_NODE | BPF_MAP_FLAGS.BPF_F_RDONLY | BPF_MAP_FLAGS.BPF_F_WRONLY
/** A device or the length of a queue, and a program behind it since Linux 5.8. */
const TARGET_SIZES: ReadonlySet<number> = new Set([4, 8])
/** NR_CPUS: as distributions build their kernels. */
const MOST_CPUS = 8192
/** BPF_LOCAL_STORAGE_MAX_VALUE_SIZE: 16 bits say how long an element is, its header included. */
const LARGEST_STORAGE = 0xffff - 128
const INT_MAX = 0x7fffffff
/** Largest value of a per-CPU map: PCPU_MIN_UNIT_SIZE. */
const PER_CPU_UNIT = 32 << 10
/** KMALLOC_MAX_SIZE less the element's header: what key and value of a hash must stay below together. */
const HASH_ELEMENT_LIMIT = (4 << 20) - 48
const KMALLOC_MAX = 4 << 20
/** Bytes of a trie's key: a length, and 1 to 256 bytes of data. */
const LPM_KEY = { least: 4 + 1, most: 4 + 256 }

const TYPES: ReadonlyMap<number, MapType> = new Map<number, MapType>([
  [BPF_MAP_TYPE.HASH, hash({ perCpu: false, lru: false })],
  [BPF_MAP_TYPE.PERCPU_HASH, hash({ perCpu: true, lru: false })],
  [BPF_MAP_TYPE.LRU_HASH, hash({ perCpu: false, lru: true })],
  [BPF_MAP_TYPE.LRU_PERCPU_HASH, hash({ perCpu: true, lru: true })],
  [BPF_MAP_TYPE.ARRAY, array({ perCpu: false })],
  [BPF_MAP_TYPE.PERCPU_ARRAY, array({ perCpu: true })],
  [BPF_MAP_TYPE.QUEUE, queue({ lifo: false })],
  [BPF_MAP_TYPE.STACK, queue({ lifo: true })],
  [
    BPF_MAP_TYPE.BLOOM_FILTER,
    { check: checkBloomFilter, create: (_memory, _cpus, attributes) => createBloomFilter(attributes) },
  ],
  [
    BPF_MAP_TYPE.LPM_TRIE,
    { check: checkLpmTrie, create: (memory, _cpus, attributes) => createLpmTrie(memory, attributes) },
  ],
  [
    BPF_MAP_TYPE.ARRAY_OF_MAPS,
    {
      check: (attributes) => checkMapOfMaps(attributes, checkArray(attributes, false)),
      create: (memory, cpus, attributes) =>
        createMapOfMaps(memory, attributes, createArray(memory, cpus, attributes, { perCpu: false })),
    },
  ],
  [
    BPF_MAP_TYPE.HASH_OF_MAPS,
    {
      check: (attributes) => checkMapOfMaps(attributes, checkHash(attributes, { perCpu: false, lru: false })),
      create: (memory, cpus, attributes) =>
        createMapOfMaps(
          memory,
          attributes,
          createHash(memory, cpus, attributes, { perCpu: false, lru: false }),
        ),
    },
  ],
  [
    BPF_MAP_TYPE.PROG_ARRAY,
    {
      check: checkProgArray,
      create: (memory, cpus, attributes) =>
        createProgArray(memory, attributes, createArray(memory, cpus, attributes, { perCpu: false })),
    },
  ],
  [
    BPF_MAP_TYPE.USER_RINGBUF,
    { check: checkRingBuffer, create: (memory, _cpus, attributes) => new UserRingMap(memory, attributes) },
  ],
  [
    BPF_MAP_TYPE.TASK_STORAGE,
    { check: checkStorage, create: (memory, _cpus, attributes) => new LocalStorage(memory, attributes) },
  ],
  [
    BPF_MAP_TYPE.PERF_EVENT_ARRAY,
    {
      check: checkPerfEventArray,
      create: (memory, cpus, attributes) => new PerfEventArray(memory, cpus, attributes),
    },
  ],
  [BPF_MAP_TYPE.DEVMAP, { check: checkDeviceMap, create: createDeviceMap }],
  [BPF_MAP_TYPE.DEVMAP_HASH, { check: checkDeviceMap, create: createDeviceMap }],
  [BPF_MAP_TYPE.CPUMAP, { check: checkCpuMap, create: createCpuMap }],
  [BPF_MAP_TYPE.XSKMAP, { check: checkSocketMap, create: createSocketMap }],
  [
    BPF_MAP_TYPE.ARENA,
    { check: checkArena, create: (memory, _cpus, attributes) => createArena(memory, attributes) },
  ],
  [
    BPF_MAP_TYPE.RINGBUF,
    { check: checkRingBuffer, create: (memory, _cpus, attributes) => new RingBufferMap(memory, attributes) },
  ],
])

const NO_INTERFACES: ReadonlySet<number> = new Set()

const TAKES_EXTRA: ReadonlySet<number> = new Set([BPF_MAP_TYPE.BLOOM_FILTER, BPF_MAP_TYPE.ARENA])

function hash(traits: HashTraits): MapType {
  return {
    check: (attributes) => checkHash(attributes, traits),
    create: (memory, cpus, attributes) => createHash(memory, cpus, attributes, traits),
  }
}

function array(traits: ArrayTraits): MapType {
  return {
    check: (attributes) => checkArray(attributes, traits.perCpu),
    create: (memory, cpus, attributes) => createArray(memory, cpus, attributes, traits),
  }
}

function queue(traits: QueueTraits): MapType {
  return {
    check: checkQueue,
    create: (memory, _cpus, attributes) => createQueue(memory, attributes, traits),
  }
}

/**
 * Makes a map.
 *
 * @param interfaces indices of the network interfaces that there are
 * @throws BpfError the errno with which Linux refuses the attributes (`EINVAL`, `E2BIG`), `ENOMEM`, or `UNSUPPORTED` naming the type
 */
export function createMap(
  memory: Memory,
  cpus: CpuState,
  attributes: MapAttributes,
  interfaces: ReadonlySet<number> = NO_INTERFACES,
): MapStorage {
  const { name, type } = attributes
  const known = TYPES.get(type)
  if (known === undefined)
    throw unsupported(`map type ${mapTypeName(type)} (map '${name}') in the fallback kernel`)
  checkAttributes(attributes)
  return known.create(memory, cpus, attributes, interfaces)
}

/** @throws BpfError the errno with which Linux refuses the attributes of a map that can be made here; of other types nothing is checked */
export function checkAttributes(attributes: MapAttributes): void {
  const { name, type } = attributes
  const known = TYPES.get(type)
  if (known === undefined) return
  const extra = attributes.mapExtra === 0n || TAKES_EXTRA.has(type) ? 0 : EINVAL
  const error = extra === 0 ? known.check(attributes) : extra
  if (error !== 0) {
    const hint = `type ${mapTypeName(type)}, key ${attributes.keySize} bytes, value ${attributes.valueSize} bytes, max_entries ${attributes.maxEntries}, flags 0x${attributes.flags.toString(16)}`
    throw systemError('bpf(BPF_MAP_CREATE)', -error, `map '${name}'`, { hint: `Attributes: ${hint}` })
  }
}

/**
 * The size that libbpf gives a ring buffer: the next power of two of pages, so that `max_entries` need not know the page size.
 * 0 stays 0, for the kernel to refuse.
 */
export function ringBufferSize(maxEntries: number): number {
  if (maxEntries === 0) return 0
  const size = PAGE_SIZE * 2 ** Math.max(0, Math.ceil(Math.log2(maxEntries / PAGE_SIZE)))
  return size > 0xffffffff ? maxEntries : size
}

function checkArray(attributes: MapAttributes, perCpu: boolean): number {
  const { keySize, valueSize, maxEntries, flags } = attributes
  if (maxEntries === 0 || keySize !== 4 || valueSize === 0 || (flags & ~ARRAY_FLAGS) !== 0) return EINVAL
  if (!accessFlagsAgree(flags)) return EINVAL
  if (
    perCpu &&
    (flags &
      (BPF_MAP_FLAGS.BPF_F_NUMA_NODE | BPF_MAP_FLAGS.BPF_F_MMAPABLE | BPF_MAP_FLAGS.BPF_F_INNER_MAP)) !==
      0
  )
    return EINVAL
  if ((flags & BPF_MAP_FLAGS.BPF_F_PRESERVE_ELEMS) !== 0) return EINVAL
  return valueSize > INT_MAX || (perCpu && roundUp8(valueSize) > PER_CPU_UNIT) ? E2BIG : 0
}

function checkHash(attributes: MapAttributes, { perCpu, lru }: HashTraits): number {
  const { keySize, valueSize, maxEntries, flags } = attributes
  const ownLists = flags & BPF_MAP_FLAGS.BPF_F_NO_COMMON_LRU
  if ((flags & ~(HASH_FLAGS | BPF_MAP_FLAGS.BPF_F_NO_COMMON_LRU)) !== 0 || !accessFlagsAgree(flags))
    return EINVAL
  if (!lru && ownLists !== 0) return EINVAL
  if (lru && (flags & BPF_MAP_FLAGS.BPF_F_NO_PREALLOC) !== 0) return ENOTSUPP
  if (perCpu && (flags & BPF_MAP_FLAGS.BPF_F_NUMA_NODE) !== 0) return EINVAL
  if (maxEntries === 0 || keySize === 0 || valueSize === 0) return EINVAL
  if (keySize + valueSize >= HASH_ELEMENT_LIMIT) return E2BIG
  return maxEntries > 2 ** 31 || (perCpu && roundUp8(valueSize) > PER_CPU_UNIT) ? E2BIG : 0
}

function checkProgArray(attributes: MapAttributes): number {
  const access = BPF_MAP_FLAGS.BPF_F_RDONLY_PROG | BPF_MAP_FLAGS.BPF_F_WRONLY_PROG
  if (attributes.valueSize !== 4 || (attributes.flags & access) !== 0) return EINVAL
  return checkArray(attributes, false)
}

/** Its slots may outlive who filled them, which is up to descriptors alone. */
function checkPerfEventArray(attributes: MapAttributes): number {
  const { BPF_F_MMAPABLE, BPF_F_INNER_MAP, BPF_F_PRESERVE_ELEMS } = BPF_MAP_FLAGS
  if ((attributes.flags & (BPF_F_MMAPABLE | BPF_F_INNER_MAP)) !== 0) return EINVAL
  return checkProgArray({ ...attributes, flags: attributes.flags & ~BPF_F_PRESERVE_ELEMS })
}

function checkStorage({ keySize, valueSize, maxEntries, flags }: MapAttributes): number {
  const { BPF_F_NO_PREALLOC, BPF_F_CLONE } = BPF_MAP_FLAGS
  if ((flags & BPF_F_NO_PREALLOC) === 0 || (flags & ~(BPF_F_NO_PREALLOC | BPF_F_CLONE)) !== 0) return EINVAL
  if (maxEntries !== 0 || keySize !== 4 || valueSize === 0) return EINVAL
  return valueSize > LARGEST_STORAGE ? E2BIG : 0
}

function checkDeviceMap({ type, keySize, valueSize, maxEntries, flags }: MapAttributes): number {
  if (maxEntries === 0 || keySize !== 4 || !TARGET_SIZES.has(valueSize)) return EINVAL
  if ((flags & ~TARGET_FLAGS) !== 0 || !accessFlagsAgree(flags)) return EINVAL
  return type === BPF_MAP_TYPE.DEVMAP_HASH && maxEntries > 2 ** 31 ? EINVAL : 0
}

function checkCpuMap({ keySize, valueSize, maxEntries, flags }: MapAttributes): number {
  if (maxEntries === 0 || keySize !== 4 || !TARGET_SIZES.has(valueSize)) return EINVAL
  if ((flags & ~BPF_MAP_FLAGS.BPF_F_NUMA_NODE) !== 0) return EINVAL
  return maxEntries > MOST_CPUS ? E2BIG : 0
}

function checkSocketMap({ keySize, valueSize, maxEntries, flags }: MapAttributes): number {
  if (maxEntries === 0 || keySize !== 4 || valueSize !== 4) return EINVAL
  return (flags & ~TARGET_FLAGS) === 0 && accessFlagsAgree(flags) ? 0 : EINVAL
}

function checkQueue({ keySize, valueSize, maxEntries, flags }: MapAttributes): number {
  if (maxEntries === 0 || keySize !== 0 || valueSize === 0) return EINVAL
  if ((flags & ~(BPF_MAP_FLAGS.BPF_F_NUMA_NODE | ACCESS_FLAGS)) !== 0 || !accessFlagsAgree(flags))
    return EINVAL
  return valueSize > KMALLOC_MAX ? E2BIG : 0
}

function checkBloomFilter({ keySize, valueSize, maxEntries, flags, mapExtra }: MapAttributes): number {
  const known = BPF_MAP_FLAGS.BPF_F_NUMA_NODE | BPF_MAP_FLAGS.BPF_F_ZERO_SEED | ACCESS_FLAGS
  if (keySize !== 0 || valueSize === 0 || maxEntries === 0 || mapExtra > 15n) return EINVAL
  if ((flags & ~known) !== 0 || !accessFlagsAgree(flags)) return EINVAL
  return valueSize > KMALLOC_MAX ? E2BIG : 0
}

function checkLpmTrie({ keySize, valueSize, maxEntries, flags }: MapAttributes): number {
  const known = BPF_MAP_FLAGS.BPF_F_NO_PREALLOC | BPF_MAP_FLAGS.BPF_F_NUMA_NODE | ACCESS_FLAGS
  if ((flags & BPF_MAP_FLAGS.BPF_F_NO_PREALLOC) === 0 || (flags & ~known) !== 0 || !accessFlagsAgree(flags))
    return EINVAL
  if (maxEntries === 0 || valueSize === 0 || valueSize > KMALLOC_MAX - 512) return EINVAL
  return keySize < LPM_KEY.least || keySize > LPM_KEY.most ? EINVAL : 0
}

/** @param base what Linux says of the map that holds the references */
function checkMapOfMaps({ valueSize, innerMap }: MapAttributes, base: number): number {
  if (base !== 0) return base
  if (valueSize !== 4) return EINVAL
  if (innerMap === undefined) return EBADF
  return innerMap.storage.updateMap === undefined ? 0 : EINVAL
}

function checkRingBuffer({ keySize, valueSize, maxEntries, flags }: MapAttributes): number {
  if ((flags & ~BPF_MAP_FLAGS.BPF_F_NUMA_NODE) !== 0 || keySize !== 0 || valueSize !== 0) return EINVAL
  return maxEntries > 0 && maxEntries % PAGE_SIZE === 0 && Number.isInteger(Math.log2(maxEntries))
    ? 0
    : EINVAL
}

function accessFlagsAgree(flags: number): boolean {
  const both = BPF_MAP_FLAGS.BPF_F_RDONLY_PROG | BPF_MAP_FLAGS.BPF_F_WRONLY_PROG
  const user = BPF_MAP_FLAGS.BPF_F_RDONLY | BPF_MAP_FLAGS.BPF_F_WRONLY
  return (flags & both) !== both && (flags & user) !== user
}
