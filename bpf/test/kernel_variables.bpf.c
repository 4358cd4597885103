// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Variables of the kernel: per-CPU ones by their types, others by their addresses alone. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

struct rq {
  int cpu;
} __attribute__((preserve_access_index));

/* The queue of tasks that each CPU has. */
extern const struct rq runqueues __ksym;
/* Since Linux 6.15 again. */
extern const int cpu_number __ksym __weak;
extern const void schedule __ksym;
extern const int no_such_variable __ksym __weak;
extern const void no_such_address __ksym __weak;

/* Only a simulated kernel has these. */
struct simulated_table {
  int size;
  struct simulated_table *next;
} __attribute__((preserve_access_index));
extern const struct simulated_table simulated_table __ksym __weak;
extern const u64 simulated_limit __ksym __weak;

struct answers {
  u32 cpu;
  /* Whether there is such a CPU, and what it and this one are called. */
  u32 exists;
  s32 theirs;
  s32 mine;
  s32 number;
};

struct addresses {
  u64 schedule;
  /* How many of the variables that there aren't. */
  u64 missing;
};

SEC("syscall")
int ask(struct answers *answers) {
  struct rq *theirs = bpf_per_cpu_ptr(&runqueues, answers->cpu);
  struct rq *mine = bpf_this_cpu_ptr(&runqueues);
  answers->exists = theirs != NULL;
  if (theirs) answers->theirs = theirs->cpu;
  answers->mine = mine->cpu;
  answers->number = -1;
  if (&cpu_number) {
    const int *number = bpf_per_cpu_ptr(&cpu_number, answers->cpu);
    if (number) answers->number = *number;
  }
  return 0;
}

SEC("syscall")
int ask_addresses(struct addresses *addresses) {
  addresses->schedule = (u64)&schedule;
  addresses->missing = (&no_such_variable == NULL) + (&no_such_address == NULL);
  return 0;
}

SEC("syscall")
int ask_simulated(u64 *numbers) {
  numbers[0] = &simulated_limit ? simulated_limit : 0;
  numbers[1] = numbers[2] = 0;
  if (&simulated_table) {
    struct simulated_table *next = simulated_table.next;
    numbers[1] = simulated_table.size;
    /* A pointer that points nowhere reads as 0. */
    numbers[2] = next->size;
  }
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
