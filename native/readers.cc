#include "readers.h"

#include <cerrno>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "arguments.h"
#include "drain_source.h"
#include "failure.h"
#include "line_source.h"
#include "overwritable_source.h"
#include "perf_source.h"
#include "pump.h"
#include "ring_source.h"

namespace bpfnode {
namespace {

constexpr uint32_t kMaxRings = 1024;
// libbpf and the kernel multiply by the size of a page.
constexpr uint32_t kMaxPages = 1 << 18;

}  // namespace

Napi::Value OpenRing(const Napi::CallbackInfo& info, int map_fd, const std::string& subject) {
  constexpr const char* kCall = "ring_buffer__new";
  const Napi::Env env = info.Env();
  const auto limits = Pump::Limits(info, kCall);
  if (!limits) return {};
  std::vector<int> fds = {map_fd};
  const napi_value further = info[Pump::kArguments];
  if (!IsNullish(env, further)) {
    uint32_t length = 0;
    if (napi_get_array_length(env, further, &length) != napi_ok || length > kMaxRings) {
      Throw(env, {kCall, 0, "furtherFds", {}, Reason::kArgument});
      return {};
    }
    for (uint32_t i = 0; i < length; ++i) {
      napi_value element = nullptr;
      if (napi_get_element(env, further, i, &element) != napi_ok) return {};
      // libbpf looks whether there is a ring-buffer map behind it.
      const auto fd = ToUint32(env, element, {kCall, "furtherFds"}, 0, INT32_MAX);
      if (!fd) return {};
      fds.push_back(static_cast<int>(*fd));
    }
  }
  RingSource::Failed failed = {};
  std::unique_ptr<Source> source = RingSource::Open(fds, failed);
  if (!source) {
    Throw(env, {failed.call, failed.error, subject, failed.log});
    return {};
  }
  return Pump::Create(info, *limits, std::move(source), subject);
}

Napi::Value OpenPerf(const Napi::CallbackInfo& info, int map_fd, const std::string& subject,
                     bool overwritable) {
  const char* call = overwritable ? "perf_event_open" : "perf_buffer__new_raw";
  const Napi::Env env = info.Env();
  const auto limits = Pump::Limits(info, call);
  if (!limits) return {};
  constexpr size_t kFirst = Pump::kArguments;
  const auto pages = ToUint32(env, info[kFirst], {call, "pages"}, 1, kMaxPages);
  if (!pages) return {};
  const auto wakeup_events = ToUint32(env, info[kFirst + 1], {call, "wakeupEvents"});
  if (!wakeup_events) return {};
  const auto watermark = ToUint32(env, info[kFirst + 2], {call, "watermark"});
  if (!watermark) return {};
  const auto times = ToBool(env, info[kFirst + 3], {call, "times"});
  if (!times) return {};
  const PerfOptions options = {*pages, *wakeup_events, *watermark, *times};
  std::string log;
  std::unique_ptr<Source> source;
  if (overwritable) {
    source = OverwritableSource::Open(map_fd, options);
  } else {
    source = PerfSource::Open(map_fd, options, log);
  }
  if (!source) {
    Throw(env, {call, errno, subject, log});
    return {};
  }
  return Pump::Create(info, *limits, std::move(source), subject);
}

Napi::Value OpenDrains(const Napi::CallbackInfo& info, int map_fd, const std::string& subject) {
  const auto limits = Pump::Limits(info, "epoll_ctl");
  if (!limits) return {};
  std::unique_ptr<Source> source = DrainSource::Open(map_fd);
  if (!source) {
    Throw(info.Env(), {"epoll_ctl", errno, subject, {}});
    return {};
  }
  return Pump::Create(info, *limits, std::move(source), subject);
}

Napi::Value OpenLines(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "open";
  const Napi::Env env = info.Env();
  const auto limits = Pump::Limits(info, kCall);
  if (!limits) return {};
  const auto fd = ToUint32(env, info[Pump::kArguments], {kCall, "fd"}, 0, INT32_MAX);
  if (!fd) return {};
  const auto subject = ToText(env, info[Pump::kArguments + 1], {kCall, "subject"});
  if (!subject) return {};
  const auto folder = ToText(env, info[Pump::kArguments + 2], {kCall, "folder"});
  if (!folder) return {};
  UniqueFd own = UniqueFd::Duplicate(static_cast<int>(*fd));
  if (!own) {
    Throw(env, {"fcntl(F_DUPFD_CLOEXEC)", errno, *subject, {}});
    return {};
  }
  return Pump::Create(info, *limits, std::make_unique<LineSource>(std::move(own), *folder), *subject);
}

}  // namespace bpfnode
