/**
 * BPF link types, and what Linux calls the parts of them.
 *
 * Source: `enum bpf_link_type`, `enum bpf_perf_event_type` and `enum bpf_cgroup_iter_order` of linux/bpf.h (Linux 6.18).
 */

/** Names of BPF_LINK_TYPE_*, by number, as bpftool prints them. */
export const LINK_TYPES = [
  'unspec', 'raw_tracepoint', 'tracing', 'cgroup', 'iter', 'netns', 'xdp', 'perf_event', 'kprobe_multi', 'struct_ops',
  'netfilter', 'tcx', 'uprobe_multi', 'netkit', 'sockmap',
] as const // prettier-ignore

export type LinkTypeName = (typeof LINK_TYPES)[number]

/** Names of BPF_PERF_EVENT_*, by number: what a `perf_event` link is over. */
export const PERF_LINK_EVENTS = [
  'unspec',
  'uprobe',
  'uretprobe',
  'kprobe',
  'kretprobe',
  'tracepoint',
  'event',
] as const

/** Orders of a walk over cgroups, by the number of BPF_CGROUP_ITER_*. */
export const CGROUP_ORDERS = ['unspec', 'self', 'descendantsPre', 'descendantsPost', 'ancestorsUp'] as const

/** BPF_F_KPROBE_MULTI_RETURN and BPF_F_UPROBE_MULTI_RETURN. */
export const MULTI_RETURN = 1
