// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs that call the kernel's functions and refer to its variables: those that Linux takes, and those that it refuses. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#ifndef bpf_ksym_exists
#define bpf_ksym_exists(sym) (!!sym)
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cgroup_subsys_state;

struct css_set {
  struct cgroup *dfl_cgrp;
};

struct task_struct {
  int pid;
  int tgid;
  struct task_struct *real_parent;
  struct css_set *cgroups;
};

struct cgroup {
  int level;
};

struct rq {
  int cpu;
};

struct bpf_cpumask {
  unsigned long usage;
};

struct cpumask;

#pragma clang attribute pop

struct bpf_iter_num {
  __u64 opaque[1];
} __attribute__((aligned(8)));

struct bpf_iter_task {
  __u64 opaque[3];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *p) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;
extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
extern void bpf_cpumask_set_cpu(__u32 cpu, struct bpf_cpumask *cpumask) __ksym;
extern void bpf_cpumask_release(struct bpf_cpumask *cpumask) __ksym;
extern int bpf_dynptr_from_skb(struct __sk_buff *s, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 offset, void *buffer, __u32 buffer__szk) __ksym;
extern int bpf_copy_from_user_str(void *dst, __u32 dst__sz, const void *unsafe_ptr__ign, __u64 flags) __ksym;
extern void no_such_function(void) __ksym __weak;

/* Older libbpf has other names. */
#define REFERENCED __attribute__((btf_type_tag("kptr")))
#define UNREFERENCED __attribute__((btf_type_tag("kptr_untrusted")))

struct held {
  struct task_struct REFERENCED *task;
  struct task_struct UNREFERENCED *seen;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, int);
  __type(value, struct held);
} holder SEC(".maps");

extern const struct rq runqueues __ksym;
extern const int cpu_number __ksym __weak;
extern const void schedule __ksym;

__u64 out;
int values[16];
char text[32];

/* What Linux takes. */

