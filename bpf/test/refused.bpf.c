// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs that no kernel takes; each is switched on alone. */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

SEC("?sysfall/typo")
int unknown_section(void *ctx) {
  return 0;
}

/* Falls through its end. */
SEC("?socket")
__attribute__((naked)) int no_exit(void *ctx) {
  asm volatile("r0 = 0;");
}

/* bpf_sys_bpf() is a helper of syscall programs alone. */
SEC("?socket")
int wrong_helper(struct __sk_buff *skb) {
  u32 word = 0;
  bpf_sys_bpf(0, &word, sizeof(word));
  return word;
}

struct no_such_struct {
  int member;
} __attribute__((preserve_access_index));

/* Asks for a struct that no kernel has. */
SEC("?raw_tp/sched_process_exec")
int no_such_type(void *ctx) {
  struct no_such_struct *unknown = ctx;
  return BPF_CORE_READ(unknown, member);
}

SEC("?tp_btf/sched_process_exeg")
int no_such_tracepoint(void *ctx) {
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
