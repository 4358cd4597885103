/**
 * BPF map types: numbers, names, and how their values are laid out; and the flags of BPF_MAP_CREATE and of updates.
 *
 * Source: `enum bpf_map_type` and the BPF_F_* of linux/bpf.h (Linux 6.18); man page bpf(2) and the commits' release for
 * versions.
 */

/** BPF_MAP_TYPE_* without the prefix. */
export const BPF_MAP_TYPE = {
  UNSPEC: 0,
  HASH: 1,
  ARRAY: 2,
  PROG_ARRAY: 3,
  PERF_EVENT_ARRAY: 4,
  PERCPU_HASH: 5,
  PERCPU_ARRAY: 6,
  STACK_TRACE: 7,
  CGROUP_ARRAY: 8,
  LRU_HASH: 9,
  LRU_PERCPU_HASH: 10,
  LPM_TRIE: 11,
  ARRAY_OF_MAPS: 12,
  HASH_OF_MAPS: 13,
  DEVMAP: 14,
  SOCKMAP: 15,
  CPUMAP: 16,
  XSKMAP: 17,
  SOCKHASH: 18,
  /** Deprecated in favour of CGRP_STORAGE. */
  CGROUP_STORAGE: 19,
  REUSEPORT_SOCKARRAY: 20,
  /** Deprecated in favour of CGRP_STORAGE. */
  PERCPU_CGROUP_STORAGE: 21,
  QUEUE: 22,
  STACK: 23,
  SK_STORAGE: 24,
  DEVMAP_HASH: 25,
  STRUCT_OPS: 26,
  RINGBUF: 27,
  INODE_STORAGE: 28,
  TASK_STORAGE: 29,
  BLOOM_FILTER: 30,
  USER_RINGBUF: 31,
  CGRP_STORAGE: 32,
  ARENA: 33,
  INSN_ARRAY: 34,
} as const

export type BpfMapType = (typeof BPF_MAP_TYPE)[keyof typeof BPF_MAP_TYPE]

export interface MapTypeInfo {
  readonly type: BpfMapType
  /** As bpftool and libbpf print it: `percpu_hash`. */
  readonly name: string
  /** Whether a look-up gives one value for each possible CPU. */
  readonly perCpu: boolean
  /** First Linux that has the type. */
  readonly since: string
}

/** Every type but UNSPEC, by number: the entry of type n is at n - 1. */
export const MAP_TYPES: readonly MapTypeInfo[] = [
  { type: 1, name: 'hash', perCpu: false, since: '3.19' },
  { type: 2, name: 'array', perCpu: false, since: '3.19' },
  { type: 3, name: 'prog_array', perCpu: false, since: '4.2' },
  { type: 4, name: 'perf_event_array', perCpu: false, since: '4.3' },
  { type: 5, name: 'percpu_hash', perCpu: true, since: '4.6' },
  { type: 6, name: 'percpu_array', perCpu: true, since: '4.6' },
  { type: 7, name: 'stack_trace', perCpu: false, since: '4.6' },
  { type: 8, name: 'cgroup_array', perCpu: false, since: '4.8' },
  { type: 9, name: 'lru_hash', perCpu: false, since: '4.10' },
  { type: 10, name: 'lru_percpu_hash', perCpu: true, since: '4.10' },
  { type: 11, name: 'lpm_trie', perCpu: false, since: '4.11' },
  { type: 12, name: 'array_of_maps', perCpu: false, since: '4.12' },
  { type: 13, name: 'hash_of_maps', perCpu: false, since: '4.12' },
  { type: 14, name: 'devmap', perCpu: false, since: '4.14' },
  { type: 15, name: 'sockmap', perCpu: false, since: '4.14' },
  { type: 16, name: 'cpumap', perCpu: false, since: '4.15' },
  { type: 17, name: 'xskmap', perCpu: false, since: '4.18' },
  { type: 18, name: 'sockhash', perCpu: false, since: '4.18' },
  { type: 19, name: 'cgroup_storage', perCpu: false, since: '4.19' },
  { type: 20, name: 'reuseport_sockarray', perCpu: false, since: '4.19' },
  { type: 21, name: 'percpu_cgroup_storage', perCpu: true, since: '4.20' },
  { type: 22, name: 'queue', perCpu: false, since: '4.20' },
  { type: 23, name: 'stack', perCpu: false, since: '4.20' },
  { type: 24, name: 'sk_storage', perCpu: false, since: '5.2' },
  { type: 25, name: 'devmap_hash', perCpu: false, since: '5.4' },
  { type: 26, name: 'struct_ops', perCpu: false, since: '5.6' },
  { type: 27, name: 'ringbuf', perCpu: false, since: '5.8' },
  { type: 28, name: 'inode_storage', perCpu: false, since: '5.10' },
  { type: 29, name: 'task_storage', perCpu: false, since: '5.11' },
  { type: 30, name: 'bloom_filter', perCpu: false, since: '5.16' },
  { type: 31, name: 'user_ringbuf', perCpu: false, since: '6.1' },
  { type: 32, name: 'cgrp_storage', perCpu: false, since: '6.2' },
  { type: 33, name: 'arena', perCpu: false, since: '6.9' },
  { type: 34, name: 'insn_array', perCpu: false, since: '6.19' },
]