SEC("raw_tp/sched_switch")
int sums(void *ctx) {
  struct bpf_iter_num it;
  __u64 sum = 0;
  int *i;

  bpf_iter_num_new(&it, 0, 1000);
  while ((i = bpf_iter_num_next(&it))) {
    if (*i >= 0 && *i < 16) sum += values[*i];
  }
  bpf_iter_num_destroy(&it);
  out = sum;
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(acquires, struct task_struct *parent, struct task_struct *child) {
  struct task_struct *task = bpf_task_acquire(child);
  if (!task) return 0;
  out = task->pid;
  bpf_task_release(task);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(under_rcu, struct task_struct *parent, struct task_struct *child) {
  struct task_struct *task;
  bpf_rcu_read_lock();
  task = bpf_task_acquire(child->real_parent);
  bpf_rcu_read_unlock();
  if (task) bpf_task_release(task);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(finds, struct task_struct *parent, struct task_struct *child) {
  struct task_struct *task = bpf_task_from_pid(1);
  struct cgroup *cgroup = bpf_cgroup_from_id(1);
  if (task) bpf_task_release(task);
  if (!cgroup) return 0;
  out = cgroup->level;
  bpf_cgroup_release(cgroup);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(masks, struct task_struct *parent, struct task_struct *child) {
  struct bpf_cpumask *mask = bpf_cpumask_create();
  if (!mask) return 0;
  bpf_cpumask_set_cpu(0, mask);
  bpf_cpumask_release(mask);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(walks_tasks, struct task_struct *parent, struct task_struct *child) {
  struct bpf_iter_task it;
  struct task_struct *task;
  bpf_rcu_read_lock();
  bpf_iter_task_new(&it, NULL, 0);
  while ((task = bpf_iter_task_next(&it))) out += task->pid;
  bpf_iter_task_destroy(&it);
  bpf_rcu_read_unlock();
  return 0;
}

SEC("tc")
int slices(struct __sk_buff *skb) {
  struct bpf_dynptr packet;
  char buffer[14];
  char *header;
  if (bpf_dynptr_from_skb(skb, 0, &packet)) return 0;
  header = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
  if (header) out = header[13];
  return 0;
}

SEC("raw_tp/sched_switch")
int per_cpu(void *ctx) {
  struct rq *mine = bpf_this_cpu_ptr(&runqueues);
  struct rq *other = bpf_per_cpu_ptr(&runqueues, 1);
  out = mine->cpu;
  if (other) out += other->cpu;
  return 0;
}

SEC("raw_tp/sched_switch")
int addresses(void *ctx) {
  out = (__u64)&schedule;
  if (bpf_ksym_exists(no_such_function)) no_such_function();
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(exchanges, struct task_struct *parent, struct task_struct *child) {
  struct held *held = bpf_map_lookup_elem(&holder, &(int){0});
  struct task_struct *task;
  if (!held) return 0;
  held->seen = parent;
  task = bpf_task_acquire(child);
  if (!task) return 0;
  task = bpf_kptr_xchg(&held->task, task);
  if (task) bpf_task_release(task);
  task = held->task;
  if (task) out = task->pid;
  return 0;
}

/* What it refuses. */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(forgets_exchanged, struct task_struct *parent, struct task_struct *child) {
  struct held *held = bpf_map_lookup_elem(&holder, &(int){0});
  if (held) bpf_kptr_xchg(&held->task, NULL);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(stores_referenced, struct task_struct *parent, struct task_struct *child) {
  struct held *held = bpf_map_lookup_elem(&holder, &(int){0});
  if (held) held->task = child;
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(puts_borrowed, struct task_struct *parent, struct task_struct *child) {
  struct held *held = bpf_map_lookup_elem(&holder, &(int){0});
  struct task_struct *task;
  if (!held) return 0;
  task = bpf_kptr_xchg(&held->task, child);
  if (task) bpf_task_release(task);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(acquires_seen, struct task_struct *parent, struct task_struct *child) {
  struct held *held = bpf_map_lookup_elem(&holder, &(int){0});
  struct task_struct *task = held ? held->seen : NULL;
  if (!task) return 0;
  task = bpf_task_acquire(task);
  if (task) bpf_task_release(task);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(half_kptr, struct task_struct *parent, struct task_struct *child) {
  struct held *held = bpf_map_lookup_elem(&holder, &(int){0});
  if (held) out = *(volatile int *)&held->task;
  return 0;
}


SEC("tp_btf/sched_process_fork")
int BPF_PROG(keeps, struct task_struct *parent, struct task_struct *child) {
  struct task_struct *task = bpf_task_acquire(child);
  if (task) out = task->pid;
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(releases_borrowed, struct task_struct *parent, struct task_struct *child) {
  bpf_task_release(child);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(unchecked_release, struct task_struct *parent, struct task_struct *child) {
  bpf_task_release(bpf_task_acquire(child));
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(use_after_release, struct task_struct *parent, struct task_struct *child) {
  struct task_struct *task = bpf_task_acquire(child);
  if (!task) return 0;
  bpf_task_release(task);
  out = task->pid;
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(releases_wrong, struct task_struct *parent, struct task_struct *child) {
  struct cgroup *cgroup = bpf_cgroup_from_id(1);
  if (cgroup) bpf_task_release((void *)cgroup);
  return 0;
}

SEC("raw_tp/sched_switch")
int not_destroyed(void *ctx) {
  struct bpf_iter_num it;
  bpf_iter_num_new(&it, 0, 10);
  return 0;
}

SEC("raw_tp/sched_switch")
int not_made(void *ctx) {
  struct bpf_iter_num it;
  bpf_iter_num_next(&it);
  return 0;
}

SEC("raw_tp/sched_switch")
int made_twice(void *ctx) {
  struct bpf_iter_num it;
  bpf_iter_num_new(&it, 0, 10);
  bpf_iter_num_new(&it, 0, 10);
  bpf_iter_num_destroy(&it);
  return 0;
}

SEC("raw_tp/sched_switch")
int beyond_array(void *ctx) {
  struct bpf_iter_num it;
  int *i;
  bpf_iter_num_new(&it, 0, 16);
  while ((i = bpf_iter_num_next(&it))) out += values[*i];
  bpf_iter_num_destroy(&it);
  return 0;
}

SEC("raw_tp/sched_switch")
int locked_at_exit(void *ctx) {
  bpf_rcu_read_lock();
  return 0;
}

SEC("raw_tp/sched_switch")
int unlocks_twice(void *ctx) {
  bpf_rcu_read_lock();
  bpf_rcu_read_unlock();
  bpf_rcu_read_unlock();
  return 0;
}

SEC("raw_tp/sched_switch")
int not_preempted(void *ctx) {
  bpf_preempt_disable();
  return 0;
}

SEC("raw_tp/sched_switch")
int not_in_raw_tracepoints(void *ctx) {
  struct task_struct *task = bpf_task_from_pid(1);
  if (task) bpf_task_release(task);
  return 0;
}

SEC("raw_tp/sched_switch")
int sleeps(void *ctx) {
  return bpf_copy_from_user_str(text, sizeof(text), ctx, 0);
}

SEC("tc")
int variable_slice(struct __sk_buff *skb) {
  struct bpf_dynptr packet;
  char *header;
  if (bpf_dynptr_from_skb(skb, 0, &packet)) return 0;
  header = bpf_dynptr_slice(&packet, 0, NULL, skb->len & 15);
  if (header) out = *header;
  return 0;
}

SEC("raw_tp/sched_switch")
int writes_variable(void *ctx) {
  struct rq *mine = bpf_this_cpu_ptr(&runqueues);
  mine->cpu = 1;
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
