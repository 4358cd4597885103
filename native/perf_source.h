// A perf event array, read through libbpf's perf_buffer.
#pragma once

#include <bpf/libbpf.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "handles.h"
#include "perf_event.h"
#include "source.h"
#include "unique_fd.h"

namespace bpfnode {

class PerfSource : public Source {
 public:
  // `map_fd` is duplicated. nullptr with errno set and `log` filled on failure.
  static std::unique_ptr<PerfSource> Open(int map_fd, const PerfOptions& options, std::string& log);

  [[nodiscard]] const char* open_call() const override { return "perf_buffer__new_raw"; }
  [[nodiscard]] const char* take_call() const override { return "perf_buffer__consume_buffer"; }
  [[nodiscard]] Extras extras() const override;
  [[nodiscard]] int poll_fd() const override;
  // perf_poll() of kernel/events/core.c takes the wake-up back as it tells of it.
  [[nodiscard]] bool tells_once() const override { return true; }
  TakeResult Take(Batch& batch) override;
  std::optional<uint64_t> Available() override;

 private:
  static bpf_perf_event_ret OnEvent(void* context, int cpu, perf_event_header* event);

  // Set for the time of a Take().
  Batch* batch_ = nullptr;
  bool times_ = false;
  uint32_t cpus_ = 0;
  UniqueFd map_fd_;
  // Behind map_fd_, which it uses when it is freed.
  UniquePerfBuffer buffer_;
  // Which CPU's buffer comes first in the next batch.
  size_t next_ = 0;
};

}  // namespace bpfnode