/** Flags of BPF_MAP_CREATE: what `__uint(map_flags, …)` takes. */
export const BPF_MAP_FLAGS = {
  /** Hash maps: allocate elements when they are inserted. */
  BPF_F_NO_PREALLOC: 1 << 0,
  /** LRU maps: one list for each CPU instead of a common one. */
  BPF_F_NO_COMMON_LRU: 1 << 1,
  BPF_F_NUMA_NODE: 1 << 2,
  /** User space may only read. */
  BPF_F_RDONLY: 1 << 3,
  /** User space may only write. */
  BPF_F_WRONLY: 1 << 4,
  BPF_F_STACK_BUILD_ID: 1 << 5,
  /** Hash maps: hash with a seed of zero, for tests. */
  BPF_F_ZERO_SEED: 1 << 6,
  /** Programs may only read. */
  BPF_F_RDONLY_PROG: 1 << 7,
  /** Programs may only write. */
  BPF_F_WRONLY_PROG: 1 << 8,
  BPF_F_CLONE: 1 << 9,
  /** Array maps: user space may map the values into memory. Linux 5.5. */
  BPF_F_MMAPABLE: 1 << 10,
  BPF_F_PRESERVE_ELEMS: 1 << 11,
  BPF_F_INNER_MAP: 1 << 12,
  /** struct_ops maps: attaches by a link. Linux 6.4. */
  BPF_F_LINK: 1 << 13,
  BPF_F_PATH_FD: 1 << 14,
  BPF_F_VTYPE_BTF_OBJ_FD: 1 << 15,
  BPF_F_TOKEN_FD: 1 << 16,
  BPF_F_SEGV_ON_FAULT: 1 << 17,
  BPF_F_NO_USER_CONV: 1 << 18,
  BPF_F_RB_OVERWRITE: 1 << 19,
} as const

/** Flags of BPF_MAP_UPDATE_ELEM (and BPF_F_LOCK of look-ups). */
export const BPF_UPDATE_FLAGS = {
  /** Create or replace. */
  BPF_ANY: 0,
  /** Create; EEXIST if the key exists. */
  BPF_NOEXIST: 1,
  /** Replace; ENOENT if the key does not exist. */
  BPF_EXIST: 2,
  /** Under the value's `struct bpf_spin_lock`. Linux 5.1. */
  BPF_F_LOCK: 4,
} as const

/** Knowledge about a BPF_MAP_TYPE_* number; undefined for UNSPEC and for types that are newer than this table. */
export function mapType(type: number): MapTypeInfo | undefined {
  return MAP_TYPES[type - 1]
}

/** Name of a BPF_MAP_TYPE_* number as bpftool prints it; `type 99` for a number that isn't known. */
export function mapTypeName(type: number): string {
  return type === BPF_MAP_TYPE.UNSPEC ? 'unspec' : (MAP_TYPES[type - 1]?.name ?? `type ${type}`)
}

/** Whether a look-up in a map of this type gives one value for each possible CPU. */
export function isPerCpu(type: number): boolean {
  return MAP_TYPES[type - 1]?.perCpu ?? false
}

/** Whether the values of a map of this type are maps. */
export function isMapOfMaps(type: number): boolean {
  return type === BPF_MAP_TYPE.ARRAY_OF_MAPS || type === BPF_MAP_TYPE.HASH_OF_MAPS
}

/** What BPF_MAP_CREATE expects of a type where its maker doesn't choose. Source: the alloc_check functions of kernel/bpf (Linux 6.18). */
export interface MapTypeDefaults {
  /** `none`: the maps have no keys (or values). Scalars are what Linux wants there. */
  readonly key?: 'none' | 'u32' | 's32'
  readonly value?: 'none' | 'u32' | 'u64'
  /** Flags without which Linux refuses the type. */
  readonly flags?: number
  /** `none`: must be 0. `cpus`: one for each possible CPU is what one wants. */
  readonly entries?: 'none' | 'cpus'
  /** Values that user space writes are file descriptors. What it reads, where it may, are ids (sockets: cookies). */
  readonly descriptors?: true
  /** Values may be structs of which a member is a program's file descriptor. What user space reads there are ids. */
  readonly holdsPrograms?: true
  /** Linux refuses the map without the types of keys and values. */
  readonly needsTypes?: true
}

