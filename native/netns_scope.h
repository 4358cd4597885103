// This thread in another network namespace, for as long as the scope lasts.
#pragma once

#include "unique_fd.h"

namespace bpfnode {

// Interfaces are known by name and index in their namespace alone, and attaching looks them up in that of the
// calling thread. No JavaScript may run inside the scope, nor anything that sleeps.
class NetnsScope {
 public:
  // `fd`: of a network namespace, or negative for the one where the thread is. See `error()`.
  explicit NetnsScope(int fd);
  // Ends the process if there is no way back: a loop that goes on in the wrong network would be worse.
  ~NetnsScope();
  NetnsScope(const NetnsScope&) = delete;
  NetnsScope& operator=(const NetnsScope&) = delete;
  NetnsScope(NetnsScope&&) = delete;
  NetnsScope& operator=(NetnsScope&&) = delete;

  // 0, or the errno for which the thread stayed where it was.
  [[nodiscard]] int error() const { return error_; }

 private:
  // Empty where nothing changed.
  UniqueFd home_;
  int error_ = 0;
};

}  // namespace bpfnode
