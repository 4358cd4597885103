// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs and a map that take more of a machine than capabilities: each something else. */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} pinned SEC(".maps");

/* Without a type: libbpf looks its address up. */
extern const void do_sys_openat2 __ksym;

__u64 address = 0;
__u64 pointed = 0;

SEC("tp/sched/sched_process_fork")
int on_fork(void *ctx) { return 0; }

SEC("kprobe/do_sys_openat2")
int on_open(struct pt_regs *ctx) { return 0; }

SEC("lsm/file_open")
int BPF_PROG(on_file_open) { return 0; }

SEC("raw_tp/sched_process_fork")
int sees_address(void *ctx) {
  address = (__u64)&do_sys_openat2;
  return 0;
}

static __noinline int read_kernel(void *from) { return bpf_probe_read_kernel(&pointed, sizeof(pointed), from); }

SEC("raw_tp/sched_process_fork")
int reads_kernel(struct bpf_raw_tracepoint_args *ctx) { return read_kernel((void *)ctx->args[0]); }

SEC("raw_tp/sched_process_fork")
int writes_user(struct bpf_raw_tracepoint_args *ctx) {
  return bpf_probe_write_user((void *)0, &pointed, sizeof(pointed));
}

SEC("socket")
int for_everybody(struct __sk_buff *skb) { return 0; }

SEC("cgroup_skb/egress")
int of_cgroup(struct __sk_buff *skb) { return 1; }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
