// bpf(BPF_LINK_CREATE) with attributes of our own: libbpf 1.1 and the headers of its time lack many of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "unique_fd.h"

namespace bpfnode {

// Source: `struct { … } link_create` in `union bpf_attr` of linux/bpf.h, Linux 6.18. Layout is ABI.
struct LinkCreateAttributes {
  uint32_t prog_fd = 0;
  // A descriptor or an interface index.
  uint32_t target = 0;
  uint32_t attach_type = 0;
  uint32_t flags = 0;
  union {
    struct {
      uint32_t flags;
      uint32_t count;
      uint64_t symbols;
      uint64_t addresses;
      uint64_t cookies;
    } kprobe_multi;
    struct {
      uint64_t path;
      uint64_t offsets;
      uint64_t ref_ctr_offsets;
      uint64_t cookies;
      uint32_t count;
      uint32_t flags;
      uint32_t pid;
    } uprobe_multi;
    struct {
      uint32_t target_btf_id;
      uint64_t cookie;
    } tracing;
    struct {
      uint32_t protocol_family;
      uint32_t hook;
      int32_t priority;
      uint32_t flags;
    } netfilter;
    struct {
      uint64_t cookie;
    } perf_event;
    // tcx, netkit, cgroup.
    struct {
      uint32_t relative;
      uint64_t expected_revision;
    } order;
    uint64_t bytes[6];
  } of = {};
};

// The link's descriptor; negative with errno set where the kernel refuses.
UniqueFd CreateLink(const LinkCreateAttributes& attributes);

// bpf(BPF_RAW_TRACEPOINT_OPEN) with a cookie (Linux 6.10). `name` is null for programs that know their place
// (tp_btf).
UniqueFd OpenRawTracepoint(int program_fd, const char* name, uint64_t cookie);

}  // namespace bpfnode
