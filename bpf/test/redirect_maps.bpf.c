// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Verdicts of XDP programs that send packets through maps: Linux 5.8, with programs in values 5.9. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u32);
} devices SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, struct bpf_devmap_val);
} named_devices SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_CPUMAP);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u32);
} cpus SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

__u64 key;
__u64 flags;

SEC("xdp")
int to_device(struct xdp_md *ctx) { return bpf_redirect_map(&devices, key, flags); }

SEC("xdp")
int to_named_device(struct xdp_md *ctx) { return bpf_redirect_map(&named_devices, key, flags); }

SEC("xdp")
int to_cpu(struct xdp_md *ctx) { return bpf_redirect_map(&cpus, key, flags); }

SEC("xdp")
int to_socket(struct xdp_md *ctx) { return bpf_redirect_map(&sockets, key, flags); }

/* Programs may look at devices, and ask whether there is a socket. */
SEC("xdp")
int look(struct xdp_md *ctx) {
  __u32 wanted = key;
  __u32 *device = bpf_map_lookup_elem(&devices, &wanted);
  struct bpf_devmap_val *named = bpf_map_lookup_elem(&named_devices, &wanted);
  return (device ? *device : 0) + (named ? 100 * named->ifindex + named->bpf_prog.id : 0) +
         (bpf_map_lookup_elem(&sockets, &wanted) ? 10000 : 0);
}

SEC("xdp")
int to_interface(struct xdp_md *ctx) { return bpf_redirect(key, flags); }

SEC("tc")
int tc_interface(struct __sk_buff *skb) { return bpf_redirect(key, flags); }

SEC("tc")
int tc_peer(struct __sk_buff *skb) { return bpf_redirect_peer(key, flags); }

SEC("tc")
int tc_neighbour(struct __sk_buff *skb) { return bpf_redirect_neigh(key, NULL, 0, flags); }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
