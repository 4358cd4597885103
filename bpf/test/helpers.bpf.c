// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Maps and helpers as programs see them, run on demand; answers come back in the context. Linux 5.17. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

struct bpf_map;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 2);
  __type(key, u32);
  __type(value, u64);
} pair SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 100);
  __type(key, u32);
  __type(value, u64);
} many SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, u32);
  __type(value, u64);
} slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 8);
  __type(key, u32);
  __type(value, u64);
} cpus SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} ring SEC(".maps");

const volatile char alphabet[] = "abcdefgh";

struct answers {
  s64 a;
  s64 b;
  s64 c;
  s64 d;
};

/* Also answers: a context can't be written by a helper. */
char text[32];
char cut[4];

/*
 * Before Linux 6.4, map operations answered an int, whose upper half a program must not look at. The same cast is needed wherever
 * an error is stored in 64 bits.
 */
static __always_inline s64 error_of(long result) { return (s32)result; }

/* A pointer from before an update goes on showing the old value. */
SEC("syscall")
int stale_pointer(struct answers *ctx) {
  u32 key = 1;
  u64 first = 10, second = 20;
  bpf_map_update_elem(&pair, &key, &first, BPF_ANY);
  u64 *old = bpf_map_lookup_elem(&pair, &key);
  if (!old) return 1;
  ctx->a = error_of(bpf_map_update_elem(&pair, &key, &second, BPF_ANY));
  ctx->b = *old;
  u64 *new = bpf_map_lookup_elem(&pair, &key);
  if (!new) return 2;
  ctx->c = *new;
  ctx->d = error_of(bpf_map_update_elem(&pair, &key, &second, 3));
  return 0;
}

SEC("syscall")
int count_here(struct answers *ctx) {
  u32 key = 1;
  u64 one = 1;
  u64 *slot = bpf_map_lookup_elem(&slots, &key);
  if (!slot) return 1;
  *slot += 1;
  u64 *mine = bpf_map_lookup_elem(&cpus, &key);
  if (mine) *mine += 1;
  else bpf_map_update_elem(&cpus, &key, &one, BPF_NOEXIST);
  return 0;
}

static long add_up(struct bpf_map *map, u32 *key, u64 *value, struct answers *sum) {
  sum->a += *value;
  sum->b += 1;
  return *key == 7;
}

SEC("syscall")
int walk(struct answers *ctx) {
  struct answers sum = {};
  ctx->c = bpf_for_each_map_elem(&many, add_up, &sum, 0);
  ctx->a = sum.a;
  ctx->b = sum.b;
  ctx->d = error_of(bpf_for_each_map_elem(&many, add_up, &sum, 1));
  return 0;
}

static long square(u32 index, u64 *sum) {
  *sum += (u64)index * index;
  return index == 9;
}

SEC("syscall")
int loop(struct answers *ctx) {
  u64 sum = 0;
  ctx->a = bpf_loop(100, square, &sum, 0);
  ctx->b = sum;
  ctx->c = bpf_loop(1 << 24, square, &sum, 0);
  ctx->d = bpf_loop(1, square, &sum, 1);
  return 0;
}

/* Linux 6.18 looks at all of a count that the compiler doesn't cut to its 32 bits. */
SEC("syscall")
int long_loop(struct answers *ctx) {
  u64 sum = 0;
  u64 count = 0x100000003;
  barrier_var(count);
  ctx->a = bpf_loop(count, square, &sum, 0);
  ctx->b = sum;
  return 0;
}

SEC("syscall")
int print(struct answers *ctx) {
  static const char format[] = "%d|%5u|%-4x|%08llx|%s|%%|%c";
  u64 args[] = {(u64)-5, 42, 0xab, 0x123456789ULL, (u64)(unsigned long)alphabet, 'z'};
  bpf_printk("pid %d says %s\n", 7, (const char *)alphabet);
  ctx->a = bpf_snprintf(text, sizeof(text), format, args, sizeof(args));
  ctx->b = bpf_strncmp((const char *)alphabet, 3, "abd");
  return 0;
}

/* What is read from where nothing is, and texts that are cut. */
SEC("syscall")
int probe(struct answers *ctx) {
  u64 word = 0x1111111111111111;
  ctx->a = bpf_probe_read_kernel(&word, sizeof(word), (void *)8);
  ctx->b = word;
  ctx->c = bpf_probe_read_kernel_str(cut, sizeof(cut), (const void *)alphabet);
  ctx->d = bpf_probe_read_kernel_str(text, sizeof(text), (const void *)alphabet);
  return 0;
}

struct ring_answers {
  u32 bytes; /* in */
  u32 flags; /* in */
  s64 output;
  u64 available;
  u64 size;
  u64 consumer;
  u64 producer;
};

SEC("syscall")
int ring_output(struct ring_answers *ctx) {
  char data[256] = {};
  data[0] = ctx->bytes;
  ctx->output = bpf_ringbuf_output(&ring, data, ctx->bytes & 255, ctx->flags);
  ctx->available = bpf_ringbuf_query(&ring, 0);
  ctx->size = bpf_ringbuf_query(&ring, 1);
  ctx->consumer = bpf_ringbuf_query(&ring, 2);
  ctx->producer = bpf_ringbuf_query(&ring, 3);
  return 0;
}

/* Two records at once, committed in the other order. */
SEC("syscall")
int ring_crossed(struct ring_answers *ctx) {
  u64 *first = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!first) return 1;
  u64 *second = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!second) {
    bpf_ringbuf_discard(first, 0);
    return 2;
  }
  *first = 1;
  *second = 2;
  bpf_ringbuf_submit(second, 0);
  ctx->available = bpf_ringbuf_query(&ring, 0);
  if (ctx->flags) bpf_ringbuf_discard(first, 0);
  else bpf_ringbuf_submit(first, 0);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
