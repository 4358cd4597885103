/** Numbers of Linux's networking that attaching takes. Sources: the headers named. */

/** linux/if_link.h: XDP_FLAGS_*. */
export const XDP_FLAGS = {
  UPDATE_IF_NOEXIST: 1 << 0,
  SKB_MODE: 1 << 1,
  DRV_MODE: 1 << 2,
  HW_MODE: 1 << 3,
} as const

/** linux/bpf.h: BPF_F_* of attaching. */
export const ATTACH_FLAGS = {
  ALLOW_OVERRIDE: 1 << 0,
  ALLOW_MULTI: 1 << 1,
  REPLACE: 1 << 2,
  BEFORE: 1 << 3,
  AFTER: 1 << 4,
  /** What the program goes before or after is given by id. */
  ID: 1 << 5,
  /** What the program goes before or after is a link. */
  LINK: 1 << 13,
} as const

/** linux/netfilter.h: NFPROTO_*. */
export const NETFILTER_PROTOCOL = { ipv4: 2, ipv6: 10 } as const

/** linux/netfilter.h: NF_INET_*. */
export const NETFILTER_HOOK = {
  prerouting: 0,
  input: 1,
  forward: 2,
  output: 3,
  postrouting: 4,
} as const

/** linux/bpf.h: BPF_F_NETFILTER_IP_DEFRAG. Linux 6.6. */
export const NETFILTER_DEFRAG = 1 << 0

/** linux/lwtunnel.h: LWT_BPF_*; 0 stands for the action End.BPF of segment routing, which has a tunnel of its own. */
export const LWT_HOOK = { in: 1, out: 2, xmit: 3, segment: 0 } as const
