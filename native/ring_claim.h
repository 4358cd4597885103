// Which rings have a reader in this process, whatever its thread: two of one ring would take each other's
// records, and some of them twice.
#pragma once

#include <cstdint>

namespace bpfnode {

class RingClaim {
 public:
  RingClaim() = default;
  ~RingClaim() { Release(); }
  RingClaim(const RingClaim&) = delete;
  RingClaim& operator=(const RingClaim&) = delete;
  RingClaim(RingClaim&&) = delete;
  RingClaim& operator=(RingClaim&&) = delete;

  // Answers 0, EBUSY if the map has a reader, or the errno with which the kernel doesn't tell its id.
  int Take(int map_fd);
  void Release();

 private:
  // Of the map; 0: nothing is claimed.
  uint32_t id_ = 0;
};

}  // namespace bpfnode
