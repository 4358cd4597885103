// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Records for perf event arrays: many of them, for any slot, and with the packet that the program looks at. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  __uint(key_size, 4);
  __uint(value_size, 4);
} perf SEC(".maps");

struct record {
  __u32 number;
  char text[12];
};
struct record *unused_record __attribute__((unused));

struct state {
  void *ctx;
  __u32 first;
  __u32 dropped;
};

static long send_one(__u32 i, struct state *state) {
  struct record record = {.number = state->first + i, .text = "perf"};
  if (bpf_perf_event_output(state->ctx, &perf, BPF_F_CURRENT_CPU, &record, sizeof(record))) state->dropped++;
  return 0;
}

__u32 dropped = 0;

/* raw_tp: one of few types that run on demand and may write to a perf event array. */
SEC("raw_tp/sys_enter")
int send(struct bpf_raw_tracepoint_args *ctx) {
  struct state state = {.ctx = ctx, .first = ctx->args[0]};
  bpf_loop(ctx->args[1], send_one, &state, 0);
  dropped += state.dropped;
  return 0;
}

/* One record with flags of one's own: what the helper says. */
SEC("raw_tp/sys_enter")
int send_to(struct bpf_raw_tracepoint_args *ctx) {
  struct record record = {.number = 7, .text = "one"};
  __u64 size = ctx->args[1];
  if (size > sizeof(record)) return 1;
  return bpf_perf_event_output(ctx, &perf, ctx->args[0], &record, size);
}

__u64 packet_flags = 0;

SEC("xdp.frags")
int capture(struct xdp_md *ctx) {
  __u32 length = ctx->data_end - ctx->data;
  return bpf_perf_event_output(ctx, &perf, packet_flags | BPF_F_CURRENT_CPU, &length, sizeof(length));
}

SEC("tc")
int capture_skb(struct __sk_buff *skb) {
  __u32 length = skb->len;
  return bpf_perf_event_output(skb, &perf, packet_flags | BPF_F_CURRENT_CPU, &length, sizeof(length));
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
