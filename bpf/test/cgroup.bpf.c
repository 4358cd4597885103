// SPDX-License-Identifier: GPL-2.0 OR MIT
/* A program for every hook of a cgroup. Each counts its runs in `name_hits`, allows everything, and writes its number into `order`. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

/* Numbers of the numbered programs that ran, the first one first. */
u32 order[16];
u32 ran;

static __always_inline void note(u32 number) {
  /* Atomic with a result would take Linux 5.12; the tests make one packet at a time. */
  u32 slot = ran++;
  if (slot < 16) order[slot] = number;
}

#define ALLOW(name, section)               \
  u64 name##_hits;                         \
  SEC(section)                             \
  int on_##name(void *ctx) {                    \
    __sync_fetch_and_add(&name##_hits, 1); \
    return 1;                              \
  }

#define NUMBERED(name, section, number)    \
  u64 name##_hits;                         \
  SEC(section)                             \
  int on_##name(void *ctx) {                    \
    __sync_fetch_and_add(&name##_hits, 1); \
    note(number);                          \
    return 1;                              \
  }

ALLOW(ingress, "cgroup_skb/ingress")
ALLOW(egress, "cgroup_skb/egress")
ALLOW(skb, "cgroup/skb")
ALLOW(sock_create, "cgroup/sock_create")
ALLOW(sock_release, "cgroup/sock_release")
ALLOW(post_bind4, "cgroup/post_bind4")
ALLOW(post_bind6, "cgroup/post_bind6")
ALLOW(bind4, "cgroup/bind4")
ALLOW(bind6, "cgroup/bind6")
NUMBERED(connect4, "cgroup/connect4", 1)
NUMBERED(connect4_second, "cgroup/connect4", 2)
NUMBERED(connect4_third, "cgroup/connect4", 3)
ALLOW(connect6, "cgroup/connect6")
ALLOW(connect_unix, "cgroup/connect_unix")
ALLOW(sendmsg4, "cgroup/sendmsg4")
ALLOW(sendmsg6, "cgroup/sendmsg6")
ALLOW(sendmsg_unix, "cgroup/sendmsg_unix")
ALLOW(recvmsg4, "cgroup/recvmsg4")
ALLOW(recvmsg6, "cgroup/recvmsg6")
ALLOW(recvmsg_unix, "cgroup/recvmsg_unix")
ALLOW(getpeername4, "cgroup/getpeername4")
ALLOW(getpeername6, "cgroup/getpeername6")
ALLOW(getpeername_unix, "cgroup/getpeername_unix")
ALLOW(getsockname4, "cgroup/getsockname4")
ALLOW(getsockname6, "cgroup/getsockname6")
ALLOW(getsockname_unix, "cgroup/getsockname_unix")
ALLOW(sysctl, "cgroup/sysctl")
ALLOW(getsockopt, "cgroup/getsockopt")
ALLOW(setsockopt, "cgroup/setsockopt")
ALLOW(device, "cgroup/dev")
ALLOW(sockops, "sockops")

/* Linux 6.0. The hook takes one argument that nobody reads. */
ALLOW(socket_bind, "lsm_cgroup/socket_bind")

char LICENSE[] SEC("license") = "Dual MIT/GPL";
