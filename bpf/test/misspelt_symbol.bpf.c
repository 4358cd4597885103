// SPDX-License-Identifier: GPL-2.0 OR MIT
/* A symbol that no kernel has, a slip away from one that every kernel has. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

extern const void do_sys_openat9 __ksym;

__u64 address = 0;

SEC("raw_tp/sched_process_fork")
int symbol(void *ctx) {
  address = (__u64)&do_sys_openat9;
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
