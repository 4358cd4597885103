// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What is configured between open and load, and only Linux has: pins, templates of inner maps, functions as targets. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct inner {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 2);
  __type(key, __u32);
  __array(values, struct inner);
} outer SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
  __type(key, __u32);
  __type(value, __u64);
} pinned SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
  __uint(max_entries, 16);
  __uint(map_extra, 3);
  __type(value, __u64);
} bloom SEC(".maps");

__u64 total = 0;

SEC("syscall")
int count(__u32 *ctx) {
  total += *ctx;
  return 0;
}

SEC("fentry")
int BPF_PROG(traced, int value) { return 0; }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
