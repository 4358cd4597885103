// Where a source puts records, for JavaScript to see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bpfnode {

constexpr size_t RoundUp8(size_t size) { return (size + 7) & ~size_t{7}; }

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
  void Append(const void* data, size_t size, uint32_t origin, uint64_t time);
  // Appends a record, or keeps it as the carry. Answers whether a further one may find room.
  bool Take(const void* data, size_t size, uint32_t origin = 0, uint64_t time = 0);
  void AppendCarry();
  void AddLost(uint32_t cpu, uint64_t number);
};

}  // namespace bpfnode
