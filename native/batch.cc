#include "batch.h"

#include <algorithm>
#include <cstring>

namespace bpfnode {

void Batch::Append(const void* data, size_t size, uint32_t origin, uint64_t time) {
  if (size > 0) memcpy(bytes + used, data, size);
  index[size_t{count} * 2] = static_cast<uint32_t>(used);
  index[size_t{count} * 2 + 1] = static_cast<uint32_t>(size);
  if (origins != nullptr) origins[count] = origin;
  if (times != nullptr) times[count] = time;
  ++count;
  used = std::min(RoundUp8(used + size), capacity);
}

bool Batch::Take(const void* data, size_t size, uint32_t origin, uint64_t time) {
  if (!Fits(size)) {
    const auto* record = static_cast<const uint8_t*>(data);
    carry.assign(record, record + size);
    carry_origin = origin;
    carry_time = time;
    has_carry = true;
    return false;
  }
  Append(data, size, origin, time);
  return HasRoom();
}

void Batch::AppendCarry() {
  Append(carry.data(), carry.size(), carry_origin, carry_time);
  has_carry = false;
  if (carry.capacity() > capacity) std::vector<uint8_t>().swap(carry);
}

void Batch::AddLost(uint32_t cpu, uint64_t number) {
  if (lost == nullptr || cpu >= cpus) return;
  lost[cpu] += static_cast<double>(number);
  has_lost = true;
}

}  // namespace bpfnode
