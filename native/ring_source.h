// One ring-buffer map, or several on one reader.
//
// Each has a libbpf ring_buffer of its own: libbpf takes the rings of a shared one in order, so that a flood
// in the first would starve the others.
#pragma once

#include <bpf/libbpf.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "handles.h"
#include "ring_claim.h"
#include "source.h"
#include "unique_fd.h"

namespace bpfnode {

class RingSource : public Source {
 public:
  struct Failed {
    const char* call;
    int error;
    std::string log;
  };

  // Opens the rings of `fds`, which are duplicated. nullptr with `failed` filled on failure.
  static std::unique_ptr<RingSource> Open(const std::vector<int>& fds, Failed& failed);

  [[nodiscard]] const char* open_call() const override { return "ring_buffer__new"; }
  [[nodiscard]] const char* take_call() const override { return "ring_buffer__consume"; }
  [[nodiscard]] Extras extras() const override;
  [[nodiscard]] int poll_fd() const override;
  [[nodiscard]] bool tells_once() const override { return false; }
  TakeResult Take(Batch& batch) override;
  std::optional<uint64_t> Available() override;
  // The rings may have another reader from now on; memory and descriptors go later.
  void Release() override;

 private:
  // Read-only views of the two pages with the positions.
  class Positions {
   public:
    Positions() = default;
    ~Positions();
    Positions(const Positions&) = delete;
    Positions& operator=(const Positions&) = delete;
    Positions(Positions&&) = delete;
    Positions& operator=(Positions&&) = delete;

    // Answers 0 or a positive errno.
    int Map(int fd);
    [[nodiscard]] uint64_t Available() const;

   private:
    void* pages_ = nullptr;
    size_t page_size_ = 0;
  };

  struct Ring {
    // The batch is set for the time of a Take().
    Batch* batch = nullptr;
    uint32_t origin = 0;
    UniqueFd map_fd;
    RingClaim claim;
    UniqueRingBuffer ring;
    Positions positions;
  };

  static int OnRecord(void* context, void* data, size_t size);

  std::vector<std::unique_ptr<Ring>> rings_;
  // Watches all of them where they are several.
  UniqueFd epoll_;
  // Who comes first in the next batch.
  size_t next_ = 0;
};

}  // namespace bpfnode
