// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Attached by a link: Linux 6.4, libbpf 1.2. */
#include "idle_congestion_control.h"

SEC(".struct_ops.link")
struct tcp_congestion_ops linked_cc = IDLE_CONGESTION_CONTROL("bpfnode_link");
