// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Attached without a link: Linux 5.6. */
#include "idle_congestion_control.h"

SEC(".struct_ops")
struct tcp_congestion_ops idle_cc = IDLE_CONGESTION_CONTROL("bpfnode_idle");
