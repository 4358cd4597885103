#include "attachment.h"

#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

namespace bpfnode {

bool IsLink(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  std::array<char, 64> target = {};
  const ssize_t length = readlink(path.c_str(), target.data(), target.size());
  if (length < 0) return false;
  const std::string_view name(target.data(), static_cast<size_t>(length));
  // Of a link that was made, of one that was opened, and of raw tracepoints before Linux 5.8.
  return name == "anon_inode:bpf_link" || name == "anon_inode:bpf-link" ||
         name == "anon_inode:bpf-raw-tracepoint";
}

int LibbpfAttachment::LinkFd() const {
  const int fd = bpf_link__fd(link_.get());
  // libbpf answers 0 or -1 for links of its own that have no descriptor (USDT), and the descriptor of a perf
  // event or a map for what is no BPF link.
  return fd > STDERR_FILENO && IsLink(fd) ? fd : -1;
}

void LibbpfAttachment::Disown(bool pinned) {
  // Destroying libbpf's only closes descriptors then: a probe's perf event is disabled by it, and runs its
  // programs nevertheless. A disconnected one would leave those descriptors open.
  if (pinned && LinkFd() >= 0) return;
  bpf_link__disconnect(link_.get());
}

void FdAttachment::Disown(bool pinned) {
  if (pinned) return;
  // It is not to be closed before the process ends.
  fd_.Release();
}

}  // namespace bpfnode
