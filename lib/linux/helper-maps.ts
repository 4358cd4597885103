/**
 * Which helpers take which maps, and what else a helper asks of the program that calls it.
 *
 * Source: check_map_func_compatibility(), record_func_map() and `might_sleep` of the helper prototypes, Linux 6.18.
 * Both directions count: a helper may want certain types, and a type may be for certain helpers alone.
 */
import { BPF_MAP_TYPE as M } from './map-types.js'

const REDIRECTED = [M.DEVMAP, M.DEVMAP_HASH, M.CPUMAP, M.XSKMAP]
const QUEUES = [M.QUEUE, M.STACK]
const PER_CPU = [M.PERCPU_HASH, M.PERCPU_ARRAY, M.LRU_PERCPU_HASH]

/** Types that a helper takes, by its id. A helper that isn't here takes what {@link HELPERS_OF_TYPE} doesn't keep from it. */
const TYPES_OF_HELPER: readonly (readonly [helpers: readonly number[], types: readonly number[]])[] = [
  [[12], [M.PROG_ARRAY]], // tail_call
  [[22, 25, 55, 111, 121], [M.PERF_EVENT_ARRAY]], // perf_event_read, _output, _read_value, skb_output, xdp_output
  [[27], [M.STACK_TRACE]], // get_stackid
  [[33, 37], [M.CGROUP_ARRAY]], // skb_under_cgroup, current_task_under_cgroup
  [[51], REDIRECTED], // redirect_map
  [[52, 53, 60], [M.SOCKMAP]], // sk_redirect_map, sock_map_update, msg_redirect_map
  [[70, 71, 72], [M.SOCKHASH]], // sock_hash_update, msg_redirect_hash, sk_redirect_hash
  [[81], [M.CGROUP_STORAGE, M.PERCPU_CGROUP_STORAGE]], // get_local_storage
  [[82], [M.REUSEPORT_SOCKARRAY, M.SOCKMAP, M.SOCKHASH]], // sk_select_reuseport
  [
    [87, 89],
    [...QUEUES, M.BLOOM_FILTER],
  ], // map_push_elem, map_peek_elem
  [[88], QUEUES], // map_pop_elem
  [[107, 108], [M.SK_STORAGE]], // sk_storage_get, _delete
  [[130, 131, 134, 198, 199, 200], [M.RINGBUF]], // ringbuf_output, _reserve, _query, _reserve_dynptr …
  [[145, 146], [M.INODE_STORAGE]], // inode_storage_get, _delete
  [[156, 157], [M.TASK_STORAGE]], // task_storage_get, _delete
  [[195], PER_CPU], // map_lookup_percpu_elem
  [[209], [M.USER_RINGBUF]], // user_ringbuf_drain
  [[210, 211], [M.CGRP_STORAGE]], // cgrp_storage_get, _delete
]

const LOOKUP = 1
const UPDATE = 2
const DELETE = 3
const KPTR_XCHG = 194

/** Helpers that take a type besides those of {@link TYPES_OF_HELPER}; types that aren't here and not there go anywhere. */
const HELPERS_OF_TYPE: readonly (readonly [types: readonly number[], helpers: readonly number[]])[] = [
  [
    [M.PROG_ARRAY, M.PERF_EVENT_ARRAY, M.STACK_TRACE, M.CGROUP_ARRAY, M.CPUMAP, M.RINGBUF, M.USER_RINGBUF],
    [],
  ],
  [
    [
      M.CGROUP_STORAGE,
      M.PERCPU_CGROUP_STORAGE,
      M.REUSEPORT_SOCKARRAY,
      M.BLOOM_FILTER,
      M.INSN_ARRAY,
      ...QUEUES,
    ],
    [],
  ],
  [[M.DEVMAP, M.DEVMAP_HASH, M.XSKMAP, M.ARRAY_OF_MAPS, M.HASH_OF_MAPS], [LOOKUP]],
  [
    [M.SOCKMAP, M.SOCKHASH],
    [LOOKUP, UPDATE, DELETE],
  ],
  [[M.SK_STORAGE, M.INODE_STORAGE, M.TASK_STORAGE, M.CGRP_STORAGE], [KPTR_XCHG]],
]

const HELPERS = 256
const TYPES = 64
/** 1 where a helper takes a type. Made when a program is looked at: most processes that import this load none. */
let allowed: Uint8Array | undefined

function allowedPairs(): Uint8Array {
  const pairs = new Uint8Array(HELPERS * TYPES).fill(1)
  const set = (helper: number, type: number, value: number): void => {
    pairs[helper * TYPES + type] = value
  }
  for (const [types, helpers] of HELPERS_OF_TYPE) {
    for (const type of types)
      for (let helper = 0; helper < HELPERS; helper++) set(helper, type, helpers.includes(helper) ? 1 : 0)
  }
  for (const [helpers, types] of TYPES_OF_HELPER) {
    for (const helper of helpers)
      for (let type = 0; type < TYPES; type++) set(helper, type, types.includes(type) ? 1 : 0)
  }
  return pairs
}

/**
 * Whether Linux lets a helper be called with a map of a type. On the way of every call on a map: no allocation.
 *
 * @param helper id of the helper
 * @param type   BPF_MAP_TYPE_*
 */
export function helperTakesMap(helper: number, type: number): boolean {
  allowed ??= allowedPairs()
  return allowed[helper * TYPES + type] === 1
}

/** Helpers with the map in r2; all others that take one have it in r1. */
const MAP_IN_R2: ReadonlySet<number> = new Set([12, 25, 27, 33, 52, 53, 60, 70, 71, 72, 82, 111, 121])

/** The register in which a helper takes a map, if it takes one. */
export function mapRegister(helper: number): 1 | 2 {
  return MAP_IN_R2.has(helper) ? 2 : 1
}

/** Helpers with a key in r2. */
export const KEYED_HELPERS: ReadonlySet<number> = new Set([LOOKUP, UPDATE, DELETE, 195])

/** Helpers that change a map: refused for one with BPF_F_RDONLY_PROG. update, delete, push, pop. */
export const WRITING_HELPERS: ReadonlySet<number> = new Set([UPDATE, DELETE, 87, 88])

/** Helpers that may sleep: copy_from_user, ima_inode_hash, copy_from_user_task, ima_file_hash. Sleepable programs only. */
export const SLEEPING_HELPERS: ReadonlySet<number> = new Set([148, 161, 191, 193])
