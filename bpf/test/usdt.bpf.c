// SPDX-License-Identifier: GPL-2.0 OR MIT
/* A USDT probe of test/native/probe-target.c: counted, with its argument and the cookie of the attachment. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

__u64 runs = 0;
__u64 last_cookie = 0;
__s64 last_value = 0;

SEC("usdt")
int on_probe(struct pt_regs *ctx) {
  long value = 0;
  bpf_usdt_arg(ctx, 0, &value);
  __sync_fetch_and_add(&runs, 1);
  last_value = value;
  last_cookie = bpf_usdt_cookie(ctx);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
