/**
 * What Linux trusts of its own objects: members through which trust passes on, arguments that may be null, what iterators hand on.
 *
 * Source: the kernel's BTF (`struct …__safe_rcu` and the like tell the members), and the answers of Linux 6.18 to programs that load each argument.
 */

/** How a pointer that was read of a trusted object may be used. */
export type SafeMember = 'rcu' | 'rcu?' | 'trusted' | 'trusted?'

/** Suffixes of the structs in the kernel's BTF that list safe members. */
export const SAFE_SUFFIXES: readonly (readonly [suffix: string, safe: SafeMember])[] = [
  ['__safe_trusted', 'trusted'],
  ['__safe_trusted_or_null', 'trusted?'],
  ['__safe_rcu', 'rcu'],
  ['__safe_rcu_or_null', 'rcu?'],
]

/** Where the target's BTF doesn't tell: that of simulated kernels. By struct and member. */
export const SAFE_MEMBERS: Readonly<Record<string, Readonly<Record<string, SafeMember>>>> = {
  task_struct: { cpus_ptr: 'rcu', cgroups: 'rcu', real_parent: 'rcu', group_leader: 'rcu' },
  cgroup: { kn: 'rcu' },
  css_set: { dfl_cgrp: 'rcu' },
  cgroup_subsys_state: { cgroup: 'rcu' },
  mm_struct: { exe_file: 'rcu?' },
  sk_buff: { sk: 'rcu?' },
  request_sock: { sk: 'rcu?' },
  bpf_iter_meta: { seq: 'trusted' },
  bpf_iter__task: { meta: 'trusted', task: 'trusted' },
  linux_binprm: { file: 'trusted' },
  file: { f_inode: 'trusted' },
  dentry: { d_inode: 'trusted?' },
  socket: { sk: 'trusted?' },
}

/** Arguments of tracepoints that may be null: number of the argument, from 0. */
const NULLABLE_ARGUMENTS: Readonly<Record<string, readonly number[]>> = {
  sched_pi_setprio: [1],
  sched_stick_numa: [2],
  sched_swap_numa: [2],
  tmigr_update_events: [0],
  mm_page_alloc: [0],
  mm_page_alloc_zone_locked: [0],
  mm_page_pcpu_drain: [0],
  mm_khugepaged_scan_pmd: [1],
  mm_collapse_huge_page_isolate: [0],
  mm_khugepaged_scan_file: [1],
  mm_khugepaged_collapse_file: [1],
  writeback_dirty_folio: [1],
  folio_wait_writeback: [1],
  posix_lock_inode: [1],
  fcntl_setlk: [1],
  locks_remove_posix: [1],
  flock_lock_inode: [1],
  break_lease_noblock: [1],
  break_lease_block: [1],
  break_lease_unblock: [1],
  generic_delete_lease: [1],
  time_out_leases: [1],
  ext4_mballoc_discard: [1],
  ext4_mballoc_free: [1],
  hugetlbfs_alloc_inode: [1],
  xfs_inodegc_flush: [0],
  xfs_inodegc_push: [0],
  xfs_inodegc_start: [0],
  xfs_inodegc_stop: [0],
  xfs_inodegc_queue: [0],
  xfs_inodegc_throttle: [0],
  xfs_fs_sync_fs: [0],
  xfs_blockgc_start: [0],
  xfs_blockgc_stop: [0],
  xfs_blockgc_worker: [0],
  xfs_blockgc_flush_all: [0],
  xfs_map_blocks_found: [4],
  xfs_map_blocks_alloc: [4],
  xfs_btree_updkeys: [2],
  xfs_btree_overlapped_query_range: [2],
  xfs_defer_create_intent: [0],
  xfs_defer_cancel_list: [0],
  xfs_defer_pending_finish: [0],
  xfs_defer_pending_abort: [0],
  xfs_defer_relog_intent: [0],
  xfs_defer_isolate_paused: [0],
  xfs_defer_item_pause: [0],
  xfs_defer_item_unpause: [0],
  xfs_defer_add_item: [0],
  xfs_defer_cancel_item: [0],
  xfs_defer_finish_item: [0],
  xfs_ioc_free_eofblocks: [1],
  xfs_blockgc_free_space: [1],
  kfree_skb: [3],
  tcp_send_reset: [0, 1],
  tcp_sendmsg_locked: [2],
  fib_table_lookup: [2],
  qdisc_dequeue: [3],
}

/** Whether an argument of a tracepoint may be null. */
export function mayBeNullArgument(tracepoint: string, index: number): boolean {
  return NULLABLE_ARGUMENTS[tracepoint]?.includes(index) === true
}

/** What an iterator hands on beside its `meta`, by iterator and parameter; `rdonly` and `rdwr` are memory of a map. */
export type IteratorArgument = 'object?' | 'trusted?' | 'rdonly?' | 'rdwr?'

export const ITERATOR_ARGUMENTS: Readonly<Record<string, Readonly<Record<string, IteratorArgument>>>> = {
  task: { task: 'trusted?' },
  task_file: { task: 'object?', file: 'object?' },
  task_vma: { task: 'object?', vma: 'object?' },
  bpf_map: { map: 'trusted?' },
  bpf_map_elem: { key: 'rdonly?', value: 'rdwr?' },
  bpf_prog: { prog: 'object?' },
  bpf_link: { link: 'object?' },
  bpf_sk_storage_map: { sk: 'object?', value: 'rdwr?' },
  cgroup: { cgroup: 'trusted?' },
  tcp: { sk_common: 'trusted?' },
  udp: { udp_sk: 'trusted?' },
  unix: { unix_sk: 'object?' },
  ipv6_route: { rt: 'object?' },
  netlink: { sk: 'object?' },
  sockmap: { key: 'rdonly?', sk: 'object?' },
  ksym: { ksym: 'object?' },
  kmem_cache: { s: 'trusted?' },
  dmabuf: { dmabuf: 'object?' },
}
