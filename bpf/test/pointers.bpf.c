// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs that go wrong with contexts, maps and values, each refused at load; and their neighbours, which are fine. Linux 6.12. */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum { BPF_F_RDONLY_PROG = 1 << 7, BPF_F_WRONLY_PROG = 1 << 8 };

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4);
  __type(key, u32);
  __type(value, u64);
} values SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4);
  __type(key, u32);
  __type(value, u64);
} pairs SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4);
  __uint(map_flags, BPF_F_RDONLY_PROG);
  __type(key, u32);
  __type(value, u64);
} constants SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4);
  __uint(map_flags, BPF_F_WRONLY_PROG);
  __type(key, u32);
  __type(value, u64);
} results SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} ring SEC(".maps");

const volatile bool has_fourth = false;
u64 out = 0;

SEC("?syscall")
int update_read_only(void *ctx) {
  u32 key = 0;
  u64 value = 5;
  return bpf_map_update_elem(&constants, &key, &value, BPF_ANY);
}

SEC("?syscall")
int store_read_only(void *ctx) {
  u32 key = 0;
  u64 *value = bpf_map_lookup_elem(&constants, &key);
  if (value) *value = 5;
  return 0;
}

SEC("?syscall")
int load_write_only(void *ctx) {
  u32 key = 0;
  u64 *value = bpf_map_lookup_elem(&results, &key);
  if (value) out = *value;
  return 0;
}

SEC("?syscall")
int behind_value(void *ctx) {
  u32 key = 0;
  u64 *value = bpf_map_lookup_elem(&values, &key);
  if (value) value[1] = 77;
  return 0;
}

SEC("?syscall")
int before_value(void *ctx) {
  u32 key = 1;
  u64 *value = bpf_map_lookup_elem(&values, &key);
  if (value) value[-1] = 77;
  return 0;
}

SEC("?syscall")
int unchecked(void *ctx) {
  u32 key = 9;
  u64 *value = bpf_map_lookup_elem(&pairs, &key);
  out = *value;
  return 0;
}

SEC("?syscall")
int times_three(u64 *ctx) {
  u32 key = 0;
  u64 *value = bpf_map_lookup_elem(&values, &key);
  if (value) ctx[0] = (u64)value * 3;
  return 0;
}

SEC("?syscall")
int output_to_array(void *ctx) {
  u32 word = 0;
  return bpf_ringbuf_output(&values, &word, sizeof(word), 0);
}

SEC("?syscall")
int look_up_ring(void *ctx) {
  u32 key = 0;
  return bpf_map_lookup_elem(&ring, &key) != 0;
}

SEC("?syscall")
int per_cpu_of_hash(void *ctx) {
  u32 key = 0;
  return bpf_map_lookup_percpu_elem(&pairs, &key, 0) != 0;
}

SEC("?syscall")
int reserve_variable(u64 *ctx) {
  void *record = bpf_ringbuf_reserve(&ring, ctx[0], 0);
  if (record) bpf_ringbuf_discard(record, 0);
  return 0;
}

SEC("?syscall")
int follow_number(void *ctx) {
  struct task_struct *task = (void *)bpf_get_current_task();
  out = task->pid;
  return 0;
}

SEC("?raw_tp/sched_process_exec")
int follow_raw_argument(u64 *ctx) {
  struct task_struct *task = (void *)ctx[0];
  out = task->pid;
  return 0;
}

SEC("?tp_btf/sched_process_exec")
int sleep_in_tracepoint(u64 *ctx) {
  u64 word;
  return bpf_copy_from_user(&word, sizeof(word), (void *)0x1000);
}

SEC("?tp_btf/sched_process_exec")
int fourth_of_three(u64 *ctx) {
  out = ctx[3];
  return 0;
}

SEC("?tp_btf/sched_process_exec")
int half_argument(u64 *ctx) {
  out = *(volatile u32 *)ctx;
  return 0;
}

SEC("?tp_btf/sched_process_exec")
int store_argument(u64 *ctx) {
  ctx[0] = 5;
  return 0;
}

SEC("?raw_tp/sched_process_exec")
int beyond_all_arguments(u64 *ctx) {
  out = ctx[12];
  return 0;
}

SEC("?syscall")
int misaligned_context(void *ctx) {
  *(volatile u64 *)((char *)ctx + 4) = 1;
  return 0;
}

SEC("?syscall")
int atomic_context(u64 *ctx) {
  return __sync_fetch_and_add(ctx, 1);
}

/* A step into the neighbour's value that only running shows; Linux says so at load. */
SEC("?syscall")
int variable_step(u64 *ctx) {
  u32 key = 0;
  u64 *value = bpf_map_lookup_elem(&values, &key);
  if (value) value[ctx[0]] = 77;
  return 0;
}

SEC("?syscall")
int keep_reserved(u64 *ctx) {
  u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);
  return record != 0;
}

static long two(u32 index, void *data) { return 2; }

SEC("?syscall")
int callback_answers_two(void *ctx) { return bpf_loop(3, two, 0, 0); }

/* From here on nothing is wrong. */

static __noinline int second_word(u64 *ctx) { return ctx[1]; }

SEC("syscall")
int context_in_function(u64 *ctx) { return second_word(ctx); }

SEC("syscall")
int checked(u64 *ctx) {
  u32 key = ctx[0];
  u64 *value = bpf_map_lookup_elem(&values, &key);
  u64 *other = bpf_map_lookup_elem(&pairs, &key);
  if (!value || (other && *other == 9)) return 1;
  *value += 1;
  value = bpf_map_lookup_elem(&results, &key);
  if (value) *value = 3;
  value = bpf_map_lookup_elem(&constants, &key);
  return value ? *value : 2;
}

SEC("syscall")
int constant_by_comparison(u64 *ctx) {
  u64 size = ctx[0];
  if (size != 16) return 1;
  void *record = bpf_ringbuf_reserve(&ring, size, 0);
  if (record) bpf_ringbuf_submit(record, 0);
  return 0;
}

/* Key and flags in, the errors of an array and of a hash out. */
SEC("syscall")
int update_with(u64 *ctx) {
  u32 key = ctx[0];
  u64 value = 1;
  u64 flags = ctx[1];
  ctx[2] = (s64)(s32)bpf_map_update_elem(&values, &key, &value, flags);
  ctx[3] = (s64)(s32)bpf_map_update_elem(&pairs, &key, &value, flags);
  return 0;
}

SEC("raw_tp/sched_process_exec")
int read_through_helper(u64 *ctx) {
  struct task_struct *task = (void *)ctx[0];
  out = *(volatile u32 *)ctx + BPF_CORE_READ(task, pid);
  task = (void *)bpf_get_current_task();
  out += BPF_CORE_READ(task, pid);
  return 0;
}

/* Never reached: a constant closes the way. */
SEC("tp_btf/sched_process_exec")
int closed_branch(u64 *ctx) {
  if (has_fourth) out = ctx[3];
  return 0;
}

SEC("?raw_tp/sched_process_exec")
int more_than_it_has(u64 *ctx) {
  out = ctx[7];
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
