#include "overwritable_source.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace bpfnode {

OverwritableSource::Buffer::~Buffer() {
  if (memory_ != nullptr) munmap(memory_, mapped_);
}

bool OverwritableSource::Buffer::Map(size_t pages) {
  const auto page_size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  mapped_ = (pages + 1) * page_size;
  void* memory = mmap(nullptr, mapped_, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return false;
  memory_ = static_cast<uint8_t*>(memory);
  data_ = memory_ + page_size;
  size_ = pages * page_size;
  return true;
}

uint64_t OverwritableSource::Buffer::head() const {
  const auto* page = reinterpret_cast<const perf_event_mmap_page*>(memory_);
  return __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
}

uint64_t OverwritableSource::Buffer::fresh(uint64_t head) const {
  // Positions wrap at 2^64, and the difference is right nevertheless.
  return std::min<uint64_t>(read_until - head, size_);
}

void OverwritableSource::Buffer::Copy(uint64_t position, uint8_t* into, size_t size) const {
  const size_t start = position & (size_ - 1);
  const size_t before_end = std::min(size, size_ - start);
  memcpy(into, data_ + start, before_end);
  memcpy(into + before_end, data_, size - before_end);
}

std::unique_ptr<OverwritableSource> OverwritableSource::Open(int map_fd, const PerfOptions& options) {
  auto source = std::make_unique<OverwritableSource>();
  source->map_fd_ = UniqueFd::Duplicate(map_fd);
  source->epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!source->map_fd_ || !source->epoll_) return nullptr;
  if ((options.pages & (options.pages - 1)) != 0) {
    errno = EINVAL;
    return nullptr;
  }
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) {
    errno = -cpus;
    return nullptr;
  }
  source->cpus_ = static_cast<uint32_t>(cpus);
  source->times_ = options.times;

  perf_event_attr attributes = BpfOutputEvent(options);
  attributes.write_backward = 1;
  for (uint32_t cpu = 0; cpu < source->cpus_; ++cpu) {
    UniqueFd fd(static_cast<int>(
        syscall(SYS_perf_event_open, &attributes, -1, static_cast<int>(cpu), -1, PERF_FLAG_FD_CLOEXEC)));
    // The CPU is offline.
    if (!fd && errno == ENODEV) continue;
    if (!fd) return nullptr;
    auto buffer = std::make_unique<Buffer>(cpu, std::move(fd));
    const int event_fd = buffer->fd.get();
    if (!buffer->Map(options.pages)) return nullptr;
    if (bpf_map_update_elem(source->map_fd_.get(), &cpu, &event_fd, BPF_ANY) != 0) return nullptr;
    if (ioctl(event_fd, PERF_EVENT_IOC_ENABLE, 0) != 0) return nullptr;
    source->buffers_.push_back(std::move(buffer));
  }
  return source;
}

int OverwritableSource::Snapshot(Buffer& buffer) {
  // Nothing is written meanwhile: the kernel counts as lost what would have been.
  if (ioctl(buffer.fd.get(), PERF_EVENT_IOC_PAUSE_OUTPUT, 1) != 0) return -errno;
  const uint64_t head = buffer.head();
  const uint64_t fresh = buffer.fresh(head);
  std::vector<Pending> newest_first;
  for (uint64_t at = 0; at + sizeof(perf_event_header) <= fresh;) {
    perf_event_header header = {};
    buffer.Copy(head + at, reinterpret_cast<uint8_t*>(&header), sizeof(header));
    // The oldest record was overwritten in part; or the buffer was never filled so far.
    if (header.size < sizeof(header) || at + header.size > fresh) break;
    Pending pending = {buffer.cpu, std::vector<uint64_t>(RoundUp8(header.size) / 8)};
    buffer.Copy(head + at, reinterpret_cast<uint8_t*>(pending.record.data()), header.size);
    newest_first.push_back(std::move(pending));
    at += header.size;
  }
  buffer.read_until = head;
  const int error = ioctl(buffer.fd.get(), PERF_EVENT_IOC_PAUSE_OUTPUT, 0) != 0 ? -errno : 0;
  std::move(newest_first.rbegin(), newest_first.rend(), std::back_inserter(pending_));
  return error;
}

TakeResult OverwritableSource::Take(Batch& batch) {
  if (pending_.empty()) {
    for (const auto& buffer : buffers_) {
      const int error = Snapshot(*buffer);
      if (error != 0) return {error, false};
    }
  }
  while (!pending_.empty()) {
    const Pending pending = std::move(pending_.front());
    pending_.pop_front();
    const auto* header = reinterpret_cast<const perf_event_header*>(pending.record.data());
    if (!TakePerfRecord(batch, pending.cpu, header, times_)) return {0, true};
  }
  return {};
}

std::optional<uint64_t> OverwritableSource::Available() {
  uint64_t sum = 0;
  for (const auto& buffer : buffers_) sum += buffer->fresh(buffer->head());
  for (const auto& pending : pending_) sum += pending.record.size() * 8;
  return sum;
}

}  // namespace bpfnode
