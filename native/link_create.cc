#include "link_create.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

namespace bpfnode {
namespace {

static_assert(offsetof(LinkCreateAttributes, of) == 16, "layout of the kernel's interface");
static_assert(sizeof(LinkCreateAttributes) == 64, "layout of the kernel's interface");

template <typename Attributes>
UniqueFd Call(bpf_cmd command, const Attributes& attributes) {
  return UniqueFd(static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof(attributes))));
}

}  // namespace

UniqueFd CreateLink(const LinkCreateAttributes& attributes) { return Call(BPF_LINK_CREATE, attributes); }

UniqueFd OpenRawTracepoint(int program_fd, const char* name, uint64_t cookie) {
  struct {
    uint64_t name;
    uint32_t prog_fd;
    uint32_t reserved;
    uint64_t cookie;
  } attributes = {};
  attributes.name = reinterpret_cast<uintptr_t>(name);
  attributes.prog_fd = static_cast<uint32_t>(program_fd);
  attributes.cookie = cookie;
  return Call(BPF_RAW_TRACEPOINT_OPEN, attributes);
}

}  // namespace bpfnode
