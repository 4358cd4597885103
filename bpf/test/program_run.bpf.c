// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs to be run on demand: one for each kind of input. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* What the programs saw, and how often. */
__u64 arguments[2];
__u32 cpu;
__u32 runs;

SEC("xdp")
int xdp_context(struct xdp_md *ctx) {
  runs++;
  return ctx->ingress_ifindex == 0 ? XDP_DROP : XDP_PASS;
}

/* Eight bytes in front of the packet, which the caller sees by the context. */
SEC("xdp")
int xdp_metadata(struct xdp_md *ctx) {
  if (bpf_xdp_adjust_head(ctx, -8) != 0) return XDP_ABORTED;
  return XDP_PASS;
}

/* For live frames: nothing gets any further. */
SEC("xdp")
int xdp_live(struct xdp_md *ctx) {
  __sync_fetch_and_add(&runs, 1);
  return XDP_DROP;
}

SEC("tc")
int skb_context(struct __sk_buff *skb) {
  skb->cb[1] = skb->cb[0] + 1;
  skb->mark = skb->mark * 2;
  return skb->len;
}

SEC("socket")
int filter(struct __sk_buff *skb) { return skb->len; }

SEC("sk_lookup")
int lookup(struct bpf_sk_lookup *ctx) { return ctx->local_port == 7 ? SK_PASS : SK_DROP; }

SEC("raw_tp/sys_enter")
int BPF_PROG(on_cpu, long first, long second) {
  arguments[0] = first;
  arguments[1] = second;
  cpu = bpf_get_smp_processor_id();
  return 0;
}

struct request {
  __u32 number;
  char name[12];
  __u64 answer;
};

SEC("syscall")
int answer(struct request *ctx) {
  ctx->answer = ctx->number * 6;
  ctx->name[0] = 'X';
  return 3;
}

/* A context that says nothing of itself. */
SEC("syscall")
int nameless(void *ctx) { return 0; }

/* Can't be run on demand. */
SEC("?cgroup/dev")
int not_runnable(struct bpf_cgroup_dev_ctx *ctx) { return 1; }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
