// SPDX-License-Identifier: GPL-2.0 OR MIT
/* README's example: what is printed there is what is tested here. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile u32 only_uid = 0;
u64 execs = 0;
struct event { u32 pid; char comm[16]; };
struct event *unused __attribute__((unused));
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); } events SEC(".maps");

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task) {
  if ((u32)bpf_get_current_uid_gid() != only_uid) return 0;
  __sync_fetch_and_add(&execs, 1);
  struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  if (!event) return 0;
  event->pid = bpf_get_current_pid_tgid() >> 32;
  bpf_get_current_comm(event->comm, sizeof(event->comm));
  bpf_ringbuf_submit(event, 0);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
