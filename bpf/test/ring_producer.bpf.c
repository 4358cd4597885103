// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Fills a ring buffer on demand: the addon's ring tests run it and read what comes. bpf_loop() is Linux 5.17. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

#define MAX_RECORD 16384

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 64 << 10);
} ring SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, u8[MAX_RECORD]);
} source SEC(".maps");

struct produce_args {
  u32 first;
  u32 count;
  u32 size;
  /* Out: records that found no room. */
  u32 dropped;
};

struct state {
  u8 *bytes;
  u32 first;
  u32 size;
  u32 dropped;
};

static long produce_one(u32 i, struct state *state) {
  u8 *bytes = state->bytes;
  u32 size = state->size;
  if (size < sizeof(u32)) return 1;
  /* Two comparisons, not one of `size - 4` in another register: Linux 6.12 learns nothing about `size` from that, 6.18 does. */
  barrier_var(size);
  if (size > MAX_RECORD) return 1;
  *(u32 *)bytes = state->first + i;
  if (bpf_ringbuf_output(&ring, bytes, size, 0)) state->dropped++;
  return 0;
}

/* Sends `count` records of `size` bytes, each of which starts with a number of its own. */
SEC("syscall")
int produce(struct produce_args *args) {
  u32 zero = 0;
  struct state state = {.first = args->first, .size = args->size};
  state.bytes = bpf_map_lookup_elem(&source, &zero);
  if (!state.bytes || args->count > 10000) return -1;
  /* A loop in the program itself would have the verifier walk through each of its rounds. */
  bpf_loop(args->count, produce_one, &state, 0);
  args->dropped = state.dropped;
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
