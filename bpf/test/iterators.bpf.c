// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Iterators: over tasks, over the elements of a map, over cgroups; and one that writes more than a page. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
  struct seq_file *seq;
  __u64 session_id;
  __u64 seq_num;
};

struct task_struct {
  int pid;
  int tgid;
  char comm[16];
};

struct kernfs_node {
  __u64 id;
};

struct cgroup {
  struct kernfs_node *kn;
};

struct bpf_iter__task {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
};

struct bpf_iter__bpf_map_elem {
  struct bpf_iter_meta *meta;
  void *map;
  __u32 *key;
  __u64 *value;
};

struct bpf_iter__bpf_sk_storage_map {
  struct bpf_iter_meta *meta;
  void *map;
  void *sk;
  __u64 *value;
};

struct bpf_iter__cgroup {
  struct bpf_iter_meta *meta;
  struct cgroup *cgroup;
};

#pragma clang attribute pop

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, __u64);
} numbers SEC(".maps");

SEC("?iter/task")
int dump_task(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!task) return 0;
  BPF_SEQ_PRINTF(ctx->meta->seq, "%d %d %s\n", task->tgid, task->pid, task->comm);
  return 0;
}

SEC("?iter/task")
int dump_task_again(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!task) return 0;
  BPF_SEQ_PRINTF(ctx->meta->seq, "again %d\n", task->tgid);
  return 0;
}

SEC("?iter/bpf_map_elem")
int dump_element(struct bpf_iter__bpf_map_elem *ctx) {
  struct {
    __u64 key;
    __u64 value;
  } record = {};
  __u32 *key = ctx->key;
  __u64 *value = ctx->value;
  if (!key || !value) return 0;
  record.key = *key;
  record.value = *value;
  bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
  return 0;
}

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, __u64);
} per_socket SEC(".maps");

SEC("?iter/bpf_sk_storage_map")
int dump_socket(struct bpf_iter__bpf_sk_storage_map *ctx) {
  __u64 *value = ctx->value;
  if (!ctx->sk || !value) return 0;
  BPF_SEQ_PRINTF(ctx->meta->seq, "%llu\n", *value);
  return 0;
}

SEC("?iter/cgroup")
int dump_cgroup(struct bpf_iter__cgroup *ctx) {
  struct cgroup *cgroup = ctx->cgroup;
  if (!cgroup) return 0;
  BPF_SEQ_PRINTF(ctx->meta->seq, "%llu\n", cgroup->kn->id);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
