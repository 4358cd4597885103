/** Which maps which programs may use. */
import { BPF_MAP_TYPE as M } from '../../linux/map-types.js'
import { BPF_PROG_TYPE as P, BPF_PROGRAM_FLAGS } from '../../linux/program-types.js'
import type { VerifierMap, VerifierProgram } from './program.js'
import { invalid, Unmodelled } from './rejection.js'

/** Types of programs that trace: some things of maps aren't for them. */
const TRACING: ReadonlySet<number> = new Set([
  P.KPROBE,
  P.TRACEPOINT,
  P.PERF_EVENT,
  P.RAW_TRACEPOINT,
  P.RAW_TRACEPOINT_WRITABLE,
])

const SLEEPABLE_MAPS: ReadonlySet<number> = new Set([
  M.HASH,
  M.LRU_HASH,
  M.ARRAY,
  M.PERCPU_HASH,
  M.PERCPU_ARRAY,
  M.LRU_PERCPU_HASH,
  M.ARRAY_OF_MAPS,
  M.HASH_OF_MAPS,
  M.RINGBUF,
  M.USER_RINGBUF,
  M.INODE_STORAGE,
  M.SK_STORAGE,
  M.TASK_STORAGE,
  M.CGRP_STORAGE,
  M.QUEUE,
  M.STACK,
  M.ARENA,
])

/** Fields of map values that this verifier knows the rules of. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set([
  'bpf_spin_lock',
  'bpf_res_spin_lock',
  'bpf_timer',
  'bpf_wq',
  'bpf_task_work',
  'bpf_list_head',
  'bpf_rb_root',
  'bpf_refcount',
  'kptr',
  'kptr_untrusted',
  'percpu_kptr',
  'uptr',
])

export function hasField(map: VerifierMap, kind: string): boolean {
  return map.specialFields.some((field) => field.kind === kind)
}

export function isTracing(type: number): boolean {
  return TRACING.has(type)
}

export function checkMapForProgram(program: VerifierProgram, map: VerifierMap): void {
  if (map.type === M.ARENA && map.isPlaced === false)
    invalid("arena's user address must be set via map_extra or mmap()")
  for (const { kind } of [...map.specialFields, ...(map.inner?.specialFields ?? [])])
    if (!KNOWN_FIELDS.has(kind)) throw new Unmodelled(`${kind} in values of map ${map.name}`)
  const hasLock = hasField(map, 'bpf_spin_lock') || hasField(map, 'bpf_res_spin_lock')
  if (hasField(map, 'bpf_list_head') || hasField(map, 'bpf_rb_root')) {
    if (isTracing(program.type)) invalid('tracing progs cannot use bpf_{list_head,rb_root} yet')
    if (!hasLock) throw new Unmodelled(`lists and trees without a lock in values of map ${map.name}`)
  }
  if (hasLock) {
    if (program.type === P.SOCKET_FILTER) invalid('socket filter progs cannot use bpf_spin_lock yet')
    if (isTracing(program.type)) invalid('tracing progs cannot use bpf_spin_lock yet')
  }
  if (hasField(map, 'bpf_timer') && isTracing(program.type)) invalid('tracing progs cannot use bpf_timer yet')
  if (hasField(map, 'bpf_wq') && isTracing(program.type)) invalid('tracing progs cannot use bpf_wq yet')
  const sleepable = (program.flags & BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE) !== 0
  if (sleepable && !SLEEPABLE_MAPS.has(map.type))
    invalid('Sleepable programs can only use array, hash, ringbuf and local storage maps')
}
