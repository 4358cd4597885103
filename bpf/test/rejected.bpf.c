// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the verifier must refuse: a map value that is used without a test for null. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4);
  __type(key, u32);
  __type(value, u32);
} values SEC(".maps");

SEC("socket")
int careless(void *ctx) {
  u32 key = 7;
  u32 *value = bpf_map_lookup_elem(&values, &key);
  return *value;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
