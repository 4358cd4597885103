// What a pump pumps from: rings, perf buffers, lines of a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "batch.h"

namespace bpfnode {

// How Take() ended.
struct TakeResult {
  // 0, or the negative errno of the call below.
  int error = 0;
  // Whether there was no room for all that is there.
  bool stopped_early = false;
};

// What the records of a source carry beside their bytes.
struct Extras {
  bool origins = false;
  bool times = false;
  // CPUs that are counted losses for; 0: the kernel does not count.
  uint32_t lost_cpus = 0;
};

class Source {
 public:
  Source() = default;
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  Source(Source&&) = delete;
  Source& operator=(Source&&) = delete;

  // Names of libbpf's functions, for failures.
  [[nodiscard]] virtual const char* open_call() const = 0;
  [[nodiscard]] virtual const char* take_call() const = 0;
  [[nodiscard]] virtual Extras extras() const = 0;

  // Readable when there may be records. Valid while the source lives.
  [[nodiscard]] virtual int poll_fd() const = 0;
  // Whether the descriptor may be silent though records are left: it tells of a wake-up once only.
  [[nodiscard]] virtual bool tells_once() const = 0;

  // Puts records into the batch, which has room for one at least. No JavaScript runs in it.
  virtual TakeResult Take(Batch& batch) = 0;
  // Bytes that wait in the kernel, headers included; nullopt where nobody can tell.
  virtual std::optional<uint64_t> Available() = 0;
  // The pump has closed: what must not wait for the loop is given back.
  virtual void Release() {}
};

}  // namespace bpfnode
