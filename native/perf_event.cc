#include "perf_event.h"

#include <cstddef>
#include <cstring>
#include <ctime>

namespace bpfnode {
namespace {

// An object at any address: fields behind a 4-byte length are not aligned.
template <class T>
T Read(const uint8_t* at) {
  T value;
  memcpy(&value, at, sizeof(value));
  return value;
}

// A sample has the time, where asked for, then the length of the raw data, then the data.
bool TakeSample(Batch& batch, uint32_t cpu, const uint8_t* body, size_t size, bool times) {
  uint64_t time = 0;
  if (times) {
    if (size < sizeof(time)) return true;
    time = Read<uint64_t>(body);
    body += sizeof(time);
    size -= sizeof(time);
  }
  if (size < sizeof(uint32_t)) return true;
  const auto length = Read<uint32_t>(body);
  if (length > size - sizeof(uint32_t)) return true;
  return batch.Take(body + sizeof(uint32_t), length, cpu, time);
}

}  // namespace

perf_event_attr BpfOutputEvent(const PerfOptions& options) {
  perf_event_attr attributes = {};
  attributes.size = sizeof(attributes);
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_BPF_OUTPUT;
  attributes.sample_type = PERF_SAMPLE_RAW;
  if (options.times) attributes.sample_type |= PERF_SAMPLE_TIME;
  attributes.sample_period = 1;
  if (options.times) {
    attributes.use_clockid = 1;
    attributes.clockid = CLOCK_MONOTONIC;
  }
  if (options.wakeup_events > 0) {
    attributes.wakeup_events = options.wakeup_events;
  } else {
    attributes.watermark = 1;
    attributes.wakeup_watermark = options.watermark;
  }
  return attributes;
}

bool TakePerfRecord(Batch& batch, uint32_t cpu, const perf_event_header* record, bool times) {
  if (record->size < sizeof(*record)) return true;
  const auto* body = reinterpret_cast<const uint8_t*>(record) + sizeof(*record);
  const size_t size = record->size - sizeof(*record);
  if (record->type == PERF_RECORD_SAMPLE) return TakeSample(batch, cpu, body, size, times);
  if (record->type == PERF_RECORD_LOST && size >= 2 * sizeof(uint64_t)) {
    // The id of the event, then the number.
    batch.AddLost(cpu, Read<uint64_t>(body + sizeof(uint64_t)));
  }
  return true;
}

}  // namespace bpfnode
