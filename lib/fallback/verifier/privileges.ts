/** What the process that loads a program may do, and what Linux refuses to those who may less. */
import type { Privileges } from '../../linux/capabilities.js'
import { BPF_MAP_TYPE } from '../../linux/map-types.js'
import { slotCount } from '../../isa/instruction.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import type { VerifierProgram } from './program.js'
import { E2BIG, EPERM, invalid, Rejection } from './rejection.js'

/** BPF_MAXINSNS: what a program without CAP_BPF may have. */
const UNPRIVILEGED_INSTRUCTIONS = 4096

const { ARENA } = BPF_MAP_TYPE
const UNPRIVILEGED_TYPES: ReadonlySet<number> = new Set([P.SOCKET_FILTER, P.CGROUP_SKB])
/** CAP_NET_ADMIN alone isn't enough for these, CAP_PERFMON must be there. */
const TRACING_TYPES: ReadonlySet<number> = new Set([
  P.KPROBE,
  P.TRACEPOINT,
  P.PERF_EVENT,
  P.RAW_TRACEPOINT,
  P.RAW_TRACEPOINT_WRITABLE,
  P.TRACING,
  P.LSM,
  P.STRUCT_OPS,
  P.EXT,
])

/** Helpers of all program types that want CAP_PERFMON: they tell of the kernel's memory and tasks. */
const PERFMON_HELPERS: ReadonlySet<number> = new Set([
  // trace_printk, trace_vprintk, get_current_task, get_current_task_btf, task_pt_regs
  6, 177, 35, 158, 175,
  // probe_read_user, probe_read_kernel, and of strings
  112, 113, 114, 115,
  // snprintf_btf, snprintf
  149, 165,
  // skc_to_tcp6_sock, skc_to_tcp_sock, skc_to_tcp_timewait_sock, skc_to_tcp_request_sock, skc_to_udp6_sock, skc_to_unix_sock, skc_to_mptcp_sock
  136, 137, 138, 139, 140, 178, 196,
]) // prettier-ignore

/** Helpers of socket filters and cgroup programs that nobody needs CAP_BPF for. */
const UNPRIVILEGED_HELPERS: ReadonlySet<number> = new Set([
  // map_lookup_elem, update, delete, push, pop, peek, lookup_percpu_elem
  1, 2, 3, 87, 88, 89, 195,
  // get_prandom_u32, get_smp_processor_id, get_numa_node_id, tail_call, ktime_get_ns, of boot, tai
  7, 8, 42, 12, 5, 125, 208,
  // ringbuf_output, reserve, submit, discard, query, strncmp, strtol, strtoul
  130, 131, 132, 133, 134, 182, 105, 106,
  // get_current_pid_tgid, get_ns_current_pid_tgid, get_current_uid_gid, get_current_comm
  14, 120, 15, 16,
  // skb_load_bytes, and relative to a header, get_socket_cookie, get_socket_uid, perf_event_output
  26, 68, 46, 47, 25,
]) // prettier-ignore

/** The same of what filters of cgroups alone have. */
const UNPRIVILEGED_CGROUP_HELPERS: ReadonlySet<number> = new Set([
  // get_local_storage, sk_storage_get, sk_storage_delete
  81, 107, 108,
  // skb_cgroup_id, skb_ancestor_cgroup_id, sk_cgroup_id, sk_ancestor_cgroup_id, skb_ecn_set_ce
  79, 83, 128, 129, 97,
  // sk_lookup_tcp, sk_lookup_udp, skc_lookup_tcp, sk_release, sk_fullsock, tcp_sock, get_listener_sock
  84, 85, 99, 86, 95, 96, 98,
]) // prettier-ignore

/** What Linux asks before it looks at the instructions. */
export function checkPrivileges(
  { type, code, mapReferences }: VerifierProgram,
  privileges: Privileges,
): void {
  if (privileges === 'all') return
  for (const { map } of mapReferences.values()) {
    if (map.type === ARENA) throw new Rejection(EPERM, 'CAP_BPF and CAP_PERFMON are required to use arena')
  }
  if (privileges === 'none') {
    const length = slotCount(code)
    if (length > UNPRIVILEGED_INSTRUCTIONS)
      throw new Rejection(
        E2BIG,
        `the program has ${length} instructions, more than ${UNPRIVILEGED_INSTRUCTIONS}: more take CAP_BPF`,
      )
    if (!UNPRIVILEGED_TYPES.has(type)) throw new Rejection(EPERM, 'programs of this type take CAP_BPF')
  }
  if (TRACING_TYPES.has(type)) throw new Rejection(EPERM, 'programs of this type take CAP_PERFMON')
}

export function checkHelperPrivileges(id: number, name: string, type: number, privileges: Privileges): void {
  if (privileges === 'all') return
  const isForAll =
    UNPRIVILEGED_HELPERS.has(id) || (type === P.CGROUP_SKB && UNPRIVILEGED_CGROUP_HELPERS.has(id))
  const refused = PERFMON_HELPERS.has(id) || (privileges === 'none' && !isForAll)
  if (refused) invalid(`program of this type cannot use helper bpf_${name}#${id}`)
}
