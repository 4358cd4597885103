#include "perf_source.h"

#include <linux/perf_event.h>

#include <cerrno>
#include <cstring>

#include "log.h"

namespace bpfnode {
namespace {

// An object at any address: records are 8-byte aligned only as far as their sizes are.
template <class T>
T Read(const uint8_t* at) {
  T value;
  memcpy(&value, at, sizeof(value));
  return value;
}

}  // namespace

std::unique_ptr<PerfSource> PerfSource::Open(int map_fd, const PerfOptions& options, std::string& log) {
  auto source = std::make_unique<PerfSource>();
  source->map_fd_ = UniqueFd::Duplicate(map_fd);
  if (!source->map_fd_) return nullptr;
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) {
    errno = -cpus;
    return nullptr;
  }
  source->cpus_ = static_cast<uint32_t>(cpus);
  source->times_ = options.times;

  perf_event_attr attributes = {};
  attributes.size = sizeof(attributes);
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_BPF_OUTPUT;
  attributes.sample_type = PERF_SAMPLE_RAW | (options.times ? PERF_SAMPLE_TIME : 0);
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
  // libbpf opens a buffer for each CPU that is online.
  LogCapture capture;
  source->buffer_.reset(perf_buffer__new_raw(source->map_fd_.get(), options.pages, &attributes, OnEvent,
                                             source.get(), nullptr));
  if (!source->buffer_) {
    const int error = errno;
    log = capture.Take();
    errno = error;
    return nullptr;
  }
  return source;
}

Extras PerfSource::extras() const { return {true, times_, cpus_}; }

int PerfSource::poll_fd() const { return perf_buffer__epoll_fd(buffer_.get()); }

// libbpf's callback: copies, and calls nobody.
bpf_perf_event_ret PerfSource::OnEvent(void* context, int cpu, perf_event_header* event) {
  auto* self = static_cast<PerfSource*>(context);
  const auto* body = reinterpret_cast<const uint8_t*>(event) + sizeof(*event);
  if (event->size < sizeof(*event)) return LIBBPF_PERF_EVENT_ERROR;
  const size_t size = event->size - sizeof(*event);
  bool go_on = true;
  if (event->type == PERF_RECORD_SAMPLE) {
    go_on = self->OnSample(static_cast<uint32_t>(cpu), body, size);
  } else if (event->type == PERF_RECORD_LOST && size >= 2 * sizeof(uint64_t)) {
    // The id of the event, then the number.
    self->batch_->AddLost(static_cast<uint32_t>(cpu), Read<uint64_t>(body + sizeof(uint64_t)));
  }
  return go_on ? LIBBPF_PERF_EVENT_CONT : LIBBPF_PERF_EVENT_DONE;
}

// A sample has the time, where asked for, then the length of the raw data, then the data.
bool PerfSource::OnSample(uint32_t cpu, const uint8_t* body, size_t size) {
  uint64_t time = 0;
  if (times_) {
    if (size < sizeof(time)) return true;
    time = Read<uint64_t>(body);
    body += sizeof(time);
    size -= sizeof(time);
  }
  if (size < sizeof(uint32_t)) return true;
  const auto length = Read<uint32_t>(body);
  if (length > size - sizeof(uint32_t)) return true;
  return batch_->Take(body + sizeof(uint32_t), length, cpu, time);
}

TakeResult PerfSource::Take(Batch& batch) {
  batch_ = &batch;
  const size_t buffers = perf_buffer__buffer_cnt(buffer_.get());
  for (size_t i = 0; i < buffers; ++i) {
    const size_t turn = (next_ + i) % buffers;
    const int result = perf_buffer__consume_buffer(buffer_.get(), turn);
    if (result < 0) return {result, false};
    if (batch.has_carry || !batch.HasRoom()) {
      next_ = (turn + 1) % buffers;
      return {0, true};
    }
  }
  return {};
}

std::optional<uint64_t> PerfSource::Available() {
  uint64_t sum = 0;
  const size_t buffers = perf_buffer__buffer_cnt(buffer_.get());
  for (size_t i = 0; i < buffers; ++i) {
    void* memory = nullptr;
    size_t size = 0;
    if (perf_buffer__buffer(buffer_.get(), static_cast<int>(i), &memory, &size) != 0) continue;
    const auto* page = static_cast<const perf_event_mmap_page*>(memory);
    const uint64_t tail = page->data_tail;
    sum += __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE) - tail;
  }
  return sum;
}

}  // namespace bpfnode
