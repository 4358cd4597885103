// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What no verifier lets pass: programs for the sandbox, which says where they went wrong. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4);
  __type(key, u32);
  __type(value, u64);
} values SEC(".maps");

struct unverified_context {
  u64 number;
};

SEC("syscall")
int follows_number(struct unverified_context *ctx) {
  u64 *anywhere = (u64 *)ctx->number;
  *anywhere = 0x41; /* writes where it was told */
  return 0;
}

SEC("syscall")
int unchecked_lookup(struct unverified_context *ctx) {
  u32 key = ctx->number;
  u64 *value = bpf_map_lookup_elem(&values, &key);
  return *value; /* never asks whether there is one */
}

SEC("syscall")
int out_of_bounds(struct unverified_context *ctx) {
  u64 *value = bpf_map_lookup_elem(&values, &(u32){0});
  if (value)
    value[ctx->number] = 1; /* steps over the end */
  return 0;
}

SEC("syscall")
int for_ever(struct unverified_context *ctx) {
  while (ctx->number == *(volatile u64 *)&ctx->number)
    ctx->number = ctx->number; /* turns round */
  return 0;
}

SEC("syscall")
int bad_key(struct unverified_context *ctx) {
  return bpf_map_lookup_elem(&values, (void *)ctx->number) != NULL; /* a key from nowhere */
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
