// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Every process that starts and exits.
 *
 * BTF-typed raw tracepoints: they need neither tracefs nor kprobes, and exist since Linux 5.5. The ring buffer is Linux 5.8.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "execsnoop.h"

/* include/linux/sched/signal.h: the whole thread group exits with group_exit_code. */
#define SIGNAL_GROUP_EXIT 0x00000004

#define NO_UID ((u32)-1)

/* Configuration, set before the program is loaded. */
const volatile u64 min_duration_ns = 0; /* exits of processes that lived for less are not sent */
const volatile u32 target_pid = 0;      /* 0: every process */
const volatile bool filter_tree = false; /* only the processes in `tree`, and whatever they fork */
const volatile u32 target_uid = NO_UID;

/* Read while it runs. */
u64 lost_events = 0; /* events for which the ring had no room */

/* When a process started, by pid. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, u32);
  __type(value, u64);
} starts SEC(".maps");

/* The processes to follow, by pid. User space puts the root in; forks follow by themselves. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, u32);
  __type(value, u8);
} tree SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} events SEC(".maps");

/* Names the event's type in BTF, so that user space can decode it. */
struct event *unused_event __attribute__((unused));

static __always_inline bool wanted(struct task_struct *task, u32 pid) {
  if (target_pid && pid != target_pid) return false;
  if (target_uid != NO_UID && BPF_CORE_READ(task, real_cred, uid.val) != target_uid) return false;
  if (filter_tree && !bpf_map_lookup_elem(&tree, &pid)) return false;
  return true;
}

static __always_inline struct event *reserve_event(struct task_struct *task, u32 kind, u32 pid, u64 now) {
  struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  if (!event) {
    __sync_fetch_and_add(&lost_events, 1);
    return NULL;
  }
  event->time_ns = now;
  event->duration_ns = 0;
  event->kind = kind;
  event->pid = pid;
  event->ppid = BPF_CORE_READ(task, real_parent, tgid);
  event->uid = BPF_CORE_READ(task, real_cred, uid.val);
  event->exit_code = 0;
  event->filename_len = 0;
  event->args_len = 0;
  event->filename[0] = '\0';
  event->args[0] = '\0';
  BPF_CORE_READ_STR_INTO(&event->comm, task, comm);
  return event;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(handle_fork, struct task_struct *parent, struct task_struct *child) {
  u32 pid = BPF_CORE_READ(child, tgid);
  if (pid != (u32)BPF_CORE_READ(child, pid)) return 0; /* a thread, not a process */

  if (filter_tree) {
    u32 parent_pid = BPF_CORE_READ(parent, tgid);
    u8 member = 1;
    if (!bpf_map_lookup_elem(&tree, &parent_pid)) return 0;
    bpf_map_update_elem(&tree, &pid, &member, BPF_ANY);
  }

  u64 now = bpf_ktime_get_ns();
  bpf_map_update_elem(&starts, &pid, &now, BPF_ANY);
  if (!wanted(child, pid)) return 0;

  struct event *event = reserve_event(child, EVENT_FORK, pid, now);
  if (event) bpf_ringbuf_submit(event, 0);
  return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(handle_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm) {
  u32 pid = BPF_CORE_READ(task, tgid);
  if (!wanted(task, pid)) return 0;

  u64 now = bpf_ktime_get_ns();
  bpf_map_update_elem(&starts, &pid, &now, BPF_NOEXIST);

  struct event *event = reserve_event(task, EVENT_EXEC, pid, now);
  if (!event) return 0;

  long length = bpf_probe_read_kernel_str(event->filename, sizeof(event->filename), BPF_CORE_READ(bprm, filename));
  if (length > 0) event->filename_len = length - 1;

  unsigned long start = BPF_CORE_READ(task, mm, arg_start);
  u64 size = BPF_CORE_READ(task, mm, arg_end) - start;
  if (size > sizeof(event->args)) size = sizeof(event->args);
  if (bpf_probe_read_user(event->args, size, (void *)start) == 0) event->args_len = size;

  bpf_ringbuf_submit(event, 0);
  return 0;
}

/* As wait() computes it: a group exit counts for all; else what the leader said. */
static __always_inline u32 exit_code_of(struct task_struct *task) {
  if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT) return BPF_CORE_READ(task, signal, group_exit_code);
  return BPF_CORE_READ(task, group_leader, exit_code);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(handle_exit, struct task_struct *task) {
  /* The last thread to leave has brought the count of live threads down to 0. */
  if (BPF_CORE_READ(task, signal, live.counter) != 0) return 0;

  u32 pid = BPF_CORE_READ(task, tgid);
  bool send = wanted(task, pid);
  if (filter_tree) bpf_map_delete_elem(&tree, &pid);

  u64 now = bpf_ktime_get_ns();
  u64 *started = bpf_map_lookup_elem(&starts, &pid);
  u64 duration = now - (started ? *started : BPF_CORE_READ(task, group_leader, start_time));
  /* Two threads that leave together may both see 0 live ones: the one that takes the entry away speaks for both. */
  if (bpf_map_delete_elem(&starts, &pid) != 0 && started) return 0;
  if (!send || duration < min_duration_ns) return 0;

  struct event *event = reserve_event(task, EVENT_EXIT, pid, now);
  if (!event) return 0;
  event->duration_ns = duration;
  event->exit_code = exit_code_of(task);
  bpf_ringbuf_submit(event, 0);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
