// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What is configured between open and load, as both kernels have it. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8);
  __type(key, u32);
  __type(value, u64);
} table SEC(".maps");

/* Used behind a condition on a constant: it need not be there. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8);
  __type(key, u32);
  __type(value, u64);
} extra SEC(".maps");

const volatile bool use_extra = true;

struct limits {
  u32 low;
  u32 high;
};
struct limits limits SEC(".data.config") = {.low = 3, .high = 30};
u64 sum SEC(".data.config") = 0;
const volatile u32 factor SEC(".rodata.config") = 2;

extern u32 LINUX_KERNEL_VERSION __kconfig;
extern u32 CONFIG_ANSWER __kconfig __weak;
extern s16 CONFIG_NEGATIVE __kconfig __weak;
extern bool CONFIG_FLAG __kconfig __weak;
extern char CONFIG_LETTER __kconfig __weak;
extern enum libbpf_tristate CONFIG_MODULE __kconfig __weak;
extern const char CONFIG_TEXT[8] __kconfig __weak;

SEC("syscall")
int options(u64 *out) {
  out[0] = LINUX_KERNEL_VERSION;
  out[1] = CONFIG_ANSWER;
  out[2] = (u64)(s64)CONFIG_NEGATIVE;
  out[3] = CONFIG_FLAG;
  out[4] = CONFIG_LETTER;
  out[5] = CONFIG_MODULE;
  out[6] = CONFIG_TEXT[0];
  return 0;
}

/* Sums what lies within the limits, times a constant. */
SEC("syscall")
int add(u32 *value) {
  if (*value < limits.low || *value > limits.high) return 1;
  sum += *value * factor;
  return 0;
}

SEC("syscall")
int remember(u32 *key) {
  u64 one = 1;
  u32 k = *key;
  if (use_extra) return bpf_map_delete_elem(&extra, &k);
  return bpf_map_update_elem(&table, &k, &one, BPF_ANY);
}

u32 execs = 0;
u32 root = 0;

/* Where it goes, a test says. */
SEC("tp_btf")
int BPF_PROG(anywhere, struct task_struct *task) {
  if (root && (u32)(bpf_get_current_pid_tgid() >> 32) != root) execs++;
  return 0;
}

/* A program of no type that a section could tell. */
SEC("custom/section")
int untyped(void *ctx) {
  return 7;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
