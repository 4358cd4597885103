// cflags: -g0
// SPDX-License-Identifier: GPL-2.0 OR MIT
/* A map whose definition is in type information that isn't there. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, u32);
} map SEC(".maps");

SEC("syscall")
int look(void *ctx) {
  u32 key = 0;
  return bpf_map_lookup_elem(&map, &key) != NULL;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
