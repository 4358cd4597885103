// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A program for every place of the network where one can be attached. Each counts its runs, lets everything pass, and writes its number
 * into `order`, so that a test sees who ran before whom.
 */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

enum { XDP_PASS = 2, SK_PASS = 1, NF_ACCEPT = 1, TCX_NEXT = -1, BPF_OK = 0, KEEP_ALL = -1 };

/* Numbers of the programs that ran, the first one first; from the 17th run on, nothing more. */
u32 order[16];
u32 ran;

static __always_inline void note(u32 number) {
  /* Atomic with a result would take Linux 5.12; the tests make one packet at a time. */
  u32 slot = ran++;
  if (slot < 16) order[slot] = number;
}

/* A program `on_name`, and the global variable `name_hits` that counts its runs. */
#define COUNTER(name, section, number, verdict) \
  u64 name##_hits;                              \
  SEC(section)                                  \
  int on_##name(void *ctx) {                         \
    __sync_fetch_and_add(&name##_hits, 1);      \
    note(number);                               \
    return verdict;                             \
  }

COUNTER(xdp, "xdp", 1, XDP_PASS)
COUNTER(xdp_other, "xdp", 2, XDP_PASS)
COUNTER(tc, "tc", 3, TCX_NEXT)
COUNTER(tc_other, "tc", 4, TCX_NEXT)
COUNTER(tc_third, "tcx/ingress", 5, TCX_NEXT)
COUNTER(netkit, "netkit/primary", 6, TCX_NEXT)
COUNTER(netkit_peer, "netkit/peer", 7, TCX_NEXT)
COUNTER(netfilter, "netfilter", 8, NF_ACCEPT)
COUNTER(netfilter_other, "netfilter", 9, NF_ACCEPT)
COUNTER(sk_lookup, "sk_lookup", 10, SK_PASS)
COUNTER(sk_lookup_other, "sk_lookup", 11, SK_PASS)
COUNTER(flow_dissector, "flow_dissector", 12, BPF_OK)
COUNTER(socket_filter, "socket", 13, KEEP_ALL)
COUNTER(reuseport, "sk_reuseport", 14, SK_PASS)
COUNTER(lwt_in, "lwt_in", 15, BPF_OK)
COUNTER(lwt_out, "lwt_out", 16, BPF_OK)
COUNTER(lwt_xmit, "lwt_xmit", 17, BPF_OK)
COUNTER(lwt_seg6local, "lwt_seg6local", 19, BPF_OK)

/* Throws everything away. */
u64 socket_deaf_hits;
SEC("socket")
int on_socket_deaf(void *ctx) {
  __sync_fetch_and_add(&socket_deaf_hits, 1);
  return 0;
}

/* As SEC("tc"), but with a type of its own. */
COUNTER(action, "action", 18, BPF_OK)

char LICENSE[] SEC("license") = "Dual MIT/GPL";
