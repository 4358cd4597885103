#include "line_source.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace bpfnode {
namespace {

// Longer than any line of the kernel's, and than what one read() of trace_pipe gives.
constexpr size_t kBufferSize = size_t{64} << 10;

}  // namespace

LineSource::LineSource(UniqueFd fd, std::string folder)
    : fd_(std::move(fd)), folder_(std::move(folder)), buffer_(kBufferSize) {}

void LineSource::Release() {
  fd_.Reset();
  // Where it can't be removed, somebody else reads from it: it is theirs now.
  if (!folder_.empty()) rmdir(folder_.c_str());
  folder_.clear();
}

bool LineSource::TakeLines(Batch& batch) {
  while (batch.HasRoom()) {
    const uint8_t* line = buffer_.data() + start_;
    const size_t left = end_ - start_;
    const auto* feed = static_cast<const uint8_t*>(memchr(line, '\n', left));
    // A line that fills the whole buffer is delivered in pieces.
    if (feed == nullptr && left < buffer_.size()) return true;
    const size_t length = feed == nullptr ? left : static_cast<size_t>(feed - line);
    start_ += std::min(length + 1, left);
    if (!batch.Take(line, length)) return false;
  }
  return false;
}

TakeResult LineSource::Take(Batch& batch) {
  for (;;) {
    if (!TakeLines(batch)) return {0, true};
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(start_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= std::exchange(start_, 0);
    const ssize_t got = read(fd_.get(), buffer_.data() + end_, buffer_.size() - end_);
    if (got == 0) return {};
    if (got > 0) {
      end_ += static_cast<size_t>(got);
    } else if (errno == EAGAIN) {
      return {};
    } else if (errno != EINTR) {
      return {-errno, false};
    }
  }
}

}  // namespace bpfnode
