// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Kernel functions that both kernels have: open-coded iterators over numbers (Linux 6.4), sections of RCU (6.2), tasks (6.2). */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

/* libbpf 1.1 has no bpf_ksym_exists() yet: a weak function that isn't there has no address. */
struct bpf_iter_num {
  u64 opaque[1];
} __attribute__((aligned(8)));

int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym __weak;
int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym __weak;
void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym __weak;
void bpf_rcu_read_lock(void) __ksym __weak;
void bpf_rcu_read_unlock(void) __ksym __weak;
struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
void bpf_task_release(struct task_struct *p) __ksym __weak;
int bpf_no_such_function(void) __ksym __weak;

struct numbers {
  s32 start, end;
  s32 error;
  u32 count;
  s64 sum;
};

SEC("syscall")
int sum_numbers(struct numbers *numbers) {
  struct bpf_iter_num it;
  s64 sum = 0;
  u32 count = 0;
  int *number;
  numbers->error = bpf_iter_num_new(&it, numbers->start, numbers->end);
  while ((number = bpf_iter_num_next(&it))) {
    sum += *number;
    count++;
  }
  bpf_iter_num_destroy(&it);
  numbers->sum = sum;
  numbers->count = count;
  return 0;
}

/* Loops in loops, over the same numbers as the array's indices. */
SEC("syscall")
int multiply_table(struct numbers *numbers) {
  struct bpf_iter_num rows, columns;
  u64 sum = 0;
  int *row, *column;
  bpf_iter_num_new(&rows, 1, 11);
  while ((row = bpf_iter_num_next(&rows))) {
    u32 factor = *row;
    bpf_iter_num_new(&columns, 1, 11);
    while ((column = bpf_iter_num_next(&columns))) sum += factor * (u32)*column;
    bpf_iter_num_destroy(&columns);
  }
  bpf_iter_num_destroy(&rows);
  numbers->sum = sum;
  return 0;
}

SEC("syscall")
int look_for_task(struct numbers *numbers) {
  struct task_struct *task = bpf_task_from_pid(numbers->start);
  numbers->count = 0;
  if (task) {
    bpf_rcu_read_lock();
    numbers->count = task->pid;
    bpf_rcu_read_unlock();
    bpf_task_release(task);
  }
  return 0;
}

SEC("syscall")
int ask_for_functions(void *ctx) {
  int known = 0;
  if (&bpf_iter_num_new) known |= 1;
  if (&bpf_no_such_function) known |= 2 | bpf_no_such_function();
  return known;
}

char LICENSE[] SEC("license") = "GPL";
