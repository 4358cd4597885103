// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Writes to its own streams: Linux 6.17. */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

enum { BPF_STDOUT = 1, BPF_STDERR = 2 };

/* Linux 6.17 has it without, Linux 6.18 with the ending; Linux 7 without it again, and fills in the last argument. */
extern int bpf_stream_vprintk___short(int stream_id, const char *fmt__str, const void *args, u32 len__sz) __ksym __weak;
extern int bpf_stream_vprintk(int stream_id, const char *fmt__str, const void *args, u32 len__sz,
                              void *aux__prog) __ksym __weak;
extern int bpf_stream_vprintk_impl(int stream_id, const char *fmt__str, const void *args, u32 len__sz,
                                   void *aux__prog) __ksym __weak;

struct say_args {
  u64 stream;
  u64 number;
};

SEC("syscall")
int say(struct say_args *args) {
  static const char format[] = "number %llu\n";
  u64 values[1] = {args->number};
  int stream = args->stream == BPF_STDOUT ? BPF_STDOUT : BPF_STDERR;
  if (bpf_stream_vprintk___short) return bpf_stream_vprintk___short(stream, format, values, sizeof(values));
  if (bpf_stream_vprintk_impl) return bpf_stream_vprintk_impl(stream, format, values, sizeof(values), NULL);
  if (bpf_stream_vprintk) return bpf_stream_vprintk(stream, format, values, sizeof(values), NULL);
  return -1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
