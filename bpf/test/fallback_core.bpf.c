// SPDX-License-Identifier: GPL-2.0 OR MIT
/* CO-RE and raw tracepoints in the simulated kernel: `probe_outer` is a tracepoint that a test defines. */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile bool use_missing = false;

enum stage { STAGE_FIRST = 3, STAGE_SECOND = 5 };

struct inner {
  u16 small;
  u32 list[4];
} __attribute__((preserve_access_index));

struct outer {
  u32 number;
  struct inner inner;
  union {
    u32 either;
    u64 wide;
  };
  u32 flag_a : 3;
  u32 flag_b : 7;
  s32 level : 5;
  struct outer *next;
} __attribute__((preserve_access_index));

struct outer___later {
  u64 extra;
} __attribute__((preserve_access_index));

struct gone {
  u32 x;
} __attribute__((preserve_access_index));

u64 found[12];

SEC("tp_btf/probe_outer")
int BPF_PROG(read_outer, struct outer *outer) {
  found[0] = outer->number;
  found[1] = outer->inner.small;
  found[2] = outer->inner.list[2];
  found[3] = outer->wide;
  found[4] = BPF_CORE_READ_BITFIELD(outer, flag_b);
  found[5] = BPF_CORE_READ_BITFIELD(outer, level);
  found[6] = outer->next->next->number;
  found[7] = bpf_core_field_size(outer->inner);
  found[8] = bpf_core_type_exists(struct gone);
  found[9] = bpf_core_enum_value_exists(enum stage, STAGE_SECOND) ? bpf_core_enum_value(enum stage, STAGE_SECOND) : 0;
  struct outer___later *later = (void *)outer;
  found[10] = bpf_core_field_exists(later->extra) ? later->extra : 99;
  found[11] = bpf_core_type_size(struct outer);
  return 7;
}

/* Reads what only some targets have, without asking: an error there, unless a constant rules it out. */
SEC("?tp_btf/probe_outer")
int BPF_PROG(read_missing, struct outer *outer) {
  struct outer___later *later = (void *)outer;
  if (use_missing) found[10] = later->extra;
  return 0;
}

u64 raw[3];

SEC("raw_tp/sched_process_exit")
int raw_exit(u64 *ctx) {
  struct task_struct *task = (void *)ctx[0];
  raw[0] = BPF_CORE_READ(task, pid);
  raw[1] = ctx[1];
  raw[2] = bpf_get_current_pid_tgid();
  return 0;
}

SEC("raw_tp")
int raw_sum(u64 *ctx) {
  return ctx[0] + ctx[1];
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
