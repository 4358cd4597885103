// SPDX-License-Identifier: GPL-2.0 OR MIT
/* One map of each kind that the addon treats differently, and programs that are run on data. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u64);
} hash SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 3);
  __type(key, __u32);
  __type(value, __u8[12]);
} mapped SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u32);
} percpu SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_QUEUE);
  __uint(max_entries, 4);
  __type(value, __u32);
} queue SEC(".maps");

struct locked {
  struct bpf_spin_lock lock;
  __u32 value;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct locked);
} locked SEC(".maps");

const volatile __u32 step = 1;
__u32 counter = 0;

/* Counts in global data, and answers the count. */
SEC("syscall")
int count(__u32 *ctx) {
  counter += step;
  *ctx = counter;
  return counter;
}

/* Drops packets whose first byte is 0xff; writes to the others. */
SEC("xdp")
int packet(struct xdp_md *ctx) {
  __u8 *data = (__u8 *)(long)ctx->data;
  if (data + 14 > (__u8 *)(long)ctx->data_end) return 0;
  if (data[0] == 0xff) return 1;
  data[1] = 0x42;
  return 2;
}

SEC("?raw_tp/sys_enter")
int spare(void *ctx) { return 0; }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
