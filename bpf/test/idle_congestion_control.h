/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A TCP congestion control that does as little as one may: nobody uses it unless a socket asks for it by its name. */
#ifndef IDLE_CONGESTION_CONTROL_H
#define IDLE_CONGESTION_CONTROL_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define TCP_CA_NAME_MAX 16

struct sock {
} __attribute__((preserve_access_index));

/* Sockets that began to use it. */
__u64 started = 0;

struct tcp_congestion_ops {
  void (*init)(struct sock *sk);
  __u32 (*ssthresh)(struct sock *sk);
  void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
  __u32 (*undo_cwnd)(struct sock *sk);
  char name[TCP_CA_NAME_MAX];
};

SEC("struct_ops/init")
void BPF_PROG(init, struct sock *sk) { __sync_fetch_and_add(&started, 1); }

SEC("struct_ops/ssthresh")
__u32 BPF_PROG(ssthresh, struct sock *sk) { return 2; }

SEC("struct_ops/cong_avoid")
void BPF_PROG(cong_avoid, struct sock *sk, __u32 ack, __u32 acked) {}

SEC("struct_ops/undo_cwnd")
__u32 BPF_PROG(undo_cwnd, struct sock *sk) { return 2; }

#define IDLE_CONGESTION_CONTROL(its_name) \
  {.init = (void *)init, .ssthresh = (void *)ssthresh, .cong_avoid = (void *)cong_avoid, .undo_cwnd = (void *)undo_cwnd, .name = its_name}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#endif
