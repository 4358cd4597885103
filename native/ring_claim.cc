#include "ring_claim.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <mutex>
#include <unordered_set>
#include <utility>

namespace bpfnode {
namespace {

// The one thing that the threads of a process share. Never destroyed: workers may outlive the main thread's
// statics.
struct Claims {
  std::mutex mutex;
  std::unordered_set<uint32_t> ids;

  static Claims& All() {
    static auto& all = *new Claims;
    return all;
  }
};

}  // namespace

int RingClaim::Take(int map_fd) {
  bpf_map_info info = {};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(map_fd, &info, &length) != 0) return errno;
  Claims& claims = Claims::All();
  const std::lock_guard<std::mutex> lock(claims.mutex);
  if (!claims.ids.insert(info.id).second) return EBUSY;
  id_ = info.id;
  return 0;
}

void RingClaim::Release() {
  const uint32_t id = std::exchange(id_, 0);
  if (id == 0) return;
  Claims& claims = Claims::All();
  const std::lock_guard<std::mutex> lock(claims.mutex);
  claims.ids.erase(id);
}

}  // namespace bpfnode
