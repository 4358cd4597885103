// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Queues, stacks, bloom filters and maps of maps, as programs use them. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

/* Of linux/bpf.h, as far as kernel_types.h doesn't have them. */
enum {
  MAP_TYPE_ARRAY_OF_MAPS = 12,
  MAP_TYPE_HASH_OF_MAPS = 13,
  MAP_TYPE_QUEUE = 22,
  MAP_TYPE_STACK = 23,
  MAP_TYPE_BLOOM_FILTER = 30,
};

struct {
  __uint(type, MAP_TYPE_QUEUE);
  __uint(max_entries, 4);
  __type(value, u32);
} queue SEC(".maps");

struct {
  __uint(type, MAP_TYPE_STACK);
  __uint(max_entries, 4);
  __type(value, u32);
} stack SEC(".maps");

struct {
  __uint(type, MAP_TYPE_BLOOM_FILTER);
  __uint(max_entries, 64);
  __type(value, u32);
} filter SEC(".maps");

struct inner {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __type(key, u32);
  __type(value, u64);
};

struct {
  __uint(type, MAP_TYPE_HASH_OF_MAPS);
  __uint(max_entries, 4);
  __type(key, u32);
  __array(values, struct inner);
} outer SEC(".maps");

struct inner first SEC(".maps");
struct inner second SEC(".maps");

struct {
  __uint(type, MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 4);
  __type(key, u32);
  __array(values, struct inner);
} filled SEC(".maps") = {.values = {[1] = &first, [3] = &second}};

struct words {
  u32 in;
  s32 status;
  u32 out;
};

s32 status;
u32 out;

/* Bloom filters are not for sleepable programs, which programs of type syscall are.
 *
 * Moves a value from the queue to the stack, and puts it into the filter. */
SEC("?raw_tp/sys_enter")
int move(u64 *ctx) {
  u32 value = 0;
  status = bpf_map_pop_elem(&queue, &value);
  if (status) return 1;
  out = value;
  bpf_map_push_elem(&filter, &value, BPF_ANY);
  return bpf_map_push_elem(&stack, &value, BPF_ANY);
}

SEC("?raw_tp/sys_enter")
int look(u64 *ctx) {
  u32 value = ctx[0], top = 0;
  status = bpf_map_peek_elem(&filter, &value);
  int error = bpf_map_peek_elem(&stack, &top);
  out = top;
  return error;
}

static __always_inline int count_in(void *outer_map, u32 key) {
  u32 slot = 1;
  void *inner = bpf_map_lookup_elem(outer_map, &key);
  if (!inner) return 1;
  u64 *value = bpf_map_lookup_elem(inner, &slot);
  if (!value) return 2;
  __sync_fetch_and_add(value, 1);
  return 0;
}

/* Adds one to entry 1 of the inner map at key `in`. */
SEC("syscall")
int count(struct words *args) { return count_in(&outer, args->in); }

/* The same in the map that the object fills. */
SEC("syscall")
int count_filled(struct words *args) { return count_in(&filled, args->in); }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
