#include "netns_scope.h"

#include <fcntl.h>
#include <napi.h>
#include <sched.h>

#include <cerrno>

namespace bpfnode {

NetnsScope::NetnsScope(int fd) {
  if (fd < 0) return;
  UniqueFd home(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home || setns(fd, CLONE_NEWNET) != 0) {
    error_ = errno;
    return;
  }
  home_ = std::move(home);
}

NetnsScope::~NetnsScope() {
  if (!home_) return;
  // Callers ask for errno behind the scope.
  const int error = errno;
  if (setns(home_.get(), CLONE_NEWNET) != 0) {
    napi_fatal_error("NetnsScope", NAPI_AUTO_LENGTH, "the thread cannot return to its network namespace",
                     NAPI_AUTO_LENGTH);
  }
  home_.Reset();
  errno = error;
}

}  // namespace bpfnode
