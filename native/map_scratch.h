// The quickest way to one entry: a key and a value at fixed places, and functions without arguments.
//
// Reading two typed arrays and a number costs more than a fifth of the system call; here nothing is read. The
// memory is C++'s: whatever JavaScript does to the ArrayBuffer, it stays valid as long as anything uses it.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace bpfnode {

struct MapScratch {
  // Of the map; -1 once it is closed.
  int fd = -1;
  std::string subject;
  size_t value_offset = 0;
  std::unique_ptr<uint8_t[]> bytes;  // NOLINT(modernize-avoid-c-arrays)
};

// An object with `bytes` (the key from 0 on, the value from `valueOffset` on), `lookup()` and `update()`.
// Lookup answers undefined if the key is there, false if not; update has flags of 0. Empty where the runtime
// has no external buffers.
Napi::Value ScratchObject(Napi::Env env, const std::shared_ptr<MapScratch>& scratch, size_t size);

}  // namespace bpfnode
