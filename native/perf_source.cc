#include "perf_source.h"

#include <cerrno>

#include "log.h"

namespace bpfnode {
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

  perf_event_attr attributes = BpfOutputEvent(options);
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
  const bool go_on = TakePerfRecord(*self->batch_, static_cast<uint32_t>(cpu), event, self->times_);
  return go_on ? LIBBPF_PERF_EVENT_CONT : LIBBPF_PERF_EVENT_DONE;
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