const INDEXED: MapTypeDefaults = { key: 'u32' }
const DESCRIPTORS: MapTypeDefaults = { key: 'u32', value: 'u32', descriptors: true }
/** Values of 8 bytes can be read: sockets' cookies. */
const SOCKETS: MapTypeDefaults = { key: 'u32', value: 'u64', descriptors: true }
/** An interface or a queue length; with 8 bytes, a program behind it. */
const REDIRECTION: MapTypeDefaults = { key: 'u32', value: 'u32', holdsPrograms: true }
const KEYLESS: MapTypeDefaults = { key: 'none' }
const STORAGE: MapTypeDefaults = {
  key: 's32',
  flags: BPF_MAP_FLAGS.BPF_F_NO_PREALLOC,
  entries: 'none',
  needsTypes: true,
}
const RING: MapTypeDefaults = { key: 'none', value: 'none' }

const DEFAULTS: ReadonlyMap<number, MapTypeDefaults> = new Map<number, MapTypeDefaults>([
  [BPF_MAP_TYPE.ARRAY, INDEXED],
  [BPF_MAP_TYPE.PERCPU_ARRAY, INDEXED],
  [BPF_MAP_TYPE.STACK_TRACE, INDEXED],
  [BPF_MAP_TYPE.PROG_ARRAY, DESCRIPTORS],
  [BPF_MAP_TYPE.PERF_EVENT_ARRAY, { ...DESCRIPTORS, entries: 'cpus' }],
  [BPF_MAP_TYPE.CGROUP_ARRAY, DESCRIPTORS],
  [BPF_MAP_TYPE.ARRAY_OF_MAPS, DESCRIPTORS],
  [BPF_MAP_TYPE.HASH_OF_MAPS, { value: 'u32', descriptors: true }],
  [BPF_MAP_TYPE.XSKMAP, DESCRIPTORS],
  [BPF_MAP_TYPE.SOCKMAP, SOCKETS],
  [BPF_MAP_TYPE.SOCKHASH, { value: 'u64', descriptors: true }],
  [BPF_MAP_TYPE.REUSEPORT_SOCKARRAY, SOCKETS],
  [BPF_MAP_TYPE.DEVMAP, REDIRECTION],
  [BPF_MAP_TYPE.DEVMAP_HASH, REDIRECTION],
  [BPF_MAP_TYPE.CPUMAP, REDIRECTION],
  [BPF_MAP_TYPE.LPM_TRIE, { flags: BPF_MAP_FLAGS.BPF_F_NO_PREALLOC }],
  [BPF_MAP_TYPE.QUEUE, KEYLESS],
  [BPF_MAP_TYPE.STACK, KEYLESS],
  [BPF_MAP_TYPE.BLOOM_FILTER, KEYLESS],
  [BPF_MAP_TYPE.RINGBUF, RING],
  [BPF_MAP_TYPE.USER_RINGBUF, RING],
  [BPF_MAP_TYPE.ARENA, { ...RING, flags: BPF_MAP_FLAGS.BPF_F_MMAPABLE }],
  [BPF_MAP_TYPE.SK_STORAGE, STORAGE],
  [BPF_MAP_TYPE.INODE_STORAGE, STORAGE],
  [BPF_MAP_TYPE.TASK_STORAGE, STORAGE],
  [BPF_MAP_TYPE.CGRP_STORAGE, STORAGE],
])

export interface MapSizes {
  readonly type: number
  readonly valueSize: number
  readonly maxEntries: number
}

/** Frames of a stack trace where nobody says how many: the default of the sysctl kernel.perf_event_max_stack. */
const STACK_FRAMES = 127

/**
 * The sizes with which a map comes before the verifier. What is 0 in the object its user sets before the maps are made, who isn't here: the least that
 * Linux takes will do, since the verifier asks for no more.
 */
export function sizesToVerify({ type, valueSize, maxEntries }: MapSizes): Omit<MapSizes, 'type'> {
  return {
    valueSize: valueSize === 0 && type === BPF_MAP_TYPE.STACK_TRACE ? 8 * STACK_FRAMES : valueSize,
    maxEntries: maxEntries === 0 && mapTypeDefaults(type).entries !== 'none' ? 1 : maxEntries,
  }
}

export function mapTypeDefaults(type: number): MapTypeDefaults {
  return DEFAULTS.get(type) ?? {}
}

/** Names of the flags that are set: `['BPF_F_RDONLY_PROG', 'BPF_F_MMAPABLE']`; bits without a name as `0x100000`. */
export function mapFlagNames(flags: number): readonly string[] {
  const names: string[] = []
  let rest = flags >>> 0
  for (const [name, bit] of Object.entries(BPF_MAP_FLAGS)) {
    if ((rest & bit) === 0) continue
    names.push(name)
    rest &= ~bit
  }
  if (rest !== 0) names.push(`0x${(rest >>> 0).toString(16)}`)
  return names
}
