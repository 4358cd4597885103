// Settings of an object that is open: of its maps, its programs, and its global data.
#include <bpf/bpf.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "arguments.h"
#include "failure.h"
#include "log.h"
#include "object.h"
#include "object_settings.h"
#include "object_spec.h"
#include "unique_fd.h"

namespace bpfnode {

// setMap(map, name, value)
// Of maps of the object only: libbpf's setters follow a pointer that a template for inner maps lacks.
Napi::Value Object::SetMap(const Napi::CallbackInfo& info) {
  const auto name = ToText(Env(), info[1], {"bpf_map", "name"});
  if (!name) return {};
  const auto* setting = FindMapSetting(*name);
  if (setting == nullptr) {
    Throw(Env(), {"bpf_map", 0, "name", {}, Reason::kArgument});
    return {};
  }
  if (!Require(ObjectState::Phase::kOpen, setting->call)) return {};
  bpf_map* map = MapAt(info[0], setting->call);
  if (map == nullptr) return {};
  const auto value = ToUint32(Env(), info[2], {setting->call, setting->name});
  if (!value) return {};
  if (setting->shapes && IsLaidOutByLibbpf(map)) {
    Throw(Env(), {setting->call, EINVAL, Subject(map), {}});
    return {};
  }
#if LIBBPF_MAJOR_VERSION == 1 && LIBBPF_MINOR_VERSION < 4
  // It looks at such a map during load all the same, and may have no kernel types to compare it with: a
  // crash.
  if (*name == "autocreate" && bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS) {
    Throw(Env(),
          {setting->call, 0, "autocreate of struct_ops maps before libbpf 1.4", {}, Reason::kUnsupported});
    return {};
  }
#endif
  LogCapture capture;
  return Answer(setting->set(map, *value), setting->call, Subject(map), capture);
}

// setMapExtra(map, value)
Napi::Value Object::SetMapExtra(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__set_map_extra";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_map* map = MapAt(info[0], kCall);
  if (map == nullptr) return {};
  uint64_t value = 0;
  bool lossless = false;
  if (napi_get_value_bigint_uint64(Env(), info[1], &value, &lossless) != napi_ok || !lossless) {
    Throw(Env(), {kCall, 0, "mapExtra", {}, Reason::kArgument});
    return {};
  }
  LogCapture capture;
  return Answer(bpf_map__set_map_extra(map, value), kCall, Subject(map), capture);
}

// setInnerMap(map, fd): a map that exists is the template for what `map` holds.
Napi::Value Object::SetInnerMap(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__set_inner_map_fd";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_map* map = MapAt(info[0], kCall);
  if (map == nullptr) return {};
  const auto fd = ToUint32(Env(), info[1], {kCall, "fd"}, 0, INT32_MAX);
  if (!fd) return {};
  UniqueFd own = UniqueFd::Duplicate(static_cast<int>(*fd));
  if (!own) {
    Throw(Env(), {"fcntl(F_DUPFD_CLOEXEC)", errno, Subject(map), {}});
    return {};
  }
  LogCapture capture;
  const int status = bpf_map__set_inner_map_fd(map, own.get());
  if (status == 0) state_->skeleton->KeepUntilLoaded(std::move(own));
  return Answer(status, kCall, Subject(map), capture);
}

// setPinPath(map, path | undefined)
Napi::Value Object::SetPinPath(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__set_pin_path";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_map* map = MapAt(info[0], kCall);
  if (map == nullptr) return {};
  std::optional<std::string> path;
  if (!IsNullish(Env(), info[1])) {
    path = ToText(Env(), info[1], {kCall, "path"});
    if (!path) return {};
  }
  LogCapture capture;
  return Answer(bpf_map__set_pin_path(map, path ? path->c_str() : nullptr), kCall, Subject(map), capture);
}

// reuseMap(map, fd): `fd` stays the caller's; libbpf takes a duplicate.
Napi::Value Object::ReuseMap(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__reuse_fd";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_map* map = MapAt(info[0], kCall);
  if (map == nullptr) return {};
  const auto fd = ToUint32(Env(), info[1], {kCall, "fd"}, 0, INT32_MAX);
  if (!fd) return {};
  bpf_map_info kernel_info = {};
  __u32 length = sizeof(kernel_info);
  if (bpf_obj_get_info_by_fd(static_cast<int>(*fd), &kernel_info, &length) != 0) {
    Throw(Env(), {"bpf(BPF_OBJ_GET_INFO_BY_FD)", errno, Subject(map), {}});
    return {};
  }
  // libbpf takes over the other map's sizes, and would unmap by them what it has mapped by its own.
  const bool fits = kernel_info.type == bpf_map__type(map) &&
                    kernel_info.value_size == bpf_map__value_size(map) &&
                    kernel_info.max_entries == bpf_map__max_entries(map);
  if (IsLaidOutByLibbpf(map) && (!bpf_map__is_internal(map) || !fits)) {
    Throw(Env(), {kCall, EINVAL, Subject(map), {}});
    return {};
  }
  LogCapture capture;
  return Answer(bpf_map__reuse_fd(map, static_cast<int>(*fd)), kCall, Subject(map), capture);
}

// setProgram(program, name, value)
Napi::Value Object::SetProgram(const Napi::CallbackInfo& info) {
  const auto name = ToText(Env(), info[1], {"bpf_program", "name"});
  if (!name) return {};
  const auto* setting = FindProgramSetting(*name);
  if (setting == nullptr) {
    Throw(Env(), {"bpf_program", 0, "name", {}, Reason::kArgument});
    return {};
  }
  if (!Require(ObjectState::Phase::kOpen, setting->call)) return {};
  bpf_program* program = ProgramAt(info[0], setting->call);
  if (program == nullptr) return {};
  const auto value = ToUint32(Env(), info[2], {setting->call, setting->name});
  if (!value) return {};
  LogCapture capture;
  return Answer(setting->set(program, *value), setting->call, Subject(program), capture);
}

// setAttachTarget(program, fd | 0, function)
Napi::Value Object::SetAttachTarget(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_program__set_attach_target";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_program* program = ProgramAt(info[0], kCall);
  if (program == nullptr) return {};
  const auto fd = ToUint32(Env(), info[1], {kCall, "fd"}, 0, INT32_MAX);
  if (!fd) return {};
  const auto function = ToText(Env(), info[2], {kCall, "function"});
  if (!function) return {};
  UniqueFd own;
  if (*fd != 0) {
    own = UniqueFd::Duplicate(static_cast<int>(*fd));
    if (!own) {
      Throw(Env(), {"fcntl(F_DUPFD_CLOEXEC)", errno, Subject(program), {}});
      return {};
    }
  }
  LogCapture capture;
  if (!own) state_->skeleton->WillReadKernelTypes();
  const int status = bpf_program__set_attach_target(program, own ? own.get() : 0, function->c_str());
  if (status == 0 && own) state_->skeleton->KeepUntilLoaded(std::move(own));
  return Answer(status, kCall, Subject(program), capture);
}

Napi::Value Object::InitialValue(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__initial_value";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_map* map = MapAt(info[0], kCall);
  if (map == nullptr) return {};
  // Maps of struct_ops have an initial value too, but it is no global data.
  size_t size = 0;
  const void* value = bpf_map__is_internal(map) ? bpf_map__initial_value(map, &size) : nullptr;
  if (value == nullptr) return Env().Undefined();
  Napi::Uint8Array copy = Napi::Uint8Array::New(Env(), size);
  // Empty in an environment that is ending, which refuses to make one.
  if (!copy.IsEmpty() && size > 0) memcpy(copy.Data(), value, size);
  return copy;
}

// setInitialValue(map, offset, bytes)
// In place: bpf_map__set_initial_value() takes the whole value, which may be hundreds of megabytes.
Napi::Value Object::SetInitialValue(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__initial_value";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_map* map = MapAt(info[0], kCall);
  if (map == nullptr) return {};
  size_t size = 0;
  const void* initial = bpf_map__is_internal(map) ? bpf_map__initial_value(map, &size) : nullptr;
  // Memory that skeletons write to as well; it is const in older libbpfs only.
  auto* value = static_cast<uint8_t*>(const_cast<void*>(initial));
  if (value == nullptr) {
    Throw(Env(), {kCall, EINVAL, Subject(map), {}});
    return {};
  }
  // A map that takes its place has its values already.
  if (bpf_map__fd(map) >= 0) {
    Throw(Env(), {kCall, EBUSY, Subject(map), {}});
    return {};
  }
  const auto offset = ToUint32(Env(), info[1], {kCall, "offset"});
  if (!offset) return {};
  const auto bytes = ToBytes(Env(), info[2], {kCall, "bytes"});
  if (!bytes) return {};
  if (*offset > size || bytes->size > size - *offset) {
    const auto end = static_cast<double>(*offset) + static_cast<double>(bytes->size);
    Throw(Env(), {kCall, 0, "end of bytes", {}, Reason::kRange, static_cast<double>(size), end});
    return {};
  }
  if (bytes->size > 0) memcpy(value + *offset, bytes->data, bytes->size);
  return Env().Undefined();
}

}  // namespace bpfnode
