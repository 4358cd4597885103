// A perf event array whose buffers keep the newest records: a flight recorder, read on demand.
//
// libbpf has no such mode: it maps its buffers for writing, and the kernel overwrites only in buffers that
// are mapped for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "perf_event.h"
#include "source.h"
#include "unique_fd.h"

namespace bpfnode {

class OverwritableSource : public Source {
 public:
  // `map_fd` is duplicated. nullptr with errno set on failure.
  static std::unique_ptr<OverwritableSource> Open(int map_fd, const PerfOptions& options);

  [[nodiscard]] const char* open_call() const override { return "perf_event_open"; }
  [[nodiscard]] const char* take_call() const override { return "ioctl(PERF_EVENT_IOC_PAUSE_OUTPUT)"; }
  [[nodiscard]] Extras extras() const override { return {true, times_, cpus_}; }
  // Never readable: what is there is read when it is asked for.
  [[nodiscard]] int poll_fd() const override { return epoll_.get(); }
  [[nodiscard]] bool tells_once() const override { return false; }
  // Takes what came since the last time, by CPU, the oldest first.
  TakeResult Take(Batch& batch) override;
  std::optional<uint64_t> Available() override;

 private:
  class Buffer {
   public:
    Buffer(uint32_t on_cpu, UniqueFd event_fd) : cpu(on_cpu), fd(std::move(event_fd)) {}
    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Buffer(Buffer&&) = delete;
    Buffer& operator=(Buffer&&) = delete;

    // Answers whether that worked; errno tells why not.
    bool Map(size_t pages);
    // Where the newest record starts; the kernel writes towards smaller positions.
    [[nodiscard]] uint64_t head() const;
    // Bytes that came since the last time and are still there.
    [[nodiscard]] uint64_t fresh(uint64_t head) const;
    void Copy(uint64_t position, uint8_t* into, size_t size) const;

    const uint32_t cpu;
    const UniqueFd fd;
    uint64_t read_until = 0;

   private:
    uint8_t* memory_ = nullptr;
    size_t mapped_ = 0;
    const uint8_t* data_ = nullptr;
    size_t size_ = 0;
  };

  struct Pending {
    uint32_t cpu;
    // Of whole records, 8-byte aligned as they are.
    std::vector<uint64_t> record;
  };

  // Moves what is new in a buffer to the pending records. Answers 0 or a negative errno.
  int Snapshot(Buffer& buffer);

  bool times_ = false;
  uint32_t cpus_ = 0;
  UniqueFd map_fd_;
  UniqueFd epoll_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::deque<Pending> pending_;
};

}  // namespace bpfnode
