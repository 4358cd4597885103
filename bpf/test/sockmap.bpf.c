// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs of sockmaps: each counts its runs and lets everything pass. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

enum { BPF_MAP_TYPE_SOCKMAP = 15, SK_PASS = 1 };

struct {
  __uint(type, BPF_MAP_TYPE_SOCKMAP);
  __uint(max_entries, 4);
  __type(key, u32);
  __type(value, u32);
} sockets SEC(".maps");

/* The members that are read. Source: include/uapi/linux/bpf.h. */
struct __sk_buff {
  u32 len;
};

#define COUNTER(name, section, verdict)    \
  u64 name##_hits;                         \
  SEC(section)                             \
  int on_##name(struct __sk_buff *skb) {        \
    __sync_fetch_and_add(&name##_hits, 1); \
    return verdict;                        \
  }

COUNTER(msg, "sk_msg", SK_PASS)
COUNTER(msg_other, "sk_msg", SK_PASS)
/* A record is all that has come. */
COUNTER(parser, "sk_skb/stream_parser", skb->len)
COUNTER(stream_verdict, "sk_skb/stream_verdict", SK_PASS)
COUNTER(verdict, "sk_skb/verdict", SK_PASS)
/* Says no place: which one, the attach tells. */
COUNTER(anywhere, "sk_skb", SK_PASS)

char LICENSE[] SEC("license") = "Dual MIT/GPL";
