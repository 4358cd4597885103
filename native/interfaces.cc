#include "interfaces.h"

#include <net/if.h>

#include <cerrno>
#include <memory>

#include "arguments.h"
#include "failure.h"
#include "netns_scope.h"

namespace bpfnode {
namespace {

constexpr const char* kCall = "if_nameindex";

struct FreeNames {
  void operator()(struct if_nameindex* names) const { if_freenameindex(names); }
};
using UniqueNames = std::unique_ptr<struct if_nameindex, FreeNames>;

// Null with `error` set on failure.
UniqueNames ReadNames(int netns_fd, int& error) {
  const NetnsScope scope(netns_fd);
  error = scope.error();
  if (error != 0) return nullptr;
  UniqueNames names(if_nameindex());
  if (!names) error = errno;
  return names;
}

}  // namespace

Napi::Value Interfaces(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int netns_fd = -1;
  if (!IsNullish(env, info[0])) {
    const auto fd = ToUint32(env, info[0], {kCall, "netns"}, 0, INT32_MAX);
    if (!fd) return {};
    netns_fd = static_cast<int>(*fd);
  }
  const auto subject = ToText(env, info[1], {kCall, "subject"});
  if (!subject) return {};
  int error = 0;
  const UniqueNames names = ReadNames(netns_fd, error);
  if (!names) {
    Throw(env, {netns_fd < 0 ? kCall : "setns", error, *subject, {}});
    return {};
  }
  const Napi::Array result = Napi::Array::New(env);
  uint32_t count = 0;
  for (const struct if_nameindex* entry = names.get(); entry->if_name != nullptr; entry++) {
    const Napi::Object item = Napi::Object::New(env);
    item.Set("index", entry->if_index);
    item.Set("name", entry->if_name);
    result.Set(count++, item);
  }
  return result;
}

}  // namespace bpfnode
