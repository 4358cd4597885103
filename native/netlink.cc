#include "netlink.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "arguments.h"
#include "failure.h"
#include "netns_scope.h"
#include "unique_fd.h"
#include "values.h"

namespace bpfnode {
namespace {

constexpr const char* kCall = "netlink";
// The kernel fills 32 KiB at most with one message of a dump.
constexpr size_t kReceiveBytes = 64 << 10;
constexpr size_t kMaxAnswer = size_t{64} << 20;
// The kernel answers within the call; this is against waiting for ever.
constexpr timeval kPatience = {5, 0};

// Takes the messages of one datagram; true when the answer is whole.
bool Take(const uint8_t* bytes, size_t size, NetlinkAnswer* answer) {
  size_t at = 0;
  while (size - at >= sizeof(nlmsghdr)) {
    nlmsghdr header = {};
    memcpy(&header, bytes + at, sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size - at) {
      answer->error = EBADMSG;
      return true;
    }
    if (header.nlmsg_type == NLMSG_DONE) return true;
    if (header.nlmsg_type == NLMSG_ERROR) {
      int32_t status = -EBADMSG;
      if (header.nlmsg_len >= sizeof(header) + sizeof(status)) {
        memcpy(&status, bytes + at + sizeof(header), sizeof(status));
      }
      answer->error = -status;
      return true;
    }
    const size_t aligned = std::min(size - at, size_t{NLMSG_ALIGN(header.nlmsg_len)});
    answer->messages.insert(answer->messages.end(), bytes + at, bytes + at + aligned);
    at += aligned;
    if ((header.nlmsg_flags & NLM_F_MULTI) == 0) return true;
  }
  return false;
}

}  // namespace

NetlinkAnswer AskNetlink(const void* request, size_t size) {
  NetlinkAnswer answer;
  const UniqueFd socket_fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket_fd) return {{}, errno};
  setsockopt(socket_fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  if (sendto(socket_fd.get(), request, size, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof(kernel)) < 0) {
    return {{}, errno};
  }
  std::vector<uint8_t> buffer(kReceiveBytes);
  for (;;) {
    const ssize_t received = recv(socket_fd.get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return {{}, errno};
    if (static_cast<size_t>(received) > buffer.size() || answer.messages.size() > kMaxAnswer) {
      return {{}, EMSGSIZE};
    }
    if (Take(buffer.data(), static_cast<size_t>(received), &answer)) return answer;
  }
}

namespace {

NetlinkAnswer AskIn(int netns_fd, const Bytes& request) {
  const NetnsScope scope(netns_fd);
  if (scope.error() != 0) return {{}, scope.error()};
  return AskNetlink(request.data, request.size);
}

}  // namespace

Napi::Value NetlinkDump(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto request = ToBytes(env, info[0], {kCall, "request"});
  if (!request) return {};
  const auto netns_fd = ToOptionalFd(env, info[1], {kCall, "netns"});
  if (!netns_fd) return {};
  const auto subject = ToText(env, info[2], {kCall, "subject"});
  if (!subject) return {};
  if (request->size < sizeof(nlmsghdr)) {
    Throw(env,
          {kCall, 0, "request", {}, Reason::kSize, sizeof(nlmsghdr), static_cast<double>(request->size)});
    return {};
  }
  const NetlinkAnswer answer = AskIn(*netns_fd, *request);
  if (answer.error != 0) {
    Throw(env, {kCall, answer.error, *subject, {}});
    return {};
  }
  return ToUint8Array(env, answer.messages.data(), answer.messages.size());
}

}  // namespace bpfnode
