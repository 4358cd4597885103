// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs for places that no kernel has, each a slip away from one that every kernel has. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("?fentry/do_sys_openat9")
int entry(void *ctx) { return 0; }

SEC("?fexit/vfs_unlnk")
int at_exit(void *ctx) { return 0; }

SEC("?lsm/file_opne")
int hook(void *ctx) { return 0; }

SEC("?tp_btf/sched_process_frok")
int tracepoint(void *ctx) { return 0; }

SEC("?iter/bpf_mapp")
int iterator(void *ctx) { return 0; }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
