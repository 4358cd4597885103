// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Fills a ring buffer as fast as it can: what readers are measured with. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 16 << 20);
} ring SEC(".maps");

u64 sent = 0;
u64 lost = 0;

/* 64 bytes, 9 fields: what tools like execsnoop send. */
struct record64 {
  u64 time_ns;
  u64 sequence;
  u64 duration_ns;
  u32 pid;
  u32 ppid;
  u32 uid;
  s32 exit_code;
  char comm[16];
  u64 cgroup;
};
struct record64 *unused_record __attribute__((unused));

struct flood_args {
  u32 count;
};

static long send_one(u32 index, void *ctx) {
  struct record64 *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
  if (!record) {
    __sync_fetch_and_add(&lost, 1);
    return 0;
  }
  u64 sequence = __sync_fetch_and_add(&sent, 1);
  record->time_ns = 1000000 + sequence;
  record->sequence = sequence;
  record->duration_ns = index;
  record->pid = 1000 + (index & 0xff);
  record->ppid = 1;
  record->uid = 1000;
  record->exit_code = -1;
  __builtin_memcpy(record->comm, "worker-process", 15);
  record->comm[7] = 'a' + (index & 7);
  record->comm[15] = 0;
  record->cgroup = 42;
  bpf_ringbuf_submit(record, 0);
  return 0;
}

SEC("syscall")
int flood(struct flood_args *args) {
  bpf_loop(args->count, send_one, NULL, 0);
  return 0;
}

struct record16 {
  u64 sequence;
  u64 value;
};

static long send_small(u32 index, void *ctx) {
  struct record16 *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
  if (!record) {
    __sync_fetch_and_add(&lost, 1);
    return 0;
  }
  record->sequence = __sync_fetch_and_add(&sent, 1);
  record->value = index;
  bpf_ringbuf_submit(record, 0);
  return 0;
}

SEC("syscall")
int flood16(struct flood_args *args) {
  bpf_loop(args->count, send_small, NULL, 0);
  return 0;
}

/* One record with the time at which it was sent. */
SEC("syscall")
int pulse(void *ctx) {
  struct record16 *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
  if (!record) return 1;
  record->sequence = __sync_fetch_and_add(&sent, 1);
  record->value = bpf_ktime_get_ns();
  bpf_ringbuf_submit(record, 0);
  return 0;
}

struct {
  __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  __uint(key_size, 4);
  __uint(value_size, 4);
} perf SEC(".maps");

static long send_perf(u32 index, void **ctx) {
  struct record64 record = {.duration_ns = index, .pid = 1000, .comm = "worker-process"};
  if (bpf_perf_event_output(*ctx, &perf, BPF_F_CURRENT_CPU, &record, sizeof(record)))
    __sync_fetch_and_add(&lost, 1);
  else
    __sync_fetch_and_add(&sent, 1);
  return 0;
}

/* Of the types that run on demand, one that may write to a perf event array. Its arguments: the count. */
SEC("raw_tp/sys_enter")
int flood_perf(u64 *args) {
  void *ctx = args;
  bpf_loop(args[0], send_perf, &ctx, 0);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
