// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What programs do with a user ring buffer and with dynptrs: Linux 6.1. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

struct bpf_dynptr {
  __u64 opaque[2];
} __attribute__((aligned(8)));

struct {
  __uint(type, BPF_MAP_TYPE_USER_RINGBUF);
  __uint(max_entries, 4096);
} commands SEC(".maps");

struct drained {
  u64 flags;
  u32 stop_at;
  u32 offset;
  /* Out. */
  s32 result;
  u32 seen;
  s32 read, written;
  u32 sum, viewed;
};

static long on_command(struct bpf_dynptr *dynptr, struct drained *drained) {
  u32 value = 0;
  u32 *view;
  drained->seen++;
  drained->read = bpf_dynptr_read(&value, sizeof(value), dynptr, drained->offset, 0);
  drained->sum += value;
  value++;
  drained->written = bpf_dynptr_write(dynptr, drained->offset, &value, sizeof(value), 0);
  view = bpf_dynptr_data(dynptr, 0, sizeof(*view));
  if (view) drained->viewed += *view;
  return drained->seen == drained->stop_at;
}

SEC("syscall")
int drain(struct drained *args) {
  struct drained drained = {.flags = args->flags, .stop_at = args->stop_at, .offset = args->offset};
  drained.result = bpf_user_ringbuf_drain(&commands, on_command, &drained, drained.flags);
  *args = drained;
  return 0;
}

struct local {
  u64 flags;
  u64 read_flags;
  u32 size;
  u32 offset;
  /* Out. */
  s32 made, read, written;
  u32 value;
  u32 is_null;
};

u8 memory[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

SEC("syscall")
int local_memory(struct local *args) {
  struct bpf_dynptr dynptr;
  u32 value = 0;
  u32 size = args->size;
  if (size > sizeof(memory)) size = sizeof(memory);
  args->made = bpf_dynptr_from_mem(memory, size, args->flags, &dynptr);
  args->read = bpf_dynptr_read(&value, sizeof(value), &dynptr, args->offset, args->read_flags);
  args->value = value;
  value = 0xffffffff;
  args->written = bpf_dynptr_write(&dynptr, args->offset, &value, sizeof(value), args->read_flags);
  args->is_null = !bpf_dynptr_data(&dynptr, 8, 4);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
