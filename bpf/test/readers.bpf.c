// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What readers read: several rings with drop counters. Runs on both kernels, on demand. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

#include "libbpf_node/drops.h"

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} events SEC(".maps");
LIBBPF_NODE_DROPS(events);

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} logs SEC(".maps");
LIBBPF_NODE_DROPS(logs);

/* No drop counter: it has another layout. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, u32);
  __type(value, u64);
} pairs SEC(".maps");

struct event {
  u64 number;
  u64 square;
};
struct event *unused_event __attribute__((unused));

struct log_line {
  u32 level;
  char text[12];
};
struct log_line *unused_log_line __attribute__((unused));

struct send_args {
  u32 first;
  u32 count;
};

static long send_event(u32 i, u32 *first) {
  struct event *event = libbpf_node_reserve(events, sizeof(*event), 0);
  if (!event) return 0;
  event->number = *first + i;
  event->square = event->number * event->number;
  bpf_ringbuf_submit(event, 0);
  return 0;
}

SEC("syscall")
int send_events(struct send_args *args) {
  u32 first = args->first;
  bpf_loop(args->count, send_event, &first, 0);
  return 0;
}

static long send_log(u32 i, u32 *first) {
  struct log_line line = {.level = *first + i, .text = "hello"};
  libbpf_node_output(logs, &line, sizeof(line), 0);
  return 0;
}

SEC("syscall")
int send_logs(struct send_args *args) {
  u32 first = args->first;
  bpf_loop(args->count, send_log, &first, 0);
  return 0;
}

SEC("syscall")
int print(struct send_args *args) {
  bpf_printk("number %u of %u", args->first, args->count);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
