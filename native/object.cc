#include "object.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "addon.h"
#include "arguments.h"
#include "failure.h"
#include "link.h"
#include "log.h"
#include "map.h"
#include "object_settings.h"
#include "program.h"
#include "unique_fd.h"

namespace bpfnode {
namespace {

// A load on libuv's thread pool. Owns all that it needs: the JavaScript handle may be gone before it ends.
struct LoadWork {
  std::shared_ptr<ObjectState> state;
  std::string subject;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
  int error = 0;
  std::string log;

  static void Execute(napi_env /*env*/, void* data) {
    auto* self = static_cast<LoadWork*>(data);
    LogCapture capture;
    self->error = self->state->skeleton->Load();
    self->log = capture.Take();
  }

  static void Complete(napi_env raw_env, napi_status status, void* data) {
    const std::unique_ptr<LoadWork> self(static_cast<LoadWork*>(data));
    const Napi::Env env(raw_env);
    const Napi::HandleScope scope(env);
    ObjectState& state = *self->state;
    const bool loaded = status == napi_ok && self->error == 0;
    state.phase = loaded ? ObjectState::Phase::kLoaded : ObjectState::Phase::kFailed;
    // close() could not free the object under the loading thread.
    if (state.closed) state.skeleton.reset();

    // An environment that is ending runs no JavaScript: these calls fail then, and nobody is there to care.
    if (loaded && !state.closed) {
      napi_resolve_deferred(env, self->deferred, Napi::String::New(env, self->log));
    } else {
      Failure failure{"bpf_object__load", self->error, self->subject, std::move(self->log)};
      if (status != napi_ok) failure.error = ECANCELED;
      if (state.closed) failure.reason = Reason::kClosed;
      napi_reject_deferred(env, self->deferred, ToError(env, failure));
    }
    napi_delete_async_work(env, self->work);
  }
};

Napi::Object MapSpec(Napi::Env env, bpf_map* map) {
  Napi::Object spec = Napi::Object::New(env);
  spec.Set("name", bpf_map__name(map));
  spec.Set("internal", bpf_map__is_internal(map));
  spec.Set("type", static_cast<uint32_t>(bpf_map__type(map)));
  spec.Set("keySize", bpf_map__key_size(map));
  spec.Set("valueSize", bpf_map__value_size(map));
  spec.Set("maxEntries", bpf_map__max_entries(map));
  spec.Set("flags", bpf_map__map_flags(map));
  spec.Set("numaNode", bpf_map__numa_node(map));
  const auto extra = uint64_t{bpf_map__map_extra(map)};
  if (extra != 0) spec.Set("mapExtra", Napi::BigInt::New(env, extra));
  spec.Set("autocreate", bpf_map__autocreate(map));
  const char* pin_path = bpf_map__pin_path(map);
  if (pin_path != nullptr) spec.Set("pinPath", pin_path);
  bpf_map* inner = bpf_map__inner_map(map);
  if (inner != nullptr) spec.Set("inner", MapSpec(env, inner));
  return spec;
}

Napi::Object ProgramSpec(Napi::Env env, const bpf_program* program) {
  Napi::Object spec = Napi::Object::New(env);
  spec.Set("name", bpf_program__name(program));
  spec.Set("section", bpf_program__section_name(program));
  spec.Set("type", static_cast<uint32_t>(bpf_program__type(program)));
  spec.Set("expectedAttachType", static_cast<uint32_t>(bpf_program__expected_attach_type(program)));
  spec.Set("flags", bpf_program__flags(program));
  spec.Set("logLevel", bpf_program__log_level(program));
  spec.Set("autoload", bpf_program__autoload(program));
  spec.Set("autoattach", bpf_program__autoattach(program));
  return spec;
}

#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 2
bool IsStructOpsLink(const bpf_link* link) {
  bpf_link_info info = {};
  __u32 length = sizeof(info);
  const int fd = bpf_link__fd(link);
  return IsLink(fd) && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 &&
         info.type == BPF_LINK_TYPE_STRUCT_OPS;
}
#endif

// A property of the settings, or an undefined value.
Napi::Value Option(const Napi::Object& options, const char* name) { return options.Get(name); }

// Text that may be missing: empty then. nullopt with an exception pending where it is no text.
std::optional<std::string> ToOptionalText(Napi::Env env, napi_value value, Parameter parameter) {
  if (IsNullish(env, value)) return std::string{};
  return ToText(env, value, parameter);
}

std::optional<OpenSettings> ToSettings(Napi::Env env, napi_value value, const char* call) {
  const Napi::Value argument(env, value);
  if (!argument.IsObject()) {
    Throw(env, {call, 0, "settings", {}, Reason::kArgument});
    return std::nullopt;
  }
  const auto options = argument.As<Napi::Object>();
  OpenSettings settings;
  const auto name = ToText(env, Option(options, "name"), {call, "name"});
  if (!name) return std::nullopt;
  settings.name = *name;
  const auto pin_root_path = ToOptionalText(env, Option(options, "pinRootPath"), {call, "pinRootPath"});
  if (!pin_root_path) return std::nullopt;
  settings.pin_root_path = *pin_root_path;
  const auto kconfig = ToOptionalText(env, Option(options, "kconfig"), {call, "kconfig"});
  if (!kconfig) return std::nullopt;
  settings.kconfig = *kconfig;
  const Napi::Value token_path = Option(options, "bpfTokenPath");
  if (!IsNullish(env, token_path)) {
#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 4
    settings.token_path = ToText(env, token_path, {call, "bpfTokenPath"});
    if (!settings.token_path) return std::nullopt;
#else
    Throw(env, {call,
                0,
                "BPF tokens, for which the addon must be built with libbpf 1.4 or newer",
                {},
                Reason::kUnsupported});
    return std::nullopt;
#endif
  }
  const Napi::Value btf = Option(options, "btf");
  if (!IsNullish(env, btf)) {
    const auto bytes = ToBytes(env, btf, {call, "btf"});
    if (!bytes) return std::nullopt;
    settings.btf.assign(bytes->data, bytes->data + bytes->size);
  }
  const Napi::Value log_level = Option(options, "kernelLogLevel");
  if (!IsNullish(env, log_level)) {
    const auto level = ToUint32(env, log_level, {call, "kernelLogLevel"});
    if (!level) return std::nullopt;
    settings.kernel_log_level = *level;
  }
  return settings;
}

// The element that an index stands for; nullptr with an exception pending.
template <class T>
T* At(Napi::Env env, napi_value value, const std::vector<T*>& items, const char* call) {
  const auto index = ToUint32(env, value, {call, "index"});
  if (!index) return nullptr;
  if (*index >= items.size()) {
    const auto count = static_cast<double>(items.size());
    Throw(env, {call, 0, "index", {}, Reason::kRange, count, static_cast<double>(*index)});
    return nullptr;
  }
  return items[*index];
}

std::string Subject(const bpf_map* map) { return std::string("map '") + bpf_map__name(map) + "'"; }
std::string Subject(const bpf_program* program, const char* what = "program") {
  return std::string(what) + " '" + bpf_program__name(program) + "'";
}

}  // namespace

Napi::Function Object::Define(Napi::Env env) {
  return DefineClass(env, "NativeObject",
                     {
                         InstanceMethod<&Object::MapSpecs>("mapSpecs"),
                         InstanceMethod<&Object::ProgramSpecs>("programSpecs"),
                         InstanceMethod<&Object::SetMap>("setMap"),
                         InstanceMethod<&Object::SetMapExtra>("setMapExtra"),
                         InstanceMethod<&Object::SetInnerMap>("setInnerMap"),
                         InstanceMethod<&Object::SetPinPath>("setPinPath"),
                         InstanceMethod<&Object::ReuseMap>("reuseMap"),
                         InstanceMethod<&Object::SetProgram>("setProgram"),
                         InstanceMethod<&Object::SetAttachTarget>("setAttachTarget"),
                         InstanceMethod<&Object::InitialValue>("initialValue"),
                         InstanceMethod<&Object::SetInitialValue>("setInitialValue"),
                         InstanceMethod<&Object::Load>("load"),
                         InstanceMethod<&Object::LoadAsync>("loadAsync"),
                         InstanceMethod<&Object::GetMap>("map"),
                         InstanceMethod<&Object::GetProgram>("program"),
                         InstanceMethod<&Object::AttachPrograms>("attachPrograms"),
                         InstanceMethod<&Object::AttachStructOps>("attachStructOps"),
                         InstanceMethod<&Object::UpdateStructOps>("updateStructOps"),
                         InstanceMethod<&Object::Close>("close"),
                     });
}

Object::Object(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Object>(info), state_(std::make_shared<ObjectState>()) {
  state_->closed = true;
}

Napi::Value Object::Open(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_object__open_skeleton";
  const Napi::Env env = info.Env();
  const auto image = ToBytes(env, info[0], {kCall, "image"});
  if (!image) return {};
  // A copy: libelf wants the image aligned, and the caller's may be shared with another thread.
  const std::vector<uint8_t> copy(image->data, image->data + image->size);
  const auto settings = ToSettings(env, info[1], kCall);
  if (!settings) return {};
  const auto subject = ToText(env, info[2], {kCall, "subject"});
  if (!subject) return {};

  LogCapture capture;
  int error = 0;
  std::shared_ptr<Skeleton> skeleton = Skeleton::Open(copy, *settings, error);
  if (!skeleton) {
    Throw(env, {kCall, error, *subject, capture.Take()});
    return {};
  }

  const Napi::Object handle = AddonData::Of(env)->object.New({});
  if (handle.IsEmpty()) return {};
  Object* self = Unwrap(handle);
  self->state_->skeleton = std::move(skeleton);
  self->state_->closed = false;
  self->subject_ = *subject;
  return handle;
}

bool Object::RequireIdle(const char* call) {
  if (state_->closed) {
    ThrowClosed(Env(), call, subject_);
    return false;
  }
  if (state_->phase == ObjectState::Phase::kLoading) {
    Throw(Env(), {call, 0, subject_, {}, Reason::kBusy});
    return false;
  }
  return true;
}

bool Object::Require(ObjectState::Phase phase, const char* call) {
  if (!RequireIdle(call)) return false;
  if (state_->phase == phase) return true;
  Throw(Env(), {call, 0, subject_, {}, Reason::kPhase});
  return false;
}

bpf_map* Object::MapAt(napi_value index, const char* call) {
  return At(Env(), index, state_->skeleton->maps(), call);
}

bpf_program* Object::ProgramAt(napi_value index, const char* call) {
  return At(Env(), index, state_->skeleton->programs(), call);
}

Napi::Value Object::Answer(int status, const char* call, const std::string& subject, LogCapture& capture) {
  if (status != 0) Throw(Env(), {call, -status, subject, capture.Take()});
  return Env().Undefined();
}

Napi::Value Object::MapSpecs(const Napi::CallbackInfo& info) {
  if (!RequireIdle("bpf_object__next_map")) return {};
  const std::vector<bpf_map*>& maps = state_->skeleton->maps();
  Napi::Array specs = Napi::Array::New(info.Env(), maps.size());
  uint32_t i = 0;
  for (bpf_map* map : maps) specs.Set(i++, MapSpec(Env(), map));
  return specs;
}

Napi::Value Object::ProgramSpecs(const Napi::CallbackInfo& info) {
  if (!RequireIdle("bpf_object__next_program")) return {};
  const std::vector<bpf_program*>& programs = state_->skeleton->programs();
  Napi::Array specs = Napi::Array::New(info.Env(), programs.size());
  uint32_t i = 0;
  for (const bpf_program* program : programs) specs.Set(i++, ProgramSpec(Env(), program));
  return specs;
}

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

Napi::Value Object::Load(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_object__load";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  LogCapture capture;
  const int error = state_->skeleton->Load();
  // libbpf allows one attempt, whatever came of it.
  state_->phase = error == 0 ? ObjectState::Phase::kLoaded : ObjectState::Phase::kFailed;
  std::string log = capture.Take();
  if (error == 0) return Napi::String::New(info.Env(), log);
  Throw(Env(), {kCall, error, subject_, std::move(log)});
  return {};
}

Napi::Value Object::LoadAsync(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_object__load";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  auto work = std::make_unique<LoadWork>();
  work->state = state_;
  work->subject = subject_;
  napi_value promise = nullptr;
  const Napi::String name = Napi::String::New(info.Env(), "libbpf-node:load");
  const bool queued = napi_create_promise(Env(), &work->deferred, &promise) == napi_ok &&
                      napi_create_async_work(Env(), nullptr, name, LoadWork::Execute, LoadWork::Complete,
                                             work.get(), &work->work) == napi_ok &&
                      napi_queue_async_work(Env(), work->work) == napi_ok;
  if (!queued) {
    Throw(Env(), {kCall, ENOMEM, subject_, {}});
    return {};
  }
  state_->phase = ObjectState::Phase::kLoading;
  // Complete() takes it back, and Node calls Complete() always.
  static_cast<void>(work.release());  // NOLINT(bugprone-unused-return-value)
  return {Env(), promise};
}

Napi::Value Object::GetMap(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__fd";
  if (!Require(ObjectState::Phase::kLoaded, kCall)) return {};
  const bpf_map* map = MapAt(info[0], kCall);
  if (map == nullptr) return {};
  const auto subject = ToText(Env(), info[1], {kCall, "subject"});
  if (!subject) return {};
  return Map::Create(Env(), bpf_map__fd(map), *subject);
}

Napi::Value Object::GetProgram(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_program__fd";
  if (!Require(ObjectState::Phase::kLoaded, kCall)) return {};
  bpf_program* program = ProgramAt(info[0], kCall);
  if (program == nullptr) return {};
  const auto subject = ToText(Env(), info[1], {kCall, "subject"});
  if (!subject) return {};
  return Program::Create(Env(), Skeleton::ObjectOf(state_->skeleton), program, *subject);
}

// attachPrograms(subjects): an array with a link, or undefined, for each program.
Napi::Value Object::AttachPrograms(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_object__attach_skeleton";
  if (!Require(ObjectState::Phase::kLoaded, kCall)) return {};
  const std::vector<bpf_program*>& programs = state_->skeleton->programs();
  if (!info[0].IsArray() || info[0].As<Napi::Array>().Length() != programs.size()) {
    Throw(Env(), {kCall, 0, "subjects", {}, Reason::kArgument});
    return {};
  }
  const auto given = info[0].As<Napi::Array>();
  std::vector<std::string> subjects;
  subjects.reserve(programs.size());
  for (uint32_t i = 0; i < programs.size(); i++) {
    const Napi::Value value = given.Get(i);
    if (value.IsEmpty()) return {};
    const auto subject = ToText(Env(), value, {kCall, "subjects"});
    if (!subject) return {};
    subjects.push_back(*subject);
  }

  LogCapture capture;
  const int error = state_->skeleton->Attach();
  if (error != 0) {
    std::string log = capture.Take();
    // libbpf tells the program in words only.
    std::string subject = subject_;
    for (size_t i = 0; i < programs.size(); i++) {
      if (log.find(Subject(programs[i], "prog") + ": failed to auto-attach") != std::string::npos) {
        subject = subjects[i];
      }
    }
    Throw(Env(), {kCall, error, std::move(subject), std::move(log)});
    return {};
  }
  const SharedObject object = Skeleton::ObjectOf(state_->skeleton);
  Napi::Array links = Napi::Array::New(Env(), programs.size());
  for (uint32_t i = 0; i < programs.size(); i++) {
    UniqueLink link = state_->skeleton->TakeLink(i);
    if (!link) continue;
    auto attachment = std::make_unique<LibbpfAttachment>(object, std::move(link));
    const Napi::Value handle = Link::Create(Env(), std::move(attachment), "link of " + subjects[i]);
    if (handle.IsEmpty()) return {};
    links.Set(i, handle);
  }
  return links;
}

// attachStructOps(map, subject)
Napi::Value Object::AttachStructOps(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__attach_struct_ops";
  if (!Require(ObjectState::Phase::kLoaded, kCall)) return {};
  const bpf_map* map = MapAt(info[0], kCall);
  if (map == nullptr) return {};
  const auto subject = ToText(Env(), info[1], {kCall, "subject"});
  if (!subject) return {};
  LogCapture capture;
  UniqueLink link(bpf_map__attach_struct_ops(map));
  if (!link) {
    Throw(Env(), {kCall, errno, Subject(map), capture.Take()});
    return {};
  }
  auto attachment = std::make_unique<LibbpfAttachment>(Skeleton::ObjectOf(state_->skeleton), std::move(link));
  return Link::Create(Env(), std::move(attachment), *subject);
}

// updateStructOps(map, link, subject): the map takes the place of the link's.
Napi::Value Object::UpdateStructOps(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_link__update_map";
  if (!Require(ObjectState::Phase::kLoaded, kCall)) return {};
  const bpf_map* map = MapAt(info[0], kCall);
  if (map == nullptr) return {};
  const auto subject = ToText(Env(), info[2], {kCall, "subject"});
  if (!subject) return {};
  bpf_link* link = Link::LibbpfLinkOf(Env(), info[1]);
#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 2
  // libbpf looks for its own fields behind the link: it must be one of a struct_ops map.
  if (link == nullptr || bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS || !IsStructOpsLink(link)) {
    Throw(Env(), {kCall, 0, "link", {}, Reason::kArgument});
    return {};
  }
  LogCapture capture;
  const int error = bpf_link__update_map(link, map);
  if (error != 0) Throw(Env(), {kCall, -error, *subject, capture.Take()});
#else
  static_cast<void>(link);
  Throw(Env(), {kCall,
                0,
                "links of struct_ops, for which the addon must be built with libbpf 1.2 or newer",
                {},
                Reason::kUnsupported});
#endif
  return Env().Undefined();
}

Napi::Value Object::Close(const Napi::CallbackInfo& info) {
  state_->closed = true;
  // A loading thread still uses it: LoadWork::Complete() lets go.
  if (state_->phase != ObjectState::Phase::kLoading) state_->skeleton.reset();
  return info.Env().Undefined();
}

}  // namespace bpfnode
