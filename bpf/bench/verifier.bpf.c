// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the verifier is measured with: programs of which it processes between a thousand and a million instructions, each for another reason.
 * None of them is ever run.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100
#define IPPROTO_TCP 6

/* A loop whose turns the verifier has to count: it walks all of them. */
#define COUNTED _Pragma("clang loop unroll(disable)") for

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, u64);
  __type(value, u64);
} counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 256);
  __type(key, u32);
  __type(value, u64);
} table SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} events SEC(".maps");

u32 words[1024] = {};
u8 bytes[4096] = {};

/* One loop with a branch in each turn that goes either way. */
SEC("socket")
int branchy_loop(struct __sk_buff *skb) {
  u32 even = 0, odd = 0;
  COUNTED(u32 i = 0; i < 1000; i++) {
    u32 word = words[i];
    if (word & 1)
      odd += word;
    else
      even ^= word;
  }
  return even + odd;
}

/* Loops in loops, without branches. */
SEC("socket")
int nested_loops(struct __sk_buff *skb) {
  u64 sum = 0;
  COUNTED(u32 i = 0; i < 100; i++) {
    COUNTED(u32 k = 0; k < 100; k++) sum = sum * 31 + bytes[(i * 37 + k) & 4095];
  }
  return sum;
}

struct options {
  u8 kind;
  u8 length;
};

/* Headers of headers, and TCP options one after the other. */
SEC("xdp")
int packet_parser(struct xdp_md *ctx) {
  u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;
  u32 offset = 14, protocol = 0;
  u16 type;
  if (data + 14 > end)
    return XDP_DROP;
  type = *(u16 *)(data + 12);
  COUNTED(int i = 0; i < 3; i++) {
    if (type != bpf_htons(ETH_P_8021Q))
      break;
    if (data + offset + 4 > end)
      return XDP_DROP;
    type = *(u16 *)(data + offset + 2);
    offset += 4;
  }
  u8 *ip = data + offset;
  if (type == bpf_htons(ETH_P_IP)) {
    if (ip + 20 > end)
      return XDP_DROP;
    u32 length = (ip[0] & 15) * 4;
    if (length < 20)
      return XDP_DROP;
    protocol = ip[9];
    ip += length;
  } else if (type == bpf_htons(ETH_P_IPV6)) {
    if (ip + 40 > end)
      return XDP_DROP;
    protocol = ip[6];
    ip += 40;
  } else
    return XDP_PASS;
  if (protocol != IPPROTO_TCP || ip + 20 > end)
    return XDP_PASS;
  u32 left = (ip[12] >> 4) * 4;
  u8 *option = ip + 20;
  u32 seen = 0;
  COUNTED(int i = 0; i < 10; i++) {
    if (left < 22 || option + 2 > end)
      break;
    u8 kind = option[0], length = option[1];
    if (kind == 0)
      break;
    if (kind == 1) {
      option++;
      left--;
      continue;
    }
    if (length < 2 || length > 40)
      return XDP_DROP;
    seen |= 1u << (kind & 31);
    option += length;
    left -= length;
  }
  return seen & (1u << 8) ? XDP_TX : XDP_PASS;
}

/* Maps in turn, and what they may answer. */
SEC("socket")
int map_heavy(struct __sk_buff *skb) {
  u64 sum = 0;
  COUNTED(u32 i = 0; i < 300; i++) {
    u64 key = bpf_get_prandom_u32();
    u64 *counter = bpf_map_lookup_elem(&counters, &key);
    if (counter) {
      __sync_fetch_and_add(counter, 1);
      sum += *counter;
    } else {
      u64 one = 1;
      bpf_map_update_elem(&counters, &key, &one, BPF_NOEXIST);
    }
    u32 index = key & 255;
    u64 *cell = bpf_map_lookup_elem(&table, &index);
    if (!cell)
      continue;
    *cell += sum;
    u64 *record = bpf_ringbuf_reserve(&events, 16, 0);
    if (!record)
      continue;
    record[0] = key;
    record[1] = sum;
    if (sum & 1)
      bpf_ringbuf_submit(record, 0);
    else
      bpf_ringbuf_discard(record, 0);
  }
  return sum;
}

static __noinline u32 mix(u32 a, u32 b) {
  if (a > b)
    return a * 31 + b;
  return b * 17 + a;
}

