#include "drain_source.h"

#include <sys/epoll.h>

#include <cerrno>

namespace bpfnode {

std::unique_ptr<DrainSource> DrainSource::Open(int map_fd) {
  auto source = std::make_unique<DrainSource>();
  source->map_fd_ = UniqueFd::Duplicate(map_fd);
  source->epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!source->map_fd_ || !source->epoll_) return nullptr;
  // By edges: the ring is writable whenever it is not full to the last byte, which says nothing of a record's
  // size. Each drain is an edge.
  epoll_event event = {};
  event.events = EPOLLOUT | EPOLLET;
  if (epoll_ctl(source->epoll_.get(), EPOLL_CTL_ADD, source->map_fd_.get(), &event) != 0) return nullptr;
  return source;
}

TakeResult DrainSource::Take(Batch& batch) {
  epoll_event event = {};
  const int count = epoll_wait(epoll_.get(), &event, 1, 0);
  if (count < 0) return {errno == EINTR ? 0 : -errno, false};
  if (count > 0) batch.Take(nullptr, 0);
  return {};
}

}  // namespace bpfnode
