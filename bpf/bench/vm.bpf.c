// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the VM is measured with: the same program in Linux's JIT and in ours. Each does its work `repeat` times and leaves what it computed in
 * `result`, so that nothing can be left out.
 */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

#define FRAME_BYTES 1500
#define PACKETS 64
#define PACKET_BYTES 64
#define FLAGS 4096
#define ROUNDS 1000

struct vm_context {
  u64 result;
  u32 repeat;
  u32 seed;
};

/* Filled before load: a constant table that the compiler can't see through. */
const volatile u32 crc_table[256] = {};
u8 frame[FRAME_BYTES] = {};
u8 packets[PACKETS][PACKET_BYTES] = {};
u8 composite[FLAGS] = {};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, u32);
  __type(value, u64);
} counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 256);
  __type(key, u32);
  __type(value, u64);
} histogram SEC(".maps");

/* A program that runs the function of that name `repeat` times. */
#define BENCHMARK(name)                                                                                                \
  SEC("syscall")                                                                                                       \
  int vm_##name(struct vm_context *ctx) {                                                                              \
    struct vm_context state = {.repeat = ctx->repeat, .seed = ctx->seed};                                              \
    bpf_loop(state.repeat, name, &state, 0);                                                                           \
    ctx->result = state.result;                                                                                        \
    return 0;                                                                                                          \
  }

static long alu64(u32 index, void *context) {
  struct vm_context *state = context;
  u64 x = state->result ^ state->seed ^ 0x9e3779b97f4a7c15ULL;
  for (u32 i = 0; i < ROUNDS; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    x += x * 0xbf58476d1ce4e5b9ULL;
    x = (x << 31) | (x >> 33);
    x -= i;
  }
  state->result = x;
  return 0;
}
BENCHMARK(alu64)

static long alu32(u32 index, void *context) {
  struct vm_context *state = context;
  u32 h = state->result ^ state->seed;
  for (u32 i = 0; i < ROUNDS; i++) {
    u32 k = i * 0xcc9e2d51;
    k = (k << 15) | (k >> 17);
    h ^= k * 0x1b873593;
    h = (h << 13) | (h >> 19);
    h = h * 5 + 0xe6546b64;
    h ^= h >> 16;
  }
  state->result = h;
  return 0;
}
BENCHMARK(alu32)

/* The key schedule of RC4, on a permutation of 128 bytes that lies on the stack. */
static long stack(u32 index, void *context) {
  struct vm_context *state = context;
  u8 box[128];
  u32 j = 0;
  for (u32 i = 0; i < 128; i++) box[i] = i;
  for (u32 i = 0; i < 128 * 4; i++) {
    u8 a = box[i & 127];
    j = (j + a + (state->seed >> (i & 15))) & 127;
    u8 b = box[j];
    box[i & 127] = b;
    box[j] = a;
  }
  state->result += box[0] ^ box[127];
  return 0;
}
BENCHMARK(stack)

static long crc32(u32 index, void *context) {
  struct vm_context *state = context;
  u32 crc = ~(u32)state->result;
  for (u32 i = 0; i < FRAME_BYTES; i++) crc = (crc >> 8) ^ crc_table[(crc ^ frame[i]) & 255];
  state->result = ~crc;
  return 0;
}
BENCHMARK(crc32)

static long fnv(u32 index, void *context) {
  struct vm_context *state = context;
  u64 hash = 0xcbf29ce484222325ULL ^ state->result;
  for (u32 i = 0; i < FRAME_BYTES; i++) hash = (hash ^ frame[i]) * 0x100000001b3ULL;
  state->result = hash;
  return 0;
}
BENCHMARK(fnv)

static long sieve(u32 index, void *context) {
  struct vm_context *state = context;
  u32 primes = 1;
  for (u32 i = 0; i < FLAGS; i++) composite[i] = !(i & 1);
  for (u32 i = 3; i < 64; i += 2) {
    if (composite[i]) continue;
    for (u32 j = i * i; j < FLAGS; j += i) composite[j] = 1;
  }
  for (u32 i = 3; i < FLAGS; i += 2) primes += composite[i] == 0;
  state->result += primes;
  return 0;
}
BENCHMARK(sieve)

enum verdict { DROP, PASS, MIRROR, LIMIT };

static __always_inline u16 be16(const u8 *at) {
  return at[0] << 8 | at[1];
}

static __always_inline u32 be32(const u8 *at) {
  return (u32)be16(at) << 16 | be16(at + 2);
}

static __always_inline enum verdict judge_tcp(const u8 *tcp, u32 source) {
  u16 port = be16(tcp + 2);
  u8 flags = tcp[13];
  if ((flags & 0x3f) == 0 || (flags & 0x03) == 0x03 || (flags & 0x06) == 0x06) return DROP;
  if (port == 22) return source >> 24 == 10 ? PASS : DROP;
  if (port == 80 || port == 443) return flags == 0x02 ? LIMIT : PASS;
  if (port >= 6000 && port < 7000) return MIRROR;
  if (port < 1024) return DROP;
  return (flags & 0x10) != 0 ? PASS : LIMIT;
}

