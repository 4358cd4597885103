// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The common mistakes, one a program: what a verifier says of them is explained with a hint. Each is switched on alone. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

enum { XDP_DROP = 1, XDP_PASS = 2 };

/* include/uapi/linux/bpf.h */
struct xdp_md {
  u32 data;
  u32 data_end;
  u32 data_meta;
  u32 ingress_ifindex;
  u32 rx_queue_index;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4);
  __type(key, u32);
  __type(value, u64[8]);
} table SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} ring SEC(".maps");

SEC("?xdp")
int no_null_check(struct xdp_md *ctx) {
  u32 key = ctx->rx_queue_index;
  u64 *value = bpf_map_lookup_elem(&table, &key);
  *value = 1;
  return XDP_PASS;
}

SEC("?xdp")
int no_packet_check(struct xdp_md *ctx) {
  u8 *data = (void *)(long)ctx->data;
  u8 *end = (void *)(long)ctx->data_end;
  if (data + 12 > end) return XDP_PASS;
  return data[12] == 8 ? XDP_DROP : XDP_PASS;
}

SEC("?xdp")
int no_bound(struct xdp_md *ctx) {
  u32 key = 0;
  u64 *value = bpf_map_lookup_elem(&table, &key);
  if (!value) return XDP_PASS;
  u32 index = ctx->rx_queue_index;
  if (index > 8) return XDP_PASS;
  value[index] += 1;
  return XDP_PASS;
}

SEC("?xdp")
int not_released(struct xdp_md *ctx) {
  u64 *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
  if (!record) return XDP_PASS;
  *record = ctx->rx_queue_index;
  if (ctx->ingress_ifindex == 1) return XDP_DROP;
  bpf_ringbuf_submit(record, 0);
  return XDP_PASS;
}

SEC("?xdp")
int no_end(struct xdp_md *ctx) {
  u32 key = 0;
  volatile u64 *value = bpf_map_lookup_elem(&table, &key);
  if (!value) return XDP_PASS;
  while (*value != 7)
    ;
  return XDP_PASS;
}

SEC("?xdp")
int wrong_helper(struct xdp_md *ctx) {
  char name[16];
  bpf_sys_close(0);
  return bpf_sys_bpf(0, name, sizeof(name)) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
