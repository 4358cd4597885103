// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * More of what programs do all day, for measuring the VM with what it wasn't made for: hashes, ciphers, scanners, sorting, walks of trees, maps of each kind.
 * The harness is that of vm.bpf.c.
 */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define TEXT_BYTES 1024
#define NODES 4096
#define SIDE 16
#define ROUNDS 256

/* include/uapi/linux/bpf.h */
enum { BPF_MAP_TYPE_LPM_TRIE = 11, BPF_MAP_TYPE_QUEUE = 22, BPF_F_NO_PREALLOC = 1 };

struct vm_context {
  u64 result;
  u32 repeat;
  u32 seed;
};

const volatile u32 sha_constants[64] = {};
const volatile u8 base64_digits[64] = {};
u8 text[TEXT_BYTES] = {};
u32 trie[NODES][2] = {};
s64 left[SIDE][SIDE] = {};
s64 right[SIDE][SIDE] = {};
s64 product[SIDE][SIDE] = {};
u8 encoded[2 * TEXT_BYTES] = {};
u64 shared_counter = 0;
u32 shared_word = 0;

#define MAP(name, kind, entries, key_type, value_type, ...)                                                            \
  struct {                                                                                                             \
    __uint(type, kind);                                                                                                \
    __uint(max_entries, entries);                                                                                      \
    __type(key, key_type);                                                                                             \
    __type(value, value_type);                                                                                         \
    __VA_ARGS__                                                                                                        \
  } name SEC(".maps")

struct flow {
  u32 source, target;
  u16 from, to;
  u32 protocol;
};

struct lpm_key {
  u32 prefix;
  u32 address;
};

struct totals {
  u64 packets, bytes, longest, shortest;
};

MAP(per_cpu_totals, BPF_MAP_TYPE_PERCPU_ARRAY, 64, u32, struct totals, );
MAP(per_cpu_flows, BPF_MAP_TYPE_PERCPU_HASH, 1024, u32, struct totals, );
MAP(flows, BPF_MAP_TYPE_HASH, 1024, struct flow, struct totals, );
MAP(recent, BPF_MAP_TYPE_LRU_HASH, 1024, u32, u64, );
MAP(routes, BPF_MAP_TYPE_LPM_TRIE, 1024, struct lpm_key, u32, __uint(map_flags, BPF_F_NO_PREALLOC););
MAP(scratch, BPF_MAP_TYPE_ARRAY, 4, u32, struct totals, );

struct {
  __uint(type, BPF_MAP_TYPE_QUEUE);
  __uint(max_entries, 64);
  __type(value, u64);
} queue SEC(".maps");

#define BENCHMARK(name)                                                                                                \
  SEC("syscall")                                                                                                       \
  int vm_##name(struct vm_context *ctx) {                                                                              \
    struct vm_context state = {.repeat = ctx->repeat, .seed = ctx->seed};                                              \
    bpf_loop(state.repeat, name, &state, 0);                                                                           \
    ctx->result = state.result;                                                                                        \
    return 0;                                                                                                          \
  }

/* Programs of type syscall may sleep: they can't use all maps. */
#define BENCHMARK_ATOMIC(name)                                                                                         \
  SEC("raw_tp")                                                                                                        \
  int vm_##name(u64 *arguments) {                                                                                      \
    struct vm_context state = {.repeat = arguments[1] & 0xffffff, .seed = arguments[1] >> 32};                                    \
    bpf_loop(state.repeat, name, &state, 0);                                                                           \
    return state.result;                                                                                               \
  }

static __always_inline u32 rotr32(u32 x, u32 n) {
  return x >> n | x << (32 - n);
}

static __always_inline u32 rotl32(u32 x, u32 n) {
  return x << n | x >> (32 - n);
}

static __always_inline u64 rotl64(u64 x, u32 n) {
  return x << n | x >> (64 - n);
}

