// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Perf event array and user ring buffer, on demand: for the native kernel. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

struct bpf_dynptr {
  __u64 opaque[2];
} __attribute__((aligned(8)));

struct {
  __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  __uint(key_size, 4);
  __uint(value_size, 4);
} perf SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_USER_RINGBUF);
  __uint(max_entries, 4096);
} commands SEC(".maps");

struct record {
  u32 number;
  char text[12];
};
struct record *unused_record __attribute__((unused));

struct send_args {
  u32 first;
  u32 count;
  /* Out: records that found no room. */
  u32 dropped;
};

struct state {
  void *ctx;
  u32 first;
  u32 dropped;
};

static long send_one(u32 i, struct state *state) {
  struct record record = {.number = state->first + i, .text = "perf"};
  if (bpf_perf_event_output(state->ctx, &perf, BPF_F_CURRENT_CPU, &record, sizeof(record))) state->dropped++;
  return 0;
}

/* raw_tp: one of few types that run on demand and may write to a perf event array. */
struct raw_args {
  u64 args[2];
};

u32 dropped = 0;

SEC("raw_tp/sys_enter")
int send(struct raw_args *ctx) {
  struct state state = {.ctx = ctx, .first = ctx->args[0]};
  bpf_loop(ctx->args[1], send_one, &state, 0);
  dropped += state.dropped;
  return 0;
}

struct command {
  u32 verb;
  u32 argument;
};
struct command *unused_command __attribute__((unused));

u64 sum = 0;
u32 last_verb = 0;
u32 bad = 0;

static long on_command(struct bpf_dynptr *dynptr, void *ctx) {
  struct command command;
  if (bpf_dynptr_read(&command, sizeof(command), dynptr, 0, 0)) {
    bad++;
    return 0;
  }
  last_verb = command.verb;
  sum += command.argument;
  return 0;
}

SEC("syscall")
int drain(void *ctx) {
  return bpf_user_ringbuf_drain(&commands, on_command, NULL, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
