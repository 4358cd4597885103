// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the debugger is tested with: branches, a function, a callback, a tracepoint. Tests find lines by their text. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

u32 total = 0;

struct debug_context {
  u32 count;
  u32 result;
};

static __noinline u32 square(u32 value) {
  u32 product = value * value;
  total += product;
  return product;
}

SEC("syscall")
int sum_of_squares(struct debug_context *ctx) {
  u64 local = 0x1122334455667788;
  u32 sum = 0;
  barrier_var(local);
  *(volatile u64 *)&local = local;
  for (u32 i = 1; i <= ctx->count && i < 100; i++) {
    sum += square(i);
  }
  if (sum > 1000)
    total = 0;
  ctx->result = sum;
  return 0;
}

static long visit(u32 index, void *context) {
  total += index;
  return 0;
}

SEC("syscall")
int with_callback(void *ctx) {
  bpf_loop(3, visit, NULL, 0);
  return 0;
}

SEC("raw_tp/debug_event")
int on_event(u64 *args) {
  total = args[0];
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
