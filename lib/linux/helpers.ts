/**
 * Linux's helper functions: ids, names, and which program types may call them.
 *
 * Truth for Linux 6.18 (x86-64), asked of the running kernel: each helper was called from a two-instruction program of
 * each type and attach type, with a GPL licence and without. Where a set depends on the attach type too, a type has
 * the helper if one of its attach types has it. get_func_arg, get_func_ret and get_func_arg_cnt (tracing: fentry, fexit,
 * fmod_ret), and the licences of helpers that no program there could call, are from the kernel's source.
 */

export interface Helper {
  readonly id: number
  /** Without the `bpf_`. */
  readonly name: string
  /** Callable only from programs with a GPL-compatible licence. */
  readonly gplOnly: boolean
  /** By BPF_PROG_TYPE_* - 1: 1 may call it, 0 may not, ? unknown. See {@link helperAllowed}. */
  readonly programTypes: string
}

/** The first BPF_PROG_TYPE_* of the bitmaps is 1, BPF_PROG_TYPE_SOCKET_FILTER; the last is 32, BPF_PROG_TYPE_NETFILTER. */
const TABLE: readonly (readonly [id: number, name: string, licence: 'gpl' | 'any', programTypes: string])[] =
  [
    //                                        1 socket_filter … 32 netfilter; 20 lirc_mode2, 27 struct_ops,
    //                                        28 ext and 29 lsm couldn't be asked
    [1, 'map_lookup_elem', 'any', '1111111111111111111?111111???111'],
    [2, 'map_update_elem', 'any', '1111111111111111111?111111???111'],
    [3, 'map_delete_elem', 'any', '1111111111111111111?111111???111'],
    [4, 'probe_read', 'gpl', '0100101000000000100?000101???010'],
    [5, 'ktime_get_ns', 'any', '1111111111111111111?111111???111'],
    [6, 'trace_printk', 'gpl', '1111111111111111111?111111???111'],
    [7, 'get_prandom_u32', 'any', '1111111111111111111?111111???111'],
    [8, 'get_smp_processor_id', 'any', '1111111111111111111?111111???111'],
    [9, 'skb_store_bytes', 'any', '0011000000010100000?000000???000'],
    [10, 'l3_csum_replace', 'any', '0011000000010000000?000000???000'],
    [11, 'l4_csum_replace', 'any', '0011000000010000000?000000???000'],
    [12, 'tail_call', 'any', '1111111111111111111?111111???111'],
    [13, 'clone_redirect', 'any', '0011000000010000000?000000???000'],
    [14, 'get_current_pid_tgid', 'any', '1111111111111111111?111111???111'],
    [15, 'get_current_uid_gid', 'any', '1111111111111111111?111111???111'],
    [16, 'get_current_comm', 'any', '1111111111111111111?111111???111'],
    [17, 'get_cgroup_classid', 'any', '1111111111111111111?111111???111'],
    [18, 'skb_vlan_push', 'any', '0011000000000000000?000000???000'],
    [19, 'skb_vlan_pop', 'any', '0011000000000000000?000000???000'],
    [20, 'skb_get_tunnel_key', 'any', '0011000000010000000?000000???000'],
    [21, 'skb_set_tunnel_key', 'any', '0011000000010000000?000000???000'],
    [22, 'perf_event_read', 'gpl', '1111111111111111111?111111???111'],
    [23, 'redirect', 'any', '0011010000010000000?000000???000'],
    [24, 'get_route_realm', 'any', '0011000001110000001?000000???000'],
    [25, 'perf_event_output', 'gpl', '1111111111111111111?001111???110'],
    [26, 'skb_load_bytes', 'any', '1011000101110100001?110000???000'],
    [27, 'get_stackid', 'gpl', '0100101000000000100?000101???010'],
    [28, 'csum_diff', 'any', '0011010001110000001?000000???000'],
    [29, 'skb_get_tunnel_opt', 'any', '0011000000010000000?000000???000'],
    [30, 'skb_set_tunnel_opt', 'any', '0011000000010000000?000000???000'],
    [31, 'skb_change_proto', 'any', '0011000000000000000?000000???000'],
    [32, 'skb_change_type', 'any', '0011000000000000000?000000???000'],
    [33, 'skb_under_cgroup', 'any', '0011000001110000001?000000???000'],
    [34, 'get_hash_recalc', 'any', '0011000001110000001?000000???000'],
    [35, 'get_current_task', 'gpl', '1111111111111111111?111111???111'],
    [36, 'probe_write_user', 'gpl', '0000000000000000000?000000???000'],
    [37, 'current_task_under_cgroup', 'any', '1111111111111111111?111111???111'],
    [38, 'skb_change_tail', 'any', '0011000000010100000?000000???000'],
    [39, 'skb_pull_data', 'any', '0011000001110100001?000000???000'],
    [40, 'csum_update', 'any', '0011000000010000000?000000???000'],
    [41, 'set_hash_invalid', 'any', '0011000000010000000?000000???000'],
    [42, 'get_numa_node_id', 'any', '1111111111111111111?111111???111'],
    [43, 'skb_change_head', 'any', '0011000000010100000?000000???000'],
    [44, 'xdp_adjust_head', 'any', '0000010000000000000?000000???000'],
    [45, 'probe_read_str', 'gpl', '0100101000000000100?000101???010'],
    [46, 'get_socket_cookie', 'any', '1011000110001100010?100001???010'],
    [47, 'get_socket_uid', 'any', '1011000100000100000?000000???000'],
    [48, 'set_hash', 'any', '0011000000000000000?000000???000'],
    [49, 'setsockopt', 'any', '0000000000001000010?000010???000'],
    [50, 'skb_adjust_room', 'any', '0011000000000100000?000000???000'],
    [51, 'redirect_map', 'any', '0000010000000000000?000000???000'],
    [52, 'sk_redirect_map', 'any', '0000000000000100000?000000???000'],
    [53, 'sock_map_update', 'any', '0000000000001000000?000000???000'],
    [54, 'xdp_adjust_meta', 'any', '0000010000000000000?000000???000'],
    [55, 'perf_event_read_value', 'gpl', '1111111111111111111?111111???111'],
    [56, 'perf_prog_read_value', 'gpl', '0000001000000000000?000000???000'],
    [57, 'getsockopt', 'any', '0000000000001000010?000010???000'],
    [58, 'override_return', 'gpl', '0000000000000000000?000000???000'],
    [59, 'sock_ops_cb_flags_set', 'any', '0000000000001000000?000000???000'],
    [60, 'msg_redirect_map', 'any', '0000000000000001000?000000???000'],
    [61, 'msg_apply_bytes', 'any', '0000000000000001000?000000???000'],
    [62, 'msg_cork_bytes', 'any', '0000000000000001000?000000???000'],
    [63, 'msg_pull_data', 'any', '0000000000000001000?000000???000'],
    [64, 'bind', 'any', '0000000000000000010?000000???000'],
    [65, 'xdp_adjust_tail', 'any', '0000010000000000000?000000???000'],
    [66, 'skb_get_xfrm_state', 'any', '0011000000000000000?000000???000'],
    [67, 'get_stack', 'gpl', '0100101000000000100?000101???010'],
    [68, 'skb_load_bytes_relative', 'any', '1011000100000000000?100000???000'],
    [69, 'fib_lookup', 'gpl', '0011010000000000000?000000???000'],
    [70, 'sock_hash_update', 'any', '0000000000001000000?000000???000'],
    [71, 'msg_redirect_hash', 'any', '0000000000000001000?000000???000'],
    [72, 'sk_redirect_hash', 'any', '0000000000000100000?000000???000'],
    [73, 'lwt_push_encap', 'any', '0000000001010000000?000000???000'],
    [74, 'lwt_seg6_store_bytes', 'any', '0000000000000000001?000000???000'],
    [75, 'lwt_seg6_adjust_srh', 'any', '0000000000000000001?000000???000'],
    [76, 'lwt_seg6_action', 'any', '0000000000000000001?000000???000'],
    [77, 'rc_repeat', 'gpl', '0000000000000000000?000000???000'],
    [78, 'rc_keydown', 'gpl', '0000000000000000000?000000???000'],
    [79, 'skb_cgroup_id', 'any', '0011000100000000000?000000???000'],
    [80, 'get_current_cgroup_id', 'any', '1111111111111111111?111111???111'],
    [81, 'get_local_storage', 'any', '0000000110001010010?001010???000'],
    [82, 'sk_select_reuseport', 'any', '0000000000000000000?100000???000'],
    [83, 'skb_ancestor_cgroup_id', 'any', '0011000100000000000?000000???000'],
    [84, 'sk_lookup_tcp', 'any', '0011010100000100010?000000???000'],
    [85, 'sk_lookup_udp', 'any', '0011010100000100010?000000???000'],
    [86, 'sk_release', 'any', '0011010100000100010?000000???100'],
    [87, 'map_push_elem', 'any', '1111111111111111111?111111???111'],
    [88, 'map_pop_elem', 'any', '1111111111111111111?111111???111'],
    [89, 'map_peek_elem', 'any', '1111111111111111111?111111???111'],
    [90, 'msg_push_data', 'any', '0000000000000001000?000000???000'],
    [91, 'msg_pop_data', 'any', '0000000000000001000?000000???000'],
    [92, 'rc_pointer_rel', 'gpl', '0000000000000000000?000000???000'],
    [93, 'spin_lock', 'any', '1111111111111111111?111111???111'],
    [94, 'spin_unlock', 'any', '1111111111111111111?111111???111'],
    [95, 'sk_fullsock', 'any', '0011000100000000000?000000???000'],
    [96, 'tcp_sock', 'any', '0011000100001000000?000010???000'],
    [97, 'skb_ecn_set_ce', 'any', '0011000100000000000?000000???000'],
    [98, 'get_listener_sock', 'any', '0011000100000000000?000000???000'],
    [99, 'skc_lookup_tcp', 'any', '0011010100000100010?000000???000'],
    [100, 'tcp_check_syncookie', 'gpl', '0011010000000000000?000000???000'],
    [101, 'sysctl_get_name', 'any', '0000000000000000000?001000???000'],
    [102, 'sysctl_get_current_value', 'any', '0000000000000000000?001000???000'],
    [103, 'sysctl_get_new_value', 'any', '0000000000000000000?001000???000'],
    [104, 'sysctl_set_new_value', 'any', '0000000000000000000?001000???000'],
    [105, 'strtol', 'any', '1111111111111111111?111111???111'],
    [106, 'strtoul', 'any', '1111111111111111111?111111???111'],
    [107, 'sk_storage_get', 'any', '0011000110001001010?000011???010'],
    [108, 'sk_storage_delete', 'any', '0011000100001001010?000011???010'],
    [109, 'send_signal', 'any', '1111111111111111111?111111???111'],
    [110, 'tcp_gen_syncookie', 'gpl', '0011010000000000000?000000???000'],
    [111, 'skb_output', 'gpl', '0000000000000000000?000001???010'],
    [112, 'probe_read_user', 'gpl', '1111111111111111111?111111???111'],
    [113, 'probe_read_kernel', 'gpl', '1111111111111111111?111111???111'],
    [114, 'probe_read_user_str', 'gpl', '1111111111111111111?111111???111'],
    [115, 'probe_read_kernel_str', 'gpl', '1111111111111111111?111111???111'],
    [116, 'tcp_send_ack', 'any', '0000000000000000000?000000???000'],
    [117, 'send_signal_thread', 'any', '1111111111111111111?111111???111'],
    [118, 'jiffies64', 'any', '1111111111111111111?111111???111'],
    [119, 'read_branch_records', 'gpl', '0000001000000000000?000000???000'],
    [120, 'get_ns_current_pid_tgid', 'any', '1111111111111111111?111111???111'],
    [121, 'xdp_output', 'gpl', '0000000000000000000?000001???010'],
    [122, 'get_netns_cookie', 'any', '1011000110001001010?000010???000'],
    [123, 'get_current_ancestor_cgroup_id', 'any', '1111111111111111111?111111???111'],
    [124, 'sk_assign', 'any', '0011000000000000000?000000???100'],
    [125, 'ktime_get_boot_ns', 'any', '1111111111111111111?111111???111'],
    [126, 'seq_printf', 'gpl', '0000000000000000000?000001???000'],
    [127, 'seq_write', 'gpl', '0000000000000000000?000001???000'],
    [128, 'sk_cgroup_id', 'any', '0000000100000000000?000000???000'],
    [129, 'sk_ancestor_cgroup_id', 'any', '0000000100000000000?000000???000'],
    [130, 'ringbuf_output', 'any', '1111111111111111111?111111???111'],
    [131, 'ringbuf_reserve', 'any', '1111111111111111111?111111???111'],
    [132, 'ringbuf_submit', 'any', '1111111111111111111?111111???111'],
    [133, 'ringbuf_discard', 'any', '1111111111111111111?111111???111'],
    [134, 'ringbuf_query', 'any', '1111111111111111111?111111???111'],
    [135, 'csum_level', 'any', '0011000000010000000?000000???000'],
    [136, 'skc_to_tcp6_sock', 'any', '1011010101111101011?010001???110'],
    [137, 'skc_to_tcp_sock', 'any', '1011010101111101011?010001???110'],
    [138, 'skc_to_tcp_timewait_sock', 'any', '1011010101111101011?010001???110'],
    [139, 'skc_to_tcp_request_sock', 'any', '1011010101111101011?010001???110'],
    [140, 'skc_to_udp6_sock', 'any', '1011010101111101011?010001???110'],
    [141, 'get_task_stack', 'any', '1111111111111111111?111111???111'],
    [142, 'load_hdr_opt', 'any', '0000000000001000000?000000???000'],
    [143, 'store_hdr_opt', 'any', '0000000000001000000?000000???000'],
    [144, 'reserve_hdr_opt', 'any', '0000000000001000000?000000???000'],
    [145, 'inode_storage_get', 'any', '0000000000000000000?000000???000'],
    [146, 'inode_storage_delete', 'any', '0000000000000000000?000000???000'],
    [147, 'd_path', 'any', '0000000000000000000?000001???010'],
    [148, 'copy_from_user', 'any', '1111111111111111111?111111???111'],
    [149, 'snprintf_btf', 'any', '1111111111111111111?111111???111'],
    [150, 'seq_printf_btf', 'gpl', '0000000000000000000?000001???000'],
    [151, 'skb_cgroup_classid', 'any', '0011000000000000000?000000???000'],
    [152, 'redirect_neigh', 'any', '0011000000000000000?000000???000'],
    [153, 'per_cpu_ptr', 'any', '1111111111111111111?111111???111'],
    [154, 'this_cpu_ptr', 'any', '1111111111111111111?111111???111'],
    [155, 'redirect_peer', 'any', '0011000000000000000?000000???000'],
    [156, 'task_storage_get', 'any', '1111111111111111111?111111???111'],
    [157, 'task_storage_delete', 'any', '1111111111111111111?111111???111'],
    [158, 'get_current_task_btf', 'gpl', '1111111111111111111?111111???111'],
    [159, 'bprm_opts_set', 'any', '0000000000000000000?000000???000'],
    [160, 'ktime_get_coarse_ns', 'any', '1011010111111101011?111000???100'],
    [161, 'ima_inode_hash', 'any', '0000000000000000000?000000???000'],
    [162, 'sock_from_file', 'any', '0000000000000000000?000001???010'],
    [163, 'check_mtu', 'gpl', '0011010000000000000?000000???000'],
    [164, 'for_each_map_elem', 'any', '1111111111111111111?111111???111'],
    [165, 'snprintf', 'gpl', '1111111111111111111?111111???111'],
    [166, 'sys_bpf', 'any', '0000000000000000000?000000???010'],
    [167, 'btf_find_by_name_kind', 'any', '0000000000000000000?000000???010'],
    [168, 'sys_close', 'any', '0000000000000000000?000000???010'],
    [169, 'timer_init', 'gpl', '1111111111111111111?111111???111'],
    [170, 'timer_set_callback', 'gpl', '1111111111111111111?111111???111'],
    [171, 'timer_start', 'gpl', '1111111111111111111?111111???111'],
    [172, 'timer_cancel', 'gpl', '1111111111111111111?111111???111'],
    [173, 'get_func_ip', 'gpl', '0100000000000000000?000001???000'],
    [174, 'get_attach_cookie', 'any', '0100101000000000100?000101???000'],
    [175, 'task_pt_regs', 'gpl', '1111111111111111111?111111???111'],
    [176, 'get_branch_snapshot', 'gpl', '1111111111111111111?111111???111'],
    [177, 'trace_vprintk', 'gpl', '1111111111111111111?111111???111'],
    [178, 'skc_to_unix_sock', 'any', '1011010101111101011?010001???110'],
    [179, 'kallsyms_lookup_name', 'any', '0000000000000000000?000000???010'],
    [180, 'find_vma', 'any', '1111111111111111111?111111???111'],
    [181, 'loop', 'any', '1111111111111111111?111111???111'],
    [182, 'strncmp', 'any', '1111111111111111111?111111???111'],
    [183, 'get_func_arg', 'any', '0000000000000000000?000001???000'],
    [184, 'get_func_ret', 'any', '0000000000000000000?000001???000'],
    [185, 'get_func_arg_cnt', 'any', '0000000000000000000?000001???000'],
    [186, 'get_retval', 'any', '0000000010000010010?001010???000'],
    [187, 'set_retval', 'any', '0000000010000010010?001010???000'],
    [188, 'xdp_get_buff_len', 'any', '0000010000000000000?000001???010'],
    [189, 'xdp_load_bytes', 'any', '0000010000000000000?000000???000'],
    [190, 'xdp_store_bytes', 'any', '0000010000000000000?000000???000'],
    [191, 'copy_from_user_task', 'gpl', '1111111111111111111?111111???111'],
    [192, 'skb_set_tstamp', 'any', '0011000000000000000?000000???000'],
    [193, 'ima_file_hash', 'any', '0000000000000000000?000000???000'],
    [194, 'kptr_xchg', 'any', '1111111111111111111?111111???111'],
    [195, 'map_lookup_percpu_elem', 'any', '1111111111111111111?111111???111'],
    [196, 'skc_to_mptcp_sock', 'any', '1011010101111101011?010001???110'],
    [197, 'dynptr_from_mem', 'any', '1111111111111111111?111111???111'],
    [198, 'ringbuf_reserve_dynptr', 'any', '1111111111111111111?111111???111'],
    [199, 'ringbuf_submit_dynptr', 'any', '1111111111111111111?111111???111'],
    [200, 'ringbuf_discard_dynptr', 'any', '1111111111111111111?111111???111'],
    [201, 'dynptr_read', 'any', '1111111111111111111?111111???111'],
    [202, 'dynptr_write', 'any', '1111111111111111111?111111???111'],
    [203, 'dynptr_data', 'any', '1111111111111111111?111111???111'],
    [204, 'tcp_raw_gen_syncookie_ipv4', 'gpl', '0011010000000000000?000000???000'],
    [205, 'tcp_raw_gen_syncookie_ipv6', 'gpl', '0011010000000000000?000000???000'],
    [206, 'tcp_raw_check_syncookie_ipv4', 'gpl', '0011010000000000000?000000???000'],
    [207, 'tcp_raw_check_syncookie_ipv6', 'gpl', '0011010000000000000?000000???000'],
    [208, 'ktime_get_tai_ns', 'any', '1111111111111111111?111111???111'],
    [209, 'user_ringbuf_drain', 'any', '1111111111111111111?111111???111'],
    [210, 'cgrp_storage_get', 'any', '1111111111111111111?111111???111'],
    [211, 'cgrp_storage_delete', 'any', '1111111111111111111?111111???111'],
  ]

