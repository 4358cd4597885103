// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * One program for each place of tracing, all of which do the same: of the process under test, and of it alone, they count their runs and keep
 * what they saw last. A test loads the one that it is about.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile __u32 target_tgid = 0;
/* Cookies came later than the places where programs are attached. */
const volatile _Bool with_cookie = 0;

__u64 runs = 0;
__u64 last_cookie = 0;
__s64 last_value = 0;

static __always_inline int seen(void *ctx, __s64 value) {
  if (bpf_get_current_pid_tgid() >> 32 != target_tgid) return 0;
  __sync_fetch_and_add(&runs, 1);
  last_value = value;
  if (with_cookie) last_cookie = bpf_get_attach_cookie(ctx);
  return 0;
}

#define ENTRY(name, section) \
  SEC(section) int name(struct pt_regs *ctx) { return seen(ctx, (__s64)PT_REGS_PARM1(ctx)); }
#define RETURN(name, section) \
  SEC(section) int name(struct pt_regs *ctx) { return seen(ctx, (__s64)PT_REGS_RC(ctx)); }

ENTRY(on_uprobe, "?uprobe")
RETURN(on_uretprobe, "?uretprobe")
ENTRY(on_uprobe_multi, "?uprobe.multi")
RETURN(on_uretprobe_multi, "?uretprobe.multi")
ENTRY(on_uprobe_session, "?uprobe.session")
ENTRY(on_umask, "?uprobe.multi/libc.so.6:umas?")

ENTRY(on_kprobe, "?kprobe")
RETURN(on_kretprobe, "?kretprobe")
ENTRY(on_ksyscall, "?ksyscall")
ENTRY(on_kprobe_multi, "?kprobe.multi")
RETURN(on_kretprobe_multi, "?kretprobe.multi")
ENTRY(on_kprobe_session, "?kprobe.session")

SEC("?tracepoint")
int on_tracepoint(void *ctx) { return seen(ctx, 0); }

SEC("?raw_tp")
int on_raw_tracepoint(struct bpf_raw_tracepoint_args *ctx) { return seen(ctx, 0); }

/* Their sections name what isn't there. */
SEC("?raw_tp/sched_swich")
int on_misspelt(struct bpf_raw_tracepoint_args *ctx) { return seen(ctx, 0); }
ENTRY(on_misspelt_function, "?uprobe/libc.so.6:umaks")
ENTRY(on_misspelt_library, "?uprobe/libk.so.6:umask")

SEC("?perf_event")
int on_perf_event(struct bpf_perf_event_data *ctx) { return seen(ctx, 0); }

SEC("?tp_btf/sched_process_fork")
int on_typed_tracepoint(__u64 *ctx) { return seen(ctx, 0); }

/* Functions that the kernel runs for the tests of its own, with the arguments 1 and more: BPF_PROG_TEST_RUN. */
SEC("?fentry/bpf_fentry_test1")
int BPF_PROG(on_entry, int a) { return seen(ctx, a); }

SEC("?fexit/bpf_fentry_test1")
int BPF_PROG(on_exit, int a, int result) { return seen(ctx, result); }

SEC("?fmod_ret/bpf_modify_return_test")
int BPF_PROG(on_modify_return, int a, int *b, int result) {
  seen(ctx, a);
  return -7;
}

SEC("?fmod_ret/security_file_open")
int BPF_PROG(on_hook) {
  seen(ctx, 0);
  return 0;
}

SEC("?lsm/file_open")
int BPF_PROG(on_file_open) {
  seen(ctx, 0);
  return 0;
}

SEC("?lsm.s/file_open")
int BPF_PROG(on_file_open_sleepable) {
  seen(ctx, 0);
  return 0;
}

SEC("?fentry.s/bpf_fentry_test1")
int BPF_PROG(on_sleepable_entry, int a) { return seen(ctx, a); }

/* At entry and at return: Linux 7.0. */
SEC("?fsession/bpf_fentry_test1")
int BPF_PROG(on_function_session, int a) { return seen(ctx, a); }

/* A request of a network block device, as it will be sent: all in network order. Source: include/uapi/linux/nbd.h. */
struct nbd_request {
  __u32 magic;
  __u32 type;
  __u64 cookie;
  __u64 from;
  __u32 length;
} __attribute__((packed));

/* Asks for another place than the kernel wanted. */
SEC("?raw_tp.w/nbd_send_request")
int on_writable(struct bpf_raw_tracepoint_args *ctx) {
  struct nbd_request *request = (void *)ctx->args[0];
  __sync_fetch_and_add(&runs, 1);
  request->from = 0x1122334455667788;
  return 0;
}

/* What freplace replaces. */
__noinline int replaceable(struct __sk_buff *skb) {
  volatile int answer = 1;
  return answer + (skb->len == 0);
}

SEC("?tc")
int with_replaceable(struct __sk_buff *skb) { return replaceable(skb); }

SEC("?freplace/replaceable")
int replacement(struct __sk_buff *skb) {
  __sync_fetch_and_add(&runs, 1);
  return 42;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
