#include "ring_source.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "log.h"

namespace bpfnode {
namespace {

// Stops libbpf. It takes any positive number for "go on", as it does 0; any negative one would do, and this
// one cannot come from libbpf itself.
constexpr int kStop = -ECANCELED;

}  // namespace

RingSource::Positions::~Positions() {
  if (pages_ != nullptr) munmap(pages_, page_size_ * 2);
}

int RingSource::Positions::Map(int fd) {
  page_size_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  // The consumer's page and the producer's behind it: kernel/bpf/ringbuf.c.
  void* pages = mmap(nullptr, page_size_ * 2, PROT_READ, MAP_SHARED, fd, 0);
  if (pages == MAP_FAILED) return errno;
  pages_ = pages;
  return 0;
}

uint64_t RingSource::Positions::Available() const {
  const auto* consumer = static_cast<const uint64_t*>(pages_);
  const auto* producer = reinterpret_cast<const uint64_t*>(static_cast<const uint8_t*>(pages_) + page_size_);
  // The consumer first: read in this order the difference is never negative.
  const uint64_t consumed = __atomic_load_n(consumer, __ATOMIC_ACQUIRE);
  return __atomic_load_n(producer, __ATOMIC_ACQUIRE) - consumed;
}

std::unique_ptr<RingSource> RingSource::Open(const std::vector<int>& fds, Failed& failed) {
  auto source = std::make_unique<RingSource>();
  for (const int fd : fds) {
    auto ring = std::make_unique<Ring>();
    ring->origin = static_cast<uint32_t>(source->rings_.size());
    ring->map_fd = UniqueFd::Duplicate(fd);
    if (!ring->map_fd) {
      failed = {"fcntl(F_DUPFD_CLOEXEC)", errno, {}};
      return nullptr;
    }
    const int busy = ring->claim.Take(fd);
    if (busy != 0) {
      failed = {"ring_buffer__new", busy, {}};
      return nullptr;
    }
    LogCapture capture;
    ring->ring.reset(ring_buffer__new(ring->map_fd.get(), OnRecord, ring.get(), nullptr));
    if (!ring->ring) {
      failed = {"ring_buffer__new", errno, capture.Take()};
      return nullptr;
    }
    const int error = ring->positions.Map(ring->map_fd.get());
    if (error != 0) {
      failed = {"mmap", error, {}};
      return nullptr;
    }
    source->rings_.push_back(std::move(ring));
  }
  if (source->rings_.size() == 1) return source;

  source->epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  for (const auto& ring : source->rings_) {
    epoll_event event = {};
    event.events = EPOLLIN;
    const int ring_fd = ring_buffer__epoll_fd(ring->ring.get());
    if (!source->epoll_ || epoll_ctl(source->epoll_.get(), EPOLL_CTL_ADD, ring_fd, &event) != 0) {
      failed = {"epoll_ctl", errno, {}};
      return nullptr;
    }
  }
  return source;
}

void RingSource::Release() {
  for (const auto& ring : rings_) ring->claim.Release();
}

Extras RingSource::extras() const {
  Extras extras;
  extras.origins = rings_.size() > 1;
  return extras;
}

int RingSource::poll_fd() const {
  return rings_.size() == 1 ? ring_buffer__epoll_fd(rings_.front()->ring.get()) : epoll_.get();
}

// libbpf's callback: copies, and calls nobody.
int RingSource::OnRecord(void* context, void* data, size_t size) {
  const auto* ring = static_cast<Ring*>(context);
  return ring->batch->Take(data, size, ring->origin) ? 0 : kStop;
}

TakeResult RingSource::Take(Batch& batch) {
  const size_t first = next_;
  for (size_t i = 0; i < rings_.size(); ++i) {
    const size_t turn = (first + i) % rings_.size();
    Ring& ring = *rings_[turn];
    ring.batch = &batch;
    const int result = ring_buffer__consume(ring.ring.get());
    if (result >= 0) continue;
    if (result != kStop) return {result, false};
    next_ = (turn + 1) % rings_.size();
    return {0, true};
  }
  return {};
}

std::optional<uint64_t> RingSource::Available() {
  uint64_t sum = 0;
  for (const auto& ring : rings_) sum += ring->positions.Available();
  return sum;
}

}  // namespace bpfnode
