// What PerfSource and OverwritableSource have in common: the event that programs write to, and its records.
//
// Source: perf_event_open(2).
#pragma once

#include <linux/perf_event.h>

#include <cstdint>

#include "batch.h"

namespace bpfnode {

struct PerfOptions {
  // Of each CPU's buffer; a power of two.
  uint32_t pages = 0;
  // Wake up after this many records; or, where that is 0, after `watermark` bytes.
  uint32_t wakeup_events = 1;
  uint32_t watermark = 0;
  bool times = false;
};

perf_event_attr BpfOutputEvent(const PerfOptions& options);

// Puts a sample into the batch, or counts what the kernel says was lost; leaves other records alone. The
// record lies in one piece. Answers whether a further record may find room.
bool TakePerfRecord(Batch& batch, uint32_t cpu, const perf_event_header* record, bool times);

}  // namespace bpfnode
