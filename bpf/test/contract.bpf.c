// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What both kernels must do alike. Programs of type `syscall` run on demand (Linux 5.14), with a context of our own. */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct pair {
  s32 left;
  u64 right;
  char label[8];
};

const volatile u32 limit = 3;
const volatile char greeting[8] = "hello";
const volatile struct pair preset = {.left = -1, .right = 1ULL << 40, .label = "preset"};
u64 runs = 0;
u64 lost = 0;
s32 balance = -7;
bool flag = true;
u32 seen_pid = 0;
char seen_comm[TASK_COMM_LEN] = "";
u32 tree_root = 0;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4);
  __type(key, u32);
  __type(value, u64);
} counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 3);
  __type(key, u32);
  __type(value, struct pair);
} pairs SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} ring SEC(".maps");

struct sample {
  u64 sequence;
  u32 square;
  char tag[4];
};
struct sample *unused_sample __attribute__((unused));

struct bump_args {
  u32 key;
  u32 delta;
  u64 total; /* out */
};

SEC("syscall")
int bump(struct bump_args *args) {
  u32 key = args->key;
  u64 *value = bpf_map_lookup_elem(&counters, &key);
  u64 total = args->delta;
  if (value) total += *value;
  long error = bpf_map_update_elem(&counters, &key, &total, BPF_ANY);
  args->total = total;
  __sync_fetch_and_add(&runs, 1);
  return error;
}

SEC("syscall")
int forget(struct bump_args *args) {
  u32 key = args->key;
  return bpf_map_delete_elem(&counters, &key);
}

struct produce_args {
  u32 first;
  u32 count;
};

SEC("syscall")
int produce(struct produce_args *args) {
  u32 count = args->count, sent = 0;
  for (u32 i = 0; i < 1024; i++) {
    if (i >= count) break;
    struct sample *sample = bpf_ringbuf_reserve(&ring, sizeof(*sample), 0);
    if (!sample) {
      lost++;
      continue;
    }
    u32 sequence = args->first + i;
    sample->sequence = sequence;
    sample->square = sequence * sequence;
    sample->tag[0] = 't';
    sample->tag[1] = '0' + sequence % 10;
    sample->tag[2] = 0;
    sample->tag[3] = 0;
    bpf_ringbuf_submit(sample, 0);
    sent++;
  }
  return sent;
}

/* Reserved and given back: a reader must never see it. */
SEC("syscall")
int discard(void *ctx) {
  struct sample *sample = bpf_ringbuf_reserve(&ring, sizeof(*sample), 0);
  if (!sample) return 1;
  sample->sequence = 666;
  bpf_ringbuf_discard(sample, 0);
  return 0;
}

/* A record shorter than `struct sample`. */
SEC("syscall")
int short_record(void *ctx) {
  u32 word = 42;
  return bpf_ringbuf_output(&ring, &word, sizeof(word), 0);
}

static __noinline u64 triangle(u64 n) {
  u64 sum = 0;
  for (u64 i = 1; i <= 100; i++) {
    if (i > n) break;
    sum += i;
  }
  return sum;
}

struct compute_args {
  u64 left;
  u64 right;
  u64 quotient;
  u64 remainder;
  s64 signed_shift;
  u64 triangle;
  u32 swapped;
  u32 limit;
};

SEC("syscall")
int compute(struct compute_args *args) {
  u64 left = args->left, right = args->right;
  args->quotient = left / right;
  args->remainder = left % right;
  args->signed_shift = (s64)left >> (right & 63);
  args->triangle = triangle(right & 127);
  args->swapped = __builtin_bswap32((u32)left);
  args->limit = limit;
  return (u32)(left ^ right);
}

SEC("syscall")
int update_pair(struct pair *args) {
  u32 slot = 1;
  struct pair *pair = bpf_map_lookup_elem(&pairs, &slot);
  if (!pair) return 1;
  pair->left += args->left;
  pair->right = args->right;
  __builtin_memcpy(pair->label, args->label, sizeof(pair->label));
  return 0;
}

/* Fires when a child of tree_root executes something. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm) {
  if (!tree_root || (u32)BPF_CORE_READ(task, real_parent, tgid) != tree_root) return 0;
  seen_pid = BPF_CORE_READ(task, tgid);
  bpf_get_current_comm(seen_comm, sizeof(seen_comm));
  return 0;
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(optional, struct task_struct *task) {
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
