// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Values that belong to tasks: Linux 5.11. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

enum { BPF_MAP_TYPE_TASK_STORAGE = 29, BPF_F_NO_PREALLOC = 1 };

struct visits {
  u64 count;
  u32 mark;
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct visits);
} storage SEC(".maps");

struct arguments {
  u64 args[2];
};

/* Counts calls of the current task. @returns how many, or -1: it has no value. */
SEC("raw_tp/sys_enter")
int visit(struct arguments *ctx) {
  struct visits *visits = bpf_task_storage_get(&storage, bpf_get_current_task_btf(), NULL, ctx->args[0]);
  return visits ? ++visits->count : -1;
}

/* The same, with a value to begin with. */
SEC("raw_tp/sys_enter")
int visit_from(struct arguments *ctx) {
  struct visits first = {.count = ctx->args[1], .mark = 7};
  struct visits *visits = bpf_task_storage_get(&storage, bpf_get_current_task_btf(), &first, ctx->args[0]);
  return visits ? ++visits->count * 100 + visits->mark : -1;
}

SEC("raw_tp/sys_enter")
int forget(struct arguments *ctx) { return bpf_task_storage_delete(&storage, bpf_get_current_task_btf()); }

/* What was deleted can be used until the program ends. */
SEC("raw_tp/sys_enter")
int forget_late(struct arguments *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct visits *visits = bpf_task_storage_get(&storage, task, NULL, 0);
  if (!visits) return -1;
  bpf_task_storage_delete(&storage, task);
  return ++visits->count;
}

char LICENSE[] SEC("license") = "GPL";
