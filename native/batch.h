// Where a source puts records, for JavaScript to see.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "alignment.h"

namespace bpfnode {

// memcpy for records, most of which are short: a call for each would cost more than its copying.
inline void CopyRecord(uint8_t* to, const uint8_t* from, size_t size) {
  constexpr size_t kWords = 16;
  constexpr size_t kShort = 256;
  if (size < kWords || size > kShort) {
    if (size > 0) memcpy(to, from, size);
    return;
  }
  // The last step overlaps the one before it where the size is no multiple.
  const size_t last = size - kWords;
  for (size_t at = 0; at < last; at += kWords) memcpy(to + at, from + at, kWords);
  memcpy(to + last, from + last, kWords);
}

// A ring is larger than the caches, and its records are read once, in order: waiting for memory is most of
// the work. Asking for what comes some records later halves it. At a ring's end this asks for memory that
// isn't there, which a prefetch may.
inline void PrefetchBehind(const void* record) {
  constexpr size_t kLine = 64;
  constexpr size_t kAhead = 10 * kLine;
  const auto* ahead = static_cast<const uint8_t*>(record) + kAhead;
  __builtin_prefetch(ahead);
  __builtin_prefetch(ahead + kLine);
}

// The memory belongs to ArrayBuffers; see Pump::Prepare().
struct Batch {
  uint8_t* bytes = nullptr;
  size_t capacity = 0;
  uint32_t* index = nullptr;
  uint32_t max_records = 0;
  // By record: the ring or CPU that it came from. nullptr where there is one only.
  uint32_t* origins = nullptr;
  // By record: nanoseconds of the kernel's clock. nullptr where records have none.
  uint64_t* times = nullptr;
  // By CPU: records lost since the start. nullptr where the kernel does not count.
  double* lost = nullptr;
  uint32_t cpus = 0;

  size_t used = 0;
  uint32_t count = 0;
  // Whether `lost` has risen.
  bool has_lost = false;
  // A record that found no room. libbpf counts a record as consumed even when its callback says stop, so it
  // waits here and leads the next batch.
  std::vector<uint8_t> carry;
  uint32_t carry_origin = 0;
  uint64_t carry_time = 0;
  bool has_carry = false;

  [[nodiscard]] bool Fits(size_t size) const { return count < max_records && size <= capacity - used; }
  // Whether a record that is not known yet may find room: stopping before it saves the detour by the carry.
  [[nodiscard]] bool HasRoom() const { return Fits(8); }

  // For a record that fits.
  void Append(const void* data, size_t size, uint32_t origin, uint64_t time) {
    CopyRecord(bytes + used, static_cast<const uint8_t*>(data), size);
    index[size_t{count} * 2] = static_cast<uint32_t>(used);
    index[size_t{count} * 2 + 1] = static_cast<uint32_t>(size);
    if (origins != nullptr) origins[count] = origin;
    if (times != nullptr) times[count] = time;
    ++count;
    used = std::min(RoundUp8(used + size), capacity);
  }
  // Appends a record, or keeps it as the carry. Answers whether a further one may find room.
  bool Take(const void* data, size_t size, uint32_t origin = 0, uint64_t time = 0) {
    PrefetchBehind(data);
    if (!Fits(size)) {
      Carry(data, size, origin, time);
      return false;
    }
    Append(data, size, origin, time);
    return HasRoom();
  }
  void Carry(const void* data, size_t size, uint32_t origin, uint64_t time);
  void AppendCarry();
  void AddLost(uint32_t cpu, uint64_t number);
};

}  // namespace bpfnode