static __always_inline enum verdict judge_udp(const u8 *udp, u32 source) {
  u16 from = be16(udp), port = be16(udp + 2), length = be16(udp + 4);
  if (length < 8) return DROP;
  if (port == 53 || from == 53) return length > 512 ? LIMIT : PASS;
  if (port == 123) return length == 56 ? PASS : DROP;
  if (source >> 28 == 0xe) return DROP;
  return port >= 33434 && port <= 33534 ? MIRROR : LIMIT;
}

static __always_inline enum verdict judge(const u8 *packet) {
  u16 protocol = be16(packet + 12);
  const u8 *ip = packet + 14;
  if (protocol == 0x0806) return PASS;
  if (protocol == 0x8100) return MIRROR;
  if (protocol != 0x0800) return DROP;
  if (ip[0] != 0x45 || be16(ip + 2) < 20) return DROP;
  u32 source = be32(ip + 12), target = be32(ip + 16);
  if (source >> 24 == 127 || source == target || source == 0) return DROP;
  if ((be16(ip + 6) & 0x1fff) != 0) return LIMIT;
  switch (ip[9]) {
  case 1:
    return ip[20] == 8 ? LIMIT : PASS;
  case 6:
    return judge_tcp(ip + 20, source);
  case 17:
    return judge_udp(ip + 20, source);
  default:
    return ip[8] < 2 ? DROP : MIRROR;
  }
}

static long filter(u32 index, void *context) {
  struct vm_context *state = context;
  u32 verdicts = 0;
  for (u32 i = 0; i < PACKETS; i++) verdicts += 1u << (judge(packets[i]) * 8);
  state->result += verdicts;
  return 0;
}
BENCHMARK(filter)

static __noinline u32 leaf(u32 a, u32 b) {
  return (a ^ b) * 0x85ebca6b + (a >> 3);
}

static __noinline u32 branch(u32 a, u32 b) {
  return leaf(a, b) + leaf(b, a);
}

static long calls(u32 index, void *context) {
  struct vm_context *state = context;
  u32 x = state->result;
  for (u32 i = 0; i < ROUNDS; i++) x = branch(x, i);
  state->result = x;
  return 0;
}
BENCHMARK(calls)

static long helpers(u32 index, void *context) {
  struct vm_context *state = context;
  u64 x = state->result;
  for (u32 i = 0; i < ROUNDS; i++) x += bpf_get_prandom_u32();
  state->result = x;
  return 0;
}
BENCHMARK(helpers)

/* A helper that isn't worth being inside a compiled program: always a call into the kernel. */
static long called_helpers(u32 index, void *context) {
  struct vm_context *state = context;
  u64 x = state->result;
  for (u32 i = 0; i < ROUNDS; i++) x += bpf_get_current_cgroup_id();
  state->result = x;
  return 0;
}
BENCHMARK(called_helpers)

/* The loop of the two above, without the call. */
static long no_helpers(u32 index, void *context) {
  struct vm_context *state = context;
  u64 x = state->result;
  for (u32 i = 0; i < ROUNDS; i++) {
    x += i;
    barrier_var(x);
  }
  state->result = x;
  return 0;
}
BENCHMARK(no_helpers)

static long counter(u32 index, void *context) {
  struct vm_context *state = context;
  u64 one = 1;
  u32 key = state->seed;
  for (u32 i = 0; i < ROUNDS; i++) {
    key = key * 1664525 + 1013904223;
    u32 slot = key >> 22;
    u64 *count = bpf_map_lookup_elem(&counters, &slot);
    if (count)
      (*count)++;
    else
      bpf_map_update_elem(&counters, &slot, &one, BPF_ANY);
  }
  state->seed = key;
  state->result += key;
  return 0;
}
BENCHMARK(counter)

static long hash_lookup(u32 index, void *context) {
  struct vm_context *state = context;
  u32 key = state->seed, found = 0;
  for (u32 i = 0; i < ROUNDS; i++) {
    key = key * 1664525 + 1013904223;
    u32 slot = key >> 22;
    if (bpf_map_lookup_elem(&counters, &slot)) found++;
  }
  state->seed = key;
  state->result += found;
  return 0;
}
BENCHMARK(hash_lookup)

static long array_lookup(u32 index, void *context) {
  struct vm_context *state = context;
  u32 key = state->seed;
  for (u32 i = 0; i < ROUNDS; i++) {
    key = key * 1664525 + 1013904223;
    u32 slot = key >> 24;
    u64 *count = bpf_map_lookup_elem(&histogram, &slot);
    if (count) (*count)++;
  }
  state->seed = key;
  state->result += key;
  return 0;
}
BENCHMARK(array_lookup)

char LICENSE[] SEC("license") = "Dual MIT/GPL";