const BY_ID: ReadonlyMap<number, Helper> = new Map(
  TABLE.map(([id, name, licence, programTypes]) => [
    id,
    { id, name, gplOnly: licence === 'gpl', programTypes },
  ]),
)

/** All helpers, by ascending id. */
export const HELPERS: readonly Helper[] = [...BY_ID.values()]

/** undefined: Linux 6.18 has no such helper. */
export function helperById(id: number): Helper | undefined {
  return BY_ID.get(id)
}

/** @param name with or without the `bpf_` */
export function helperByName(name: string): Helper | undefined {
  const bare = name.startsWith('bpf_') ? name.slice(4) : name
  return HELPERS.find((helper) => helper.name === bare)
}

const TRACING = 26
const LSM = 29

/** What LSM programs have beside the helpers of tracing programs; some in sleepable programs or those of cgroups only. */
const LSM_HELPERS: ReadonlySet<number> = new Set([
  49, 57, 81, 93, 94, 107, 108, 145, 146, 159, 161, 186, 187, 193,
])

/** What programs that implement a struct have beside the helpers of all types. */
const STRUCT_OPS_HELPERS: Readonly<Record<string, readonly number[]>> = {
  // setsockopt, getsockopt, sk_storage_get, sk_storage_delete, tcp_send_ack, ktime_get_coarse_ns
  tcp_congestion_ops: [49, 57, 107, 108, 116, 160],
}

/** Whether a struct_ops program of a struct may call a helper that not all types have; undefined: it isn't known. */
export function structOpsHelper(struct: string, member: string, id: number): boolean | undefined {
  // Congestion control that is going away may not change its socket any more.
  if (member === 'release' && (id === 49 || id === 57)) return false
  return STRUCT_OPS_HELPERS[struct]?.includes(id)
}

/**
 * Whether programs of a type may call a helper; undefined where that isn't known (lirc_mode2, struct_ops, ext, lsm).
 * A helper that every known type has is taken to be one that all have.
 *
 * @param programType BPF_PROG_TYPE_*
 */
export function helperAllowed(helper: Helper, programType: number): boolean | undefined {
  if (programType === LSM) return helper.programTypes[TRACING - 1] === '1' || LSM_HELPERS.has(helper.id)
  const answer = helper.programTypes[programType - 1]
  if (answer === '?') return helper.programTypes.includes('0') ? undefined : true
  return answer === '1'
}