static long sha256(u32 index, void *context) {
  struct vm_context *state = context;
  u32 w[16];
  u32 a = 0x6a09e667 ^ (u32)state->result, b = 0xbb67ae85, c = 0x3c6ef372, d = 0xa54ff53a;
  u32 e = 0x510e527f, f = 0x9b05688c, g = 0x1f83d9ab, h = 0x5be0cd19;
  for (u32 i = 0; i < 16; i++) w[i] = bpf_ntohl(((u32 *)text)[i]);
  for (u32 i = 0; i < 64; i++) {
    u32 s0 = w[(i + 1) & 15], s1 = w[(i + 14) & 15];
    u32 word = w[i & 15];
    u32 t1 = h + (rotr32(e, 6) ^ rotr32(e, 11) ^ rotr32(e, 25)) + ((e & f) ^ (~e & g)) + sha_constants[i] + word;
    u32 t2 = (rotr32(a, 2) ^ rotr32(a, 13) ^ rotr32(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    w[i & 15] = word + w[(i + 9) & 15] + (rotr32(s0, 7) ^ rotr32(s0, 18) ^ s0 >> 3) +
                (rotr32(s1, 17) ^ rotr32(s1, 19) ^ s1 >> 10);
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state->result = (u64)a << 32 | (b ^ c ^ d ^ e ^ f ^ g ^ h);
  return 0;
}
BENCHMARK(sha256)

#define SIP_ROUND                                                                                                      \
  v0 += v1, v1 = rotl64(v1, 13), v1 ^= v0, v0 = rotl64(v0, 32), v2 += v3, v3 = rotl64(v3, 16), v3 ^= v2, v0 += v3,     \
      v3 = rotl64(v3, 21), v3 ^= v0, v2 += v1, v1 = rotl64(v1, 17), v1 ^= v2, v2 = rotl64(v2, 32)

static long siphash(u32 index, void *context) {
  struct vm_context *state = context;
  u64 v0 = 0x736f6d6570736575ULL ^ state->result, v1 = 0x646f72616e646f6dULL;
  u64 v2 = 0x6c7967656e657261ULL ^ state->result, v3 = 0x7465646279746573ULL;
  for (u32 i = 0; i < TEXT_BYTES / 8; i++) {
    u64 m = ((u64 *)text)[i];
    v3 ^= m;
    SIP_ROUND;
    SIP_ROUND;
    v0 ^= m;
  }
  v2 ^= 0xff;
  SIP_ROUND;
  SIP_ROUND;
  state->result = v0 ^ v1 ^ v2 ^ v3;
  return 0;
}
BENCHMARK(siphash)

#define XX1 0x9E3779B185EBCA87ULL
#define XX2 0xC2B2AE3D27D4EB4FULL

static long xxhash(u32 index, void *context) {
  struct vm_context *state = context;
  u64 a = state->result + XX1 + XX2, b = state->result + XX2, c = state->result, d = state->result - XX1;
  for (u32 i = 0; i < TEXT_BYTES / 8; i += 4) {
    a = rotl64(a + ((u64 *)text)[i] * XX2, 31) * XX1;
    b = rotl64(b + ((u64 *)text)[i + 1] * XX2, 31) * XX1;
    c = rotl64(c + ((u64 *)text)[i + 2] * XX2, 31) * XX1;
    d = rotl64(d + ((u64 *)text)[i + 3] * XX2, 31) * XX1;
  }
  u64 h = rotl64(a, 1) + rotl64(b, 7) + rotl64(c, 12) + rotl64(d, 18);
  h ^= h >> 33;
  h *= XX2;
  h ^= h >> 29;
  state->result = h;
  return 0;
}
BENCHMARK(xxhash)

struct scanner {
  u32 depth, deepest, strings, numbers;
  u32 inside, escaped, digits;
};

static long scan(u32 i, void *context) {
  struct scanner *at = context;
  if (i >= TEXT_BYTES) return 1;
  u8 c = text[i];
  if (at->inside) {
    if (at->escaped)
      at->escaped = 0;
    else if (c == '\\')
      at->escaped = 1;
    else if (c == '"')
      at->inside = 0, at->strings++;
    return 0;
  }
  bool digit = c >= '0' && c <= '9';
  if (digit && !at->digits) at->numbers++;
  at->digits = digit;
  switch (c) {
  case '"':
    at->inside = 1;
    break;
  case '{':
  case '[':
    at->depth++;
    if (at->depth > at->deepest) at->deepest = at->depth;
    break;
  case '}':
  case ']':
    at->depth--;
    break;
  }
  return 0;
}

/* Depth, strings and numbers of a JSON text: a loop in a loop. */
static long json(u32 index, void *context) {
  struct vm_context *state = context;
  struct scanner at = {};
  bpf_loop(TEXT_BYTES, scan, &at, 0);
  state->result += (u64)at.strings << 32 | at.numbers << 16 | at.deepest << 8 | (at.depth & 255);
  return 0;
}
BENCHMARK(json)

/* A binary trie by hand: 32 bits, 8 addresses. */
static long trie_walk(u32 index, void *context) {
  struct vm_context *state = context;
  u32 address = state->seed ^ index, best = 0;
  for (u32 n = 0; n < 8; n++) {
    u32 node = 0;
    address = address * 1664525 + 1013904223;
    for (u32 bit = 0; bit < 24; bit++) {
      u32 next = trie[node & (NODES - 1)][(address >> (31 - bit)) & 1];
      if (next == 0) break;
      node = next;
    }
    best += node;
  }
  state->result += best;
  return 0;
}
BENCHMARK(trie_walk)

static long matrix(u32 index, void *context) {
  struct vm_context *state = context;
  for (u32 i = 0; i < SIDE; i++)
    for (u32 j = 0; j < SIDE; j++) {
      s64 sum = 0;
      for (u32 k = 0; k < SIDE; k++) sum += left[i][k] * right[k][j];
      product[i][j] = sum;
    }
  state->result += product[index & 15][3] + product[7][index & 15];
  return 0;
}
BENCHMARK(matrix)

static long base64(u32 index, void *context) {
  struct vm_context *state = context;
  u32 out = 0, sum = 0;
  for (u32 i = 0; i + 3 <= 768; i += 3) {
    u32 bits = (u32)text[i] << 16 | (u32)text[i + 1] << 8 | text[i + 2];
    encoded[out] = base64_digits[bits >> 18];
    encoded[out + 1] = base64_digits[(bits >> 12) & 63];
    encoded[out + 2] = base64_digits[(bits >> 6) & 63];
    encoded[out + 3] = base64_digits[bits & 63];
    sum += encoded[out + 1];
    out += 4;
  }
  state->result += sum;
  return 0;
}
BENCHMARK(base64)

static long search_at(u32 i, void *context) {
  u32 *found = context;
  const char word[8] = {'p', 'r', 'o', 't', 'o', 'c', 'o', 'l'};
  if (i >= TEXT_BYTES - 8) return 1;
  for (u32 j = 0; j < 8; j++)
    if (text[i + j] != word[j]) return 0;
  *found += i;
  return 0;
}

/* Looks for a word of eight letters, byte by byte. */
static long string_search(u32 index, void *context) {
  struct vm_context *state = context;
  u32 found = 0;
  bpf_loop(TEXT_BYTES, search_at, &found, 0);
  state->result += found;
  return 0;
}
BENCHMARK(string_search)

static long bit_count(u32 index, void *context) {
  struct vm_context *state = context;
  u64 total = 0;
  for (u32 i = 0; i < TEXT_BYTES / 8; i++) {
    u64 x = ((u64 *)text)[i] ^ state->result;
    x -= (x >> 1) & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + ((x >> 2) & 0x3333333333333333ULL);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    total += (x * 0x0101010101010101ULL) >> 56;
  }
  state->result += total;
  return 0;
}
BENCHMARK(bit_count)

/* Comb sort of 64 words on the stack. */
static long sort(u32 index, void *context) {
  struct vm_context *state = context;
  u32 words[64];
  u32 x = state->seed + index;
  for (u32 i = 0; i < 64; i++) words[i] = x = x * 1664525 + 1013904223;
  for (u32 gap = 32; gap >= 1; gap >>= 1)
    for (u32 pass = 0; pass < 3; pass++)
      for (u32 i = 0; i + gap < 64; i++) {
        u32 a = words[i & 63], b = words[(i + gap) & 63];
        if (a > b) {
          words[i & 63] = b;
          words[(i + gap) & 63] = a;
        }
      }
  state->result += words[0] ^ words[31] ^ words[63];
  return 0;
}
BENCHMARK(sort)

/* A row of the Mandelbrot set in 16.16 numbers. */
static long fixed_point(u32 index, void *context) {
  struct vm_context *state = context;
  u32 total = 0;
  for (s32 column = 0; column < 32; column++) {
    s64 cx = -131072 + column * 6144, cy = (s64)(index & 31) * 4096 - 65536, zx = 0, zy = 0;
    u32 i = 0;
    for (; i < 24; i++) {
      s64 xx = (zx * zx) >> 16, yy = (zy * zy) >> 16;
      if (xx + yy > 262144) break;
      zy = ((zx * zy) >> 15) + cy;
      zx = xx - yy + cx;
    }
    total += i;
  }
  state->result += total;
  return 0;
}
BENCHMARK(fixed_point)

static long divide(u32 index, void *context) {
  struct vm_context *state = context;
  u64 total = 0;
  u64 x = state->seed + index + 1000003;
  for (u32 i = 0; i < 64; i++) {
    u64 a = x, b = (x >> 7) | 1;
    total += a / b + a % b;
    total += (u32)x / ((u32)(x >> 3) | 1);
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
  }
  state->result += total;
  return 0;
}
BENCHMARK(divide)

static __noinline u32 mix_leaf(u32 a, u32 b) {
  return (a << 5 ^ b) * 0x9e3779b1;
}

static __noinline u32 mix_four(u32 a, u32 b) {
  return mix_leaf(a, b) + mix_leaf(b, a) + mix_leaf(a + 1, b) + mix_leaf(a, b + 1);
}

static __noinline u32 mix_tree(u32 a, u32 b) {
  u32 x = mix_four(a, b);
  return x > b ? mix_four(x, a) : mix_four(b, x) ^ x;
}

static long call_tree(u32 index, void *context) {
  struct vm_context *state = context;
  u32 x = state->result;
  for (u32 i = 0; i < ROUNDS; i++) x = mix_tree(x, i);
  state->result = x;
  return 0;
}
BENCHMARK(call_tree)

#define QUARTER(a, b, c, d)                                                                                            \
  a += b, d = rotl32(d ^ a, 16), c += d, b = rotl32(b ^ c, 12), a += b, d = rotl32(d ^ a, 8), c += d,                  \
                                                                                b = rotl32(b ^ c, 7)

static long chacha(u32 index, void *context) {
  struct vm_context *state = context;
  u32 *in = (u32 *)text;
  u32 a = in[0] ^ (u32)state->result, b = in[1], c = in[2], d = in[3], e = in[4], f = in[5], g = in[6], h = in[7], i = in[8], j = in[9],
      k = in[10], l = in[11], m = in[12], n = in[13], o = in[14], p = in[15];
  for (u32 round = 0; round < 10; round++) {
    QUARTER(a, e, i, m);
    QUARTER(b, f, j, n);
    QUARTER(c, g, k, o);
    QUARTER(d, h, l, p);
    QUARTER(a, f, k, p);
    QUARTER(b, g, l, m);
    QUARTER(c, h, i, n);
    QUARTER(d, e, j, o);
  }
  state->result += (a ^ b ^ c ^ d) + (e ^ f ^ g ^ h) + (i ^ j ^ k ^ l) + (m ^ n ^ o ^ p);
  return 0;
}
BENCHMARK(chacha)

static long checksum(u32 index, void *context) {
  struct vm_context *state = context;
  u64 sum = state->result & 0xffff;
  for (u32 i = 0; i < TEXT_BYTES / 2; i++) sum += bpf_ntohs(((u16 *)text)[i]);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  state->result = ~sum & 0xffff;
  return 0;
}
BENCHMARK(checksum)

static long copy(u32 index, void *context) {
  struct vm_context *state = context;
  u64 *from = (u64 *)text, *to = (u64 *)encoded;
  for (u32 i = 0; i < TEXT_BYTES / 8; i++) to[i] = from[i];
  for (u32 i = 0; i < TEXT_BYTES; i++) encoded[i + TEXT_BYTES] = text[i] ^ 0x20;
  state->result += encoded[TEXT_BYTES + (index & 1023)];
  return 0;
}
BENCHMARK(copy)

struct histogram {
  u64 x;
  u8 slots[64];
};

/* As bcc's histograms do. */
static long log2_of_next(u32 i, void *context) {
  struct histogram *histogram = context;
  u64 x = histogram->x;
  x ^= x << 13, x ^= x >> 7, x ^= x << 17;
  histogram->x = x;
  u64 v = x >> (x & 63);
  u32 hi = v >> 32, r = 0, w = hi ? hi : (u32)v;
  u32 shift = (w > 0xffff) << 4;
  w >>= shift, r |= shift;
  shift = (w > 0xff) << 3;
  w >>= shift, r |= shift;
  shift = (w > 0xf) << 2;
  w >>= shift, r |= shift;
  shift = (w > 0x3) << 1;
  w >>= shift, r |= shift;
  r |= w >> 1;
  if (hi) r += 32;
  histogram->slots[r & 63]++;
  return 0;
}

static long log2_histogram(u32 index, void *context) {
  struct vm_context *state = context;
  struct histogram histogram = {.x = state->seed + index + 1};
  bpf_loop(ROUNDS, log2_of_next, &histogram, 0);
  state->result += histogram.slots[3] + ((u64)histogram.slots[33] << 16);
  return 0;
}
BENCHMARK(log2_histogram)

static long atomics(u32 index, void *context) {
  struct vm_context *state = context;
  u64 sum = 0;
  for (u32 i = 0; i < ROUNDS; i++) {
    __sync_fetch_and_add(&shared_counter, i);
    sum += __sync_fetch_and_add(&shared_word, 3);
    if (__sync_val_compare_and_swap(&shared_word, 7, 9) == 7) sum++;
  }
  state->result += sum != 0;
  return 0;
}
BENCHMARK(atomics)

static __always_inline void count(struct totals *totals, u64 bytes) {
  totals->packets++;
  totals->bytes += bytes;
  if (bytes > totals->longest) totals->longest = bytes;
  if (bytes < totals->shortest) totals->shortest = bytes;
}

static long per_cpu_array(u32 index, void *context) {
  struct vm_context *state = context;
  u32 x = state->seed + index;
  for (u32 i = 0; i < ROUNDS; i++) {
    x = x * 1664525 + 1013904223;
    u32 slot = x >> 26;
    struct totals *totals = bpf_map_lookup_elem(&per_cpu_totals, &slot);
    if (totals) count(totals, x & 2047);
  }
  state->result += x;
  return 0;
}
BENCHMARK(per_cpu_array)

static long per_cpu_hash(u32 index, void *context) {
  struct vm_context *state = context;
  u32 x = state->seed + index;
  for (u32 i = 0; i < ROUNDS; i++) {
    x = x * 1664525 + 1013904223;
    u32 slot = x >> 24;
    struct totals zero = {.shortest = -1};
    struct totals *totals = bpf_map_lookup_elem(&per_cpu_flows, &slot);
    if (totals)
      count(totals, x & 2047);
    else
      bpf_map_update_elem(&per_cpu_flows, &slot, &zero, BPF_ANY);
  }
  state->result += x;
  return 0;
}
BENCHMARK(per_cpu_hash)

static long flow_table(u32 index, void *context) {
  struct vm_context *state = context;
  u32 x = state->seed + index;
  for (u32 i = 0; i < ROUNDS; i++) {
    x = x * 1664525 + 1013904223;
    struct flow flow = {.source = 0x0a000000 | x >> 28, .target = 0x0a000100 | (x >> 24 & 15), .from = 443, .to = 1024, .protocol = 6};
    struct totals zero = {.shortest = -1};
    struct totals *totals = bpf_map_lookup_elem(&flows, &flow);
    if (totals)
      count(totals, x & 2047);
    else
      bpf_map_update_elem(&flows, &flow, &zero, BPF_ANY);
  }
  state->result += x;
  return 0;
}
BENCHMARK(flow_table)

static long lru(u32 index, void *context) {
  struct vm_context *state = context;
  u32 x = state->seed + index;
  u64 one = 1;
  for (u32 i = 0; i < ROUNDS; i++) {
    x = x * 1664525 + 1013904223;
    u32 slot = x >> 24;
    u64 *seen = bpf_map_lookup_elem(&recent, &slot);
    if (seen)
      ++*seen;
    else
      bpf_map_update_elem(&recent, &slot, &one, BPF_ANY);
  }
  state->result += x;
  return 0;
}
BENCHMARK(lru)

static long lpm(u32 index, void *context) {
  struct vm_context *state = context;
  u32 x = state->seed + index, sum = 0;
  for (u32 i = 0; i < ROUNDS; i++) {
    x = x * 1664525 + 1013904223;
    struct lpm_key key = {.prefix = 32, .address = bpf_htonl(0x0a000000 | x >> 16)};
    u32 *route = bpf_map_lookup_elem(&routes, &key);
    if (route) sum += *route;
  }
  state->result += sum;
  return 0;
}
BENCHMARK_ATOMIC(lpm)

static long update(u32 index, void *context) {
  struct vm_context *state = context;
  u32 x = state->seed + index;
  for (u32 i = 0; i < ROUNDS; i++) {
    x = x * 1664525 + 1013904223;
    u32 slot = x >> 24;
    u64 value = x;
    bpf_map_update_elem(&recent, &slot, &value, BPF_ANY);
  }
  state->result += x;
  return 0;
}
BENCHMARK(update)

static long queues(u32 index, void *context) {
  struct vm_context *state = context;
  u64 sum = 0;
  for (u32 i = 0; i < ROUNDS; i++) {
    u64 value = i;
    bpf_map_push_elem(&queue, &value, BPF_ANY);
    bpf_map_pop_elem(&queue, &value);
    sum += value;
  }
  state->result += sum;
  return 0;
}
BENCHMARK_ATOMIC(queues)

/* Four counters in one value of an array, whose address was looked up once. */
static long looked_up(u32 index, void *context) {
  struct vm_context *state = context;
  u32 zero = 0;
  struct totals *totals = bpf_map_lookup_elem(&scratch, &zero);
  if (!totals) return 1;
  u64 x = state->seed + index;
  for (u32 i = 0; i < ROUNDS; i++) {
    x = x * 6364136223846793005ULL + 1;
    count(totals, x >> 53);
  }
  state->result += totals->longest;
  return 0;
}
BENCHMARK(looked_up)

char LICENSE[] SEC("license") = "Dual MIT/GPL";