static __noinline u32 mix_bytes(u32 from, u8 *buffer) {
  u32 hash = from;
  COUNTED(u32 i = 0; i < 16; i++) hash = mix(hash, buffer[i]);
  return hash;
}

/* Functions that call functions, with memory of their caller. */
SEC("socket")
int function_calls(struct __sk_buff *skb) {
  u8 buffer[16];
  u32 hash = 0;
  COUNTED(u32 i = 0; i < 60; i++) {
    if (bpf_skb_load_bytes(skb, i, buffer, sizeof(buffer)))
      break;
    hash = mix_bytes(hash, buffer);
  }
  return hash;
}

#define STEP(n)                                                                                                        \
  if (words[n] & 4)                                                                                                    \
    state |= 1u << ((n) % 8);                                                                                            \
  if (words[n] > 100)                                                                                                  \
    count++;
#define STEPS(n) STEP(n) STEP(n + 1) STEP(n + 2) STEP(n + 3) STEP(n + 4)

/* Straight code in which paths part and meet again, with numbers that matter at its end: the more steps, the more paths. */
SEC("socket")
int joins(struct __sk_buff *skb) {
  u32 state = 0, count = 0;
  STEPS(0) STEP(5) STEP(6) STEP(7)
  u32 index = count & 63;
  return bytes[index] + words[state & 255];
}

/* So many that Linux gives up. */
SEC("?socket")
int over_the_limit(struct __sk_buff *skb) {
  u32 state = 0, count = 0;
  STEPS(0) STEPS(5) STEPS(10) STEPS(15) STEPS(20) STEPS(25) STEPS(30) STEPS(35)
  u32 index = count & 63;
  return bytes[index] + words[state & 255];
}

/* A state machine over text, on the stack. */
SEC("socket")
int text_on_stack(struct __sk_buff *skb) {
  char text[256] = {};
  u32 words_seen = 0, inside = 0, number = 0;
  if (bpf_skb_load_bytes(skb, 0, text, sizeof(text)))
    return 0;
  COUNTED(u32 i = 0; i < sizeof(text); i++) {
    char c = text[i];
    if (c == ' ') {
      inside = 0;
    } else if (c >= '0' && c <= '9') {
      number = number * 10 + (c - '0');
      inside = 1;
    } else {
      if (!inside)
        words_seen++;
      inside = 1;
    }
  }
  return words_seen + number;
}

/* Indices that must be proven to stay within, by way of the stack. */
SEC("socket")
int bounded_indices(struct __sk_buff *skb) {
  u32 heap[32] = {};
  COUNTED(u32 i = 0; i < 400; i++) {
    u32 slot = bytes[i] & 31;
    u32 value = words[slot * 8 + (i & 7)];
    if (value < 1024)
      heap[slot] += bytes[value * 2 + 1];
    else if (slot > 3)
      heap[slot - 3] = value;
    else
      heap[slot] ^= i;
  }
  return heap[skb->len & 31];
}

static long count_bits(u32 index, void *context) {
  u64 *sum = context;
  u32 word = words[index & 1023];
  COUNTED(u32 i = 0; i < 32; i++) {
    if (word & (1u << i))
      *sum += 1;
  }
  return 0;
}

/* A callback, verified until its turns are alike. */
SEC("socket")
int callbacks(struct __sk_buff *skb) {
  u64 sum = 0;
  bpf_loop(1000, count_bits, &sum, 0);
  bpf_loop(500, count_bits, &sum, 0);
  return sum;
}

#define ROUND(x, n)                                                                                                     \
  x ^= x << 13;                                                                                                        \
  x ^= x >> 17;                                                                                                        \
  x ^= x << 5;                                                                                                         \
  x += words[(x + n) & 1023];

/* Close to the number of instructions that Linux processes at most. */
SEC("socket")
int near_the_limit(struct __sk_buff *skb) {
  u32 a = 1, b = 2;
  COUNTED(u32 i = 0; i < 8000; i++) {
    ROUND(a, i)
    ROUND(b, 1)
    ROUND(a, 2)
    ROUND(b, 3)
    ROUND(a, 4)
    bytes[i & 4095] = a;
  }
  return a + b;
}

char LICENSE[] SEC("license") = "GPL";
