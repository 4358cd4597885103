// cflags: -g0
// SPDX-License-Identifier: GPL-2.0 OR MIT
/* An object without type information. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

u64 runs = 0;

SEC("syscall")
int count(void *ctx) {
  __sync_fetch_and_add(&runs, 1);
  return 7;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
