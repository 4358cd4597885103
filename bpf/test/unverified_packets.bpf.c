// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs with packets that no verifier lets pass: what they do with contexts and packets, and where the sandbox stops them. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
} kept SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} next SEC(".maps");

/* What a test sets. */
__s64 distance = 0;
__u64 seen = 0;

SEC("xdp")
int looks_behind_end(struct xdp_md *ctx) {
  __u8 *end = (__u8 *)(long)ctx->data_end;
  return end[distance]; /* looks behind */
}

SEC("xdp")
int writes_behind_end(struct xdp_md *ctx) {
  __u8 *end = (__u8 *)(long)ctx->data_end;
  end[distance] = 1; /* writes behind */
  return XDP_PASS;
}

SEC("xdp")
int writes_to_field(struct xdp_md *ctx) {
  ctx->data = 0x1234; /* moves the packet */
  return XDP_PASS;
}

SEC("xdp")
int goes_through_context(struct xdp_md *ctx) {
  return *(__u32 *)((__u8 *)ctx + distance); /* any field */
}

SEC("xdp")
int trusts_old_pointers(struct xdp_md *ctx) {
  __u8 *data = (__u8 *)(long)ctx->data;
  __u8 first = *data;
  if (bpf_xdp_adjust_head(ctx, distance)) return XDP_ABORTED;
  return *(volatile __u8 *)data + 0 * first; /* lies elsewhere by now */
}

SEC("tc")
int trusts_old_tail(struct __sk_buff *skb) {
  volatile __u8 *data = (__u8 *)(long)skb->data;
  __u8 first = *data;
  if (bpf_skb_change_tail(skb, 9000, 0)) return TC_ACT_SHOT;
  return *data + 0 * first; /* lies elsewhere by now */
}

/* The context goes through a map, where no verifier follows it. */
SEC("tc")
int keeps_context(struct __sk_buff *skb) {
  __u32 key = 0;
  __u64 *place = bpf_map_lookup_elem(&kept, &key);
  if (!place) return TC_ACT_SHOT;
  *(volatile __u64 *)place = (__u64)skb;
  volatile struct __sk_buff *again = (volatile struct __sk_buff *)*(volatile __u64 *)place;
  again->mark = 7;
  again->queue_mapping = 0x12345678;
  __u8 *data = (__u8 *)(long)again->data;
  seen = data[1];
  return again->len;
}

SEC("xdp")
int finds_old_context(struct xdp_md *ctx) {
  __u32 key = 0;
  __u64 *place = bpf_map_lookup_elem(&kept, &key);
  return place ? ((struct __sk_buff *)*place)->len : 0; /* of another run */
}

SEC("tc")
int either_of_two(struct __sk_buff *skb) {
  __u32 other[48] = {[0] = 77};
  struct __sk_buff *one = distance ? skb : (struct __sk_buff *)other;
  asm volatile("" : "+r"(one));
  return one->len; /* whose? */
}

static __noinline __u32 far_away(__u64 a, __u64 b, __u64 c, __u64 d, struct xdp_md *ctx) {
  asm volatile("" : "+r"(ctx));
  if (distance) return *(__u32 *)((__u8 *)ctx + a + b + c + d); /* sums up */
  return *(__u8 *)(long)ctx->data;
}

SEC("xdp")
int calls_with_context(struct xdp_md *ctx) {
  return far_away(1, 2, 3, 5, ctx);
}

static long from_callback(__u64 index, struct __sk_buff **where) {
  seen += (*where)->len;
  return 0;
}

SEC("tc")
int calls_back(struct __sk_buff *skb) {
  struct __sk_buff *where = skb;
  bpf_loop(3, from_callback, &where, 0);
  return seen;
}

SEC("tc")
int goes_on(struct __sk_buff *skb) {
  return *(__u8 *)(long)skb->data; /* whose packet? */
}

SEC("tc")
int passes_stack_on(struct __sk_buff *skb) {
  __u64 room[8] = {};
  asm volatile("" : : "r"(room) : "memory");
  bpf_tail_call(distance ? (void *)skb : (void *)room, &next, 0);
  return TC_ACT_SHOT;
}

SEC("tc")
int context_for_key(struct __sk_buff *skb) {
  return bpf_map_lookup_elem(&kept, skb) != 0; /* no key */
}

SEC("tc")
int adds_to_field(struct __sk_buff *skb) {
  __sync_fetch_and_add(&skb->mark, 1); /* at once */
  return 0;
}

SEC("socket")
int never_ends(struct __sk_buff *skb) {
  while (skb->len == *(volatile __u32 *)&skb->len)
    ; /* turns round */
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
