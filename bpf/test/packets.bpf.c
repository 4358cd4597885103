// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What agents do with packets: parse, count, tell, rewrite, send elsewhere. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, __u64);
} bytes_by_source SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} dropped SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} next SEC(".maps");

struct drop {
  __u32 source;
  __u16 port;
  __u16 length;
};
/* Keeps the type in the object. */
const struct drop *type_of_drops __attribute__((unused));

__u16 blocked_port = 53;
__u32 served_by = 0;

/* Where the UDP header is; 0: it is no UDP over IPv4, or isn't all there. */
static __always_inline struct udphdr *udp_of(void *data, void *end, struct iphdr **header) {
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP) return 0;
  if (ip->ihl < 5) return 0;
  struct udphdr *udp = (void *)ip + ip->ihl * 4;
  if ((void *)(udp + 1) > end) return 0;
  *header = ip;
  return udp;
}

SEC("xdp")
int firewall(struct xdp_md *ctx) {
  void *end = (void *)(long)ctx->data_end;
  void *data = (void *)(long)ctx->data;
  struct iphdr *ip = 0;
  struct udphdr *udp = udp_of(data, end, &ip);
  if (udp == 0) return XDP_PASS;
  __u32 source = bpf_ntohl(ip->saddr);
  __u64 size = end - data;
  __u64 *known = bpf_map_lookup_elem(&bytes_by_source, &source);
  if (known)
    __sync_fetch_and_add(known, size);
  else
    bpf_map_update_elem(&bytes_by_source, &source, &size, BPF_ANY);
  if (udp->dest != bpf_htons(blocked_port)) return XDP_PASS;
  struct drop *drop = bpf_ringbuf_reserve(&dropped, sizeof(*drop), 0);
  if (drop) {
    drop->source = source;
    drop->port = bpf_ntohs(udp->dest);
    drop->length = size;
    bpf_ringbuf_submit(drop, 0);
  }
  return XDP_DROP;
}

/* Takes the frame's header off, and puts one of its own and the length in front. */
SEC("xdp")
int wrap(struct xdp_md *ctx) {
  if (bpf_xdp_adjust_head(ctx, -4) != 0) return XDP_ABORTED;
  void *end = (void *)(long)ctx->data_end;
  __u8 *data = (void *)(long)ctx->data;
  if ((void *)(data + 18) > end) return XDP_DROP;
  __u16 length = end - (void *)data;
  data[0] = 0xbe;
  data[1] = 0xef;
  data[2] = length >> 8;
  data[3] = length & 0xff;
  return XDP_TX;
}

/* Programs after another on the same packet. */
SEC("xdp")
int chain(struct xdp_md *ctx) {
  if (bpf_xdp_adjust_tail(ctx, -2) != 0) return XDP_ABORTED;
  bpf_tail_call(ctx, &next, 0);
  return XDP_PASS;
}

static __noinline int write_port(struct __sk_buff *skb, __u32 offset, __u16 from, __u16 to) {
  if (bpf_l4_csum_replace(skb, offset + 6, from, to, sizeof(to) | BPF_F_MARK_MANGLED_0) != 0) return -1;
  return bpf_skb_store_bytes(skb, offset + 2, &to, sizeof(to), 0);
}

/* Destination port 80 becomes 8080, checksum and all. */
SEC("tc")
int rewrite(struct __sk_buff *skb) {
  void *end = (void *)(long)skb->data_end;
  void *data = (void *)(long)skb->data;
  struct iphdr *ip = 0;
  struct udphdr *udp = udp_of(data, end, &ip);
  skb->mark = 7;
  if (udp == 0) return TC_ACT_UNSPEC;
  if (udp->dest != bpf_htons(80)) return TC_ACT_OK;
  __u32 offset = (void *)udp - data;
  if (write_port(skb, offset, udp->dest, bpf_htons(8080)) != 0) return TC_ACT_SHOT;
  served_by++;
  return bpf_redirect(skb->ifindex, 0);
}

/* An outgoing tunnel's header, in a tag. */
SEC("tc")
int tag(struct __sk_buff *skb) {
  if (skb->vlan_present) return TC_ACT_SHOT;
  if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021AD), 5) != 0) return TC_ACT_SHOT;
  if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 6) != 0) return TC_ACT_SHOT;
  return skb->vlan_tci;
}

/* As tcpdump would have it: UDP, by classic loads; and the socket's first eight bytes of it. */
SEC("socket")
int udp_only(struct __sk_buff *skb) {
  __u8 protocol = 0;
  if (bpf_skb_load_bytes(skb, 9, &protocol, 1) != 0) return 0;
  return protocol == IPPROTO_UDP ? skb->len : 0;
}

SEC("cgroup_skb/egress")
int only_local(struct __sk_buff *skb) {
  void *end = (void *)(long)skb->data_end;
  struct iphdr *ip = (void *)(long)skb->data;
  if ((void *)(ip + 1) > end) return 0;
  return (bpf_ntohl(ip->daddr) >> 24) == 10;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
