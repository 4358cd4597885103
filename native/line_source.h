// Lines of a file that can be polled: trace_pipe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "source.h"
#include "unique_fd.h"

namespace bpfnode {

class LineSource : public Source {
 public:
  // Takes `fd` over, which must not block. `folder`: removed when the reader ends, whichever way; may be
  // empty.
  LineSource(UniqueFd fd, std::string folder);
  ~LineSource() override { LineSource::Release(); }
  LineSource(const LineSource&) = delete;
  LineSource& operator=(const LineSource&) = delete;
  LineSource(LineSource&&) = delete;
  LineSource& operator=(LineSource&&) = delete;

  [[nodiscard]] const char* open_call() const override { return "open"; }
  [[nodiscard]] const char* take_call() const override { return "read"; }
  [[nodiscard]] Extras extras() const override { return {}; }
  [[nodiscard]] int poll_fd() const override { return fd_.get(); }
  // Lines that were read and not delivered lie here: of them the descriptor tells nothing.
  [[nodiscard]] bool tells_once() const override { return true; }
  TakeResult Take(Batch& batch) override;
  std::optional<uint64_t> Available() override { return std::nullopt; }
  // A tracing instance cannot be removed while its pipe is open.
  void Release() override;

 private:
  // Moves whole lines into the batch. Answers whether a further one may find room.
  bool TakeLines(Batch& batch);

  UniqueFd fd_;
  std::string folder_;
  // Read and not delivered: from start_ to end_.
  std::vector<uint8_t> buffer_;
  size_t start_ = 0;
  size_t end_ = 0;
};

}  // namespace bpfnode
