// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Tail calls: through the limit, from functions, into programs that were put into the array at load. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

u32 entered = 0;
u32 mark = 0;
/* The compiler doesn't know what calls that come back answer. */
u32 failed = 2;

/* Arguments of a raw tracepoint. */
struct call_context {
  u64 index;
};

int leaf(struct call_context *ctx);

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 4);
  __uint(key_size, sizeof(u32));
  __array(values, int(struct call_context *));
} jumps SEC(".maps") = {.values = {[1] = (void *)&leaf}};

SEC("raw_tp/sys_enter")
int leaf(struct call_context *ctx) {
  mark = 7;
  return 42;
}

/* Goes on where the call fails. */
SEC("raw_tp/sys_enter")
int jump(struct call_context *ctx) {
  entered++;
  bpf_tail_call(ctx, &jumps, ctx->index);
  return 1;
}

static __noinline int jump_from_function(struct call_context *ctx) {
  entered++;
  bpf_tail_call(ctx, &jumps, ctx->index);
  return failed;
}

/* The function's frame is what the target takes over: its answer comes back here. */
SEC("raw_tp/sys_enter")
int call_jumper(struct call_context *ctx) {
  volatile u32 kept = 1000;
  int answer = jump_from_function(ctx);
  return answer + kept;
}

SEC("socket")
int other_type(void *ctx) {
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
