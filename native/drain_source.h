// Drains of a user ring buffer: an empty record whenever a program has taken records out of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "source.h"
#include "unique_fd.h"

namespace bpfnode {

class DrainSource : public Source {
 public:
  // Of the map behind `map_fd`, which is duplicated. nullptr with errno set on failure.
  static std::unique_ptr<DrainSource> Open(int map_fd);

  [[nodiscard]] const char* open_call() const override { return "epoll_ctl"; }
  [[nodiscard]] const char* take_call() const override { return "epoll_wait"; }
  [[nodiscard]] Extras extras() const override { return {}; }
  [[nodiscard]] int poll_fd() const override { return epoll_.get(); }
  [[nodiscard]] bool tells_once() const override { return false; }
  TakeResult Take(Batch& batch) override;
  std::optional<uint64_t> Available() override { return std::nullopt; }

 private:
  UniqueFd map_fd_;
  UniqueFd epoll_;
};

}  // namespace bpfnode
