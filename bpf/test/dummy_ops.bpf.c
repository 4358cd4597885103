// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The struct of operations that the kernel has to run such programs on demand: it is never attached. Linux 5.17. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct bpf_dummy_ops_state {
  int val;
} __attribute__((preserve_access_index));

struct bpf_dummy_ops {
  int (*test_1)(struct bpf_dummy_ops_state *state);
};

SEC("struct_ops/test_1")
int BPF_PROG(test_1, struct bpf_dummy_ops_state *state) { return state ? 1 : 42; }

SEC(".struct_ops")
struct bpf_dummy_ops dummy = {.test_1 = (void *)test_1};

char LICENSE[] SEC("license") = "Dual MIT/GPL";
