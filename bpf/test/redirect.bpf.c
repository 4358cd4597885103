// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Maps that packets are redirected through, with programs that run behind them: Linux 5.8, on another CPU 5.9. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, struct bpf_devmap_val);
} devices SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_CPUMAP);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

SEC("xdp/devmap")
int on_device(struct xdp_md *ctx) { return XDP_PASS; }

SEC("xdp/cpumap")
int on_cpu(struct xdp_md *ctx) { return XDP_PASS; }

SEC("xdp")
int plain(struct xdp_md *ctx) { return XDP_PASS; }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
