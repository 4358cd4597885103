// BPF_MAP_*_BATCH: many entries in one system call. Linux 5.6.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bpfnode {

// The order is part of the interface: see lib/native/map.ts.
enum class BatchOperation : uint32_t { kLookup, kLookupAndDelete, kUpdate, kDelete, kCount };

struct BatchRequest {
  BatchOperation operation = BatchOperation::kLookup;
  // Whether a walk starts: the cursor says nothing yet.
  bool first = true;
  // Where a walk stands: max(4, key size) bytes, the kernel's own affair.
  uint8_t* cursor = nullptr;
  uint8_t* keys = nullptr;
  uint8_t* values = nullptr;
  uint32_t count = 0;
  uint32_t flags = 0;
};

struct BatchResult {
  uint32_t count = 0;
  int error = 0;
};

// The caller has checked that the buffers hold `count` entries.
BatchResult RunBatch(int fd, const BatchRequest& request);

const char* BatchCall(BatchOperation operation);

}  // namespace bpfnode
