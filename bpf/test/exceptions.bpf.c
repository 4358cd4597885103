// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Programs that throw. Loaders older than libbpf 1.3 don't know callbacks. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define EXCEPTION_CALLBACK(name) __attribute__((btf_decl_tag("exception_callback:" #name)))

extern void bpf_throw(__u64 cookie) __ksym;

__noinline int handle(__u64 cookie) {
  return cookie > 7 ? 2 : 0;
}

__noinline int handle_pointer(void *cookie) {
  return cookie ? 1 : 0;
}

SEC("tc")
EXCEPTION_CALLBACK(handle)
int throws(struct __sk_buff *skb) {
  if (skb->len > 100) bpf_throw(skb->len);
  return 0;
}

SEC("tc")
int throws_uncaught(struct __sk_buff *skb) {
  if (skb->len > 100) bpf_throw(1);
  return 0;
}

SEC("tc")
EXCEPTION_CALLBACK(handle)
int calls_callback(struct __sk_buff *skb) {
  if (skb->len > 100) bpf_throw(1);
  return handle(skb->len);
}

SEC("tc")
EXCEPTION_CALLBACK(handle_pointer)
int catches_pointer(struct __sk_buff *skb) {
  if (skb->len > 100) bpf_throw(1);
  return 0;
}

SEC("tc")
EXCEPTION_CALLBACK(nobody)
int catches_nowhere(struct __sk_buff *skb) {
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
