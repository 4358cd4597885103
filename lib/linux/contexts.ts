/**
 * Contexts of program types that are part of Linux's stable interface, member by member: what BPF_PROG_TEST_RUN takes where an object's own
 * types don't tell. Programs often declare only the members that they use.
 *
 * Source: `struct __sk_buff`, `xdp_md` and `bpf_sk_lookup` of linux/bpf.h (Linux 6.18). Members are only ever appended.
 */

/** Scalars by member, in order: `'u32'`, `'u32[4]'`. Laid out as C does. */
export type ContextLayout = Readonly<Record<string, string>>

export const CONTEXTS: Readonly<Record<string, ContextLayout>> = {
  xdp_md: {
    data: 'u32',
    data_end: 'u32',
    data_meta: 'u32',
    ingress_ifindex: 'u32',
    rx_queue_index: 'u32',
    egress_ifindex: 'u32',
  },
  __sk_buff: {
    len: 'u32',
    pkt_type: 'u32',
    mark: 'u32',
    queue_mapping: 'u32',
    protocol: 'u32',
    vlan_present: 'u32',
    vlan_tci: 'u32',
    vlan_proto: 'u32',
    priority: 'u32',
    ingress_ifindex: 'u32',
    ifindex: 'u32',
    tc_index: 'u32',
    cb: 'u32[5]',
    hash: 'u32',
    tc_classid: 'u32',
    data: 'u32',
    data_end: 'u32',
    napi_id: 'u32',
    family: 'u32',
    remote_ip4: 'u32',
    local_ip4: 'u32',
    remote_ip6: 'u32[4]',
    local_ip6: 'u32[4]',
    remote_port: 'u32',
    local_port: 'u32',
    data_meta: 'u32',
    flow_keys: 'u64',
    tstamp: 'u64',
    wire_len: 'u32',
    gso_segs: 'u32',
    sk: 'u64',
    gso_size: 'u32',
    tstamp_type: 'u8',
    hwtstamp: 'u64',
  },
  bpf_sk_lookup: {
    /** Of the socket that was chosen. In the kernel's header, a union with `sk`. */
    cookie: 'u64',
    family: 'u32',
    protocol: 'u32',
    remote_ip4: 'u32',
    remote_ip6: 'u32[4]',
    remote_port: 'u16',
    local_ip4: 'u32',
    local_ip6: 'u32[4]',
    local_port: 'u32',
    ingress_ifindex: 'u32',
  },
}
