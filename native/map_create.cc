#include "map_create.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arguments.h"
#include "failure.h"
#include "map.h"
#include "token.h"
#include "unique_fd.h"

namespace bpfnode {
namespace {

constexpr const char* kCreate = "bpf(BPF_MAP_CREATE)";
constexpr const char* kGet = "bpf(BPF_OBJ_GET)";
constexpr const char* kGetById = "bpf(BPF_MAP_GET_FD_BY_ID)";

// A named attribute of createMap()'s first argument. The object is of our own making: it has no getters.
class Attributes {
 public:
  explicit Attributes(const Napi::Object& object) : object_(object) {}

  std::optional<uint32_t> Number(const char* name) const {
    return ToUint32(object_.Env(), object_.Get(name), {kCreate, name});
  }

  // -1 for undefined.
  std::optional<int> Fd(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (value.IsUndefined()) return -1;
    const auto number = ToUint32(object_.Env(), value, {kCreate, name}, 0, INT32_MAX);
    if (!number) return std::nullopt;
    return static_cast<int>(*number);
  }

  std::optional<uint64_t> BigInt(const char* name) const {
    const Napi::Value value = object_.Get(name);
    bool lossless = false;
    uint64_t number = 0;
    if (napi_get_value_bigint_uint64(object_.Env(), value, &number, &lossless) != napi_ok || !lossless) {
      Throw(object_.Env(), {kCreate, 0, name, {}, Reason::kArgument});
      return std::nullopt;
    }
    return number;
  }

  std::optional<std::string> Text(const char* name) const {
    return ToText(object_.Env(), object_.Get(name), {kCreate, name});
  }

  // Empty for undefined.
  std::optional<std::string> OptionalText(const char* name) const {
    if (object_.Get(name).IsUndefined()) return std::string();
    return Text(name);
  }

  // Empty for undefined.
  std::optional<std::vector<uint8_t>> Copy(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (value.IsUndefined()) return std::vector<uint8_t>{};
    const auto bytes = ToBytes(object_.Env(), value, {kCreate, name});
    if (!bytes) return std::nullopt;
    return std::vector<uint8_t>(bytes->data, bytes->data + bytes->size);
  }

 private:
  Napi::Object object_;
};

// Any BPF descriptor answers BPF_OBJ_GET_INFO_BY_FD, each with a struct of its own: look at what it is first.
bool IsMap(int fd) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  std::array<char, 64> target = {};
  const ssize_t length = readlink(link.c_str(), target.data(), target.size());
  if (length < 0) return false;
  return std::string_view(target.data(), static_cast<size_t>(length)) == "anon_inode:bpf-map";
}

Napi::Value Open(Napi::Env env, int fd, const char* call, const std::string& subject) {
  if (!IsMap(fd)) {
    Throw(env, {call, EINVAL, subject, {}});
    return {};
  }
  return Map::Create(env, fd, subject);
}

}  // namespace

