// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Counts the samples of the process under test and of others, in the kernel and outside: whom an event is limited to is the event's affair. */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile __u32 target_tgid = 0;

__u64 own = 0;
__u64 of_others = 0;
__u64 in_kernel = 0;
__u64 in_user = 0;
__u64 last_address = 0;

SEC("perf_event")
int on_sample(struct bpf_perf_event_data *ctx) {
  const __u64 address = PT_REGS_IP(&ctx->regs);
  __sync_fetch_and_add(bpf_get_current_pid_tgid() >> 32 == target_tgid ? &own : &of_others, 1);
  __sync_fetch_and_add((__s64)address < 0 ? &in_kernel : &in_user, 1);
  last_address = address;
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
