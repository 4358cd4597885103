// SPDX-License-Identifier: GPL-2.0 OR MIT
/* A section name with a typing error. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

SEC("kprobee/do_exit")
int misspelt(void *ctx) { return 0; }

char LICENSE[] SEC("license") = "Dual MIT/GPL";