Napi::Value CreateMap(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject()) {
    Throw(env, {kCreate, 0, "attributes", {}, Reason::kArgument});
    return {};
  }
  const auto subject = ToText(env, info[1], {kCreate, "subject"});
  if (!subject) return {};
  const Attributes attributes(info[0].As<Napi::Object>());
  const auto name = attributes.Text("name");
  if (!name) return {};
  const auto type = attributes.Number("type");
  if (!type) return {};
  const auto key_size = attributes.Number("keySize");
  if (!key_size) return {};
  const auto value_size = attributes.Number("valueSize");
  if (!value_size) return {};
  const auto max_entries = attributes.Number("maxEntries");
  if (!max_entries) return {};
  const auto flags = attributes.Number("flags");
  if (!flags) return {};
  const auto numa_node = attributes.Number("numaNode");
  if (!numa_node) return {};
  const auto map_extra = attributes.BigInt("mapExtra");
  if (!map_extra) return {};
  const auto inner = attributes.Fd("innerMapFd");
  if (!inner) return {};
  const auto btf = attributes.Copy("btf");
  if (!btf) return {};
  const auto key_type = attributes.Number("btfKeyType");
  if (!key_type) return {};
  const auto value_type = attributes.Number("btfValueType");
  if (!value_type) return {};

  const auto token_path = attributes.OptionalText("bpfTokenPath");
  if (!token_path) return {};

  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = *flags, .map_extra = *map_extra,
              .numa_node = *numa_node);
  if (*inner >= 0) options.inner_map_fd = static_cast<__u32>(*inner);
  LIBBPF_OPTS(bpf_btf_load_opts, type_options);
  UniqueFd token;
  if (!token_path->empty()) {
    auto created = CreateToken(env, *token_path);
    if (!created) return {};
    token = std::move(*created);
#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 4
    options.token_fd = token.get();
    options.map_flags |= kWithToken;
    type_options.token_fd = token.get();
    type_options.btf_flags = kWithToken;
#endif
  }
  // The map keeps its types: ours is not needed when it exists.
  UniqueFd types;
  if (!btf->empty()) {
    types = UniqueFd(bpf_btf_load(btf->data(), btf->size(), &type_options));
    if (!types) {
      Throw(env, {"bpf(BPF_BTF_LOAD)", errno, *subject, {}});
      return {};
    }
    options.btf_fd = static_cast<__u32>(types.get());
    options.btf_key_type_id = *key_type;
    options.btf_value_type_id = *value_type;
  }
  const UniqueFd map(bpf_map_create(static_cast<bpf_map_type>(*type), name->c_str(), *key_size, *value_size,
                                    *max_entries, &options));
  if (!map) {
    Throw(env, {kCreate, errno, *subject, {}});
    return {};
  }
  return Map::Create(env, map.get(), *subject);
}

Napi::Value OpenMapById(const Napi::CallbackInfo& info) {
  const auto id = ToUint32(info.Env(), info[0], {kGetById, "id"});
  if (!id) return {};
  const auto subject = ToText(info.Env(), info[1], {kGetById, "subject"});
  if (!subject) return {};
  const UniqueFd map(bpf_map_get_fd_by_id(*id));
  if (!map) {
    Throw(info.Env(), {kGetById, errno, *subject, {}});
    return {};
  }
  return Map::Create(info.Env(), map.get(), *subject);
}

Napi::Value OpenMapByPin(const Napi::CallbackInfo& info) {
  const auto path = ToText(info.Env(), info[0], {kGet, "path"});
  if (!path) return {};
  const auto subject = ToText(info.Env(), info[1], {kGet, "subject"});
  if (!subject) return {};
  const UniqueFd map(bpf_obj_get(path->c_str()));
  if (!map) {
    Throw(info.Env(), {kGet, errno, *subject, {}});
    return {};
  }
  return Open(info.Env(), map.get(), kGet, *subject);
}

Napi::Value OpenMapByFd(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "fcntl(F_DUPFD_CLOEXEC)";
  const auto fd = ToUint32(info.Env(), info[0], {kCall, "fd"}, 0, INT32_MAX);
  if (!fd) return {};
  const auto subject = ToText(info.Env(), info[1], {kCall, "subject"});
  if (!subject) return {};
  return Open(info.Env(), static_cast<int>(*fd), kCall, *subject);
}

Napi::Value OpenPidfd(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "pidfd_open";
  const auto pid = ToUint32(info.Env(), info[0], {kCall, "pid"}, 1, INT32_MAX);
  if (!pid) return {};
  const auto subject = ToText(info.Env(), info[1], {kCall, "subject"});
  if (!subject) return {};
  const int64_t fd = syscall(SYS_pidfd_open, static_cast<pid_t>(*pid), 0U);
  if (fd < 0) {
    Throw(info.Env(), {kCall, errno, *subject, {}});
    return {};
  }
  return Napi::Number::New(info.Env(), static_cast<double>(fd));
}

}  // namespace bpfnode
