#include "batch.h"

namespace bpfnode {

void Batch::Carry(const void* data, size_t size, uint32_t origin, uint64_t time) {
  const auto* record = static_cast<const uint8_t*>(data);
  carry.assign(record, record + size);
  carry_origin = origin;
  carry_time = time;
  has_carry = true;
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
