#include "object.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "addon.h"
#include "arguments.h"
#include "failure.h"
#include "log.h"
#include "map.h"
#include "program.h"

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
    self->error = -bpf_object__load(self->state->object.get());
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
    if (state.closed) state.object.reset();

    // An environment that is ending runs no JavaScript: these calls fail then, and nobody is there to care.
    if (loaded && !state.closed) {
      napi_resolve_deferred(env, self->deferred, env.Undefined());
    } else {
      Failure failure{"bpf_object__load", self->error, self->subject, std::move(self->log)};
      if (status != napi_ok) failure.error = ECANCELED;
      if (state.closed) failure.reason = Reason::kClosed;
      napi_reject_deferred(env, self->deferred, ToError(env, failure));
    }
    napi_delete_async_work(env, self->work);
  }
};

Napi::Object MapSpec(Napi::Env env, const bpf_map* map) {
  Napi::Object spec = Napi::Object::New(env);
  spec.Set("name", bpf_map__name(map));
  spec.Set("internal", bpf_map__is_internal(map));
  spec.Set("type", static_cast<uint32_t>(bpf_map__type(map)));
  spec.Set("keySize", bpf_map__key_size(map));
  spec.Set("valueSize", bpf_map__value_size(map));
  spec.Set("maxEntries", bpf_map__max_entries(map));
  spec.Set("flags", bpf_map__map_flags(map));
  return spec;
}

Napi::Object ProgramSpec(Napi::Env env, const bpf_program* program) {
  Napi::Object spec = Napi::Object::New(env);
  spec.Set("name", bpf_program__name(program));
  spec.Set("section", bpf_program__section_name(program));
  spec.Set("type", static_cast<uint32_t>(bpf_program__type(program)));
  spec.Set("autoload", bpf_program__autoload(program));
  return spec;
}

// The element that the first argument, an index, stands for; nullptr with an exception pending.
template <class T>
T* At(const Napi::CallbackInfo& info, const std::vector<T*>& items, const char* call) {
  const auto index = ToUint32(info.Env(), info[0], {call, "index"});
  if (!index) return nullptr;
  if (*index >= items.size()) {
    const auto count = static_cast<double>(items.size());
    Throw(info.Env(), {call, 0, "index", {}, Reason::kRange, count, static_cast<double>(*index)});
    return nullptr;
  }
  return items[*index];
}

}  // namespace

Napi::Function Object::Define(Napi::Env env) {
  return DefineClass(env, "NativeObject",
                     {
                         InstanceMethod<&Object::MapSpecs>("mapSpecs"),
                         InstanceMethod<&Object::ProgramSpecs>("programSpecs"),
                         InstanceMethod<&Object::SetMaxEntries>("setMaxEntries"),
                         InstanceMethod<&Object::SetAutoload>("setAutoload"),
                         InstanceMethod<&Object::InitialValue>("initialValue"),
                         InstanceMethod<&Object::SetInitialValue>("setInitialValue"),
                         InstanceMethod<&Object::Load>("load"),
                         InstanceMethod<&Object::LoadAsync>("loadAsync"),
                         InstanceMethod<&Object::GetMap>("map"),
                         InstanceMethod<&Object::GetProgram>("program"),
                         InstanceMethod<&Object::Close>("close"),
                     });
}

Object::Object(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Object>(info), state_(std::make_shared<ObjectState>()) {
  state_->closed = true;
}

Napi::Value Object::Open(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_object__open_mem";
  const Napi::Env env = info.Env();
  const auto image = ToBytes(env, info[0], {kCall, "image"});
  if (!image) return {};
  // A copy: libelf wants the image aligned, and the caller's may be shared with another thread.
  const std::vector<uint8_t> copy(image->data, image->data + image->size);
  const auto name = ToText(env, info[1], {kCall, "name"});
  if (!name) return {};
  const auto subject = ToText(env, info[2], {kCall, "subject"});
  if (!subject) return {};

  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name->c_str());
  LogCapture capture;
  bpf_object* opened = bpf_object__open_mem(copy.data(), copy.size(), &options);
  if (opened == nullptr) {
    Throw(env, {kCall, errno, *subject, capture.Take()});
    return {};
  }
  SharedObject object(opened, CloseObject{});

  const Napi::Object handle = AddonData::Of(env)->object.New({});
  if (handle.IsEmpty()) return {};
  Object* self = Unwrap(handle);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, opened) self->maps_.push_back(map);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, opened) self->programs_.push_back(program);
  self->state_->object = std::move(object);
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

Napi::Value Object::MapSpecs(const Napi::CallbackInfo& info) {
  if (!RequireIdle("bpf_object__next_map")) return {};
  Napi::Array specs = Napi::Array::New(info.Env(), maps_.size());
  uint32_t i = 0;
  for (const bpf_map* map : maps_) specs.Set(i++, MapSpec(Env(), map));
  return specs;
}

Napi::Value Object::ProgramSpecs(const Napi::CallbackInfo& info) {
  if (!RequireIdle("bpf_object__next_program")) return {};
  Napi::Array specs = Napi::Array::New(info.Env(), programs_.size());
  uint32_t i = 0;
  for (const bpf_program* program : programs_) specs.Set(i++, ProgramSpec(Env(), program));
  return specs;
}

Napi::Value Object::SetMaxEntries(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__set_max_entries";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_map* map = At(info, maps_, kCall);
  if (map == nullptr) return {};
  const auto entries = ToUint32(Env(), info[1], {kCall, "maxEntries"});
  if (!entries) return {};
  LogCapture capture;
  const int error = bpf_map__set_max_entries(map, *entries);
  if (error != 0) Throw(Env(), {kCall, -error, bpf_map__name(map), capture.Take()});
  return Env().Undefined();
}

Napi::Value Object::SetAutoload(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_program__set_autoload";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_program* program = At(info, programs_, kCall);
  if (program == nullptr) return {};
  const auto autoload = ToBool(Env(), info[1], {kCall, "autoload"});
  if (!autoload) return {};
  LogCapture capture;
  const int error = bpf_program__set_autoload(program, *autoload);
  if (error != 0) Throw(Env(), {kCall, -error, bpf_program__name(program), capture.Take()});
  return Env().Undefined();
}

Napi::Value Object::InitialValue(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__initial_value";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_map* map = At(info, maps_, kCall);
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

Napi::Value Object::SetInitialValue(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_map__set_initial_value";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  bpf_map* map = At(info, maps_, kCall);
  if (map == nullptr) return {};
  const auto value = ToBytesOfSize(Env(), info[1], bpf_map__value_size(map), {kCall, "value"});
  if (!value) return {};
  LogCapture capture;
  const int error = bpf_map__set_initial_value(map, value->data, value->size);
  if (error != 0) Throw(Env(), {kCall, -error, bpf_map__name(map), capture.Take()});
  return Env().Undefined();
}

Napi::Value Object::Load(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_object__load";
  if (!Require(ObjectState::Phase::kOpen, kCall)) return {};
  LogCapture capture;
  const int error = bpf_object__load(state_->object.get());
  // libbpf allows one attempt, whatever came of it.
  state_->phase = error == 0 ? ObjectState::Phase::kLoaded : ObjectState::Phase::kFailed;
  if (error != 0) Throw(Env(), {kCall, -error, subject_, capture.Take()});
  return info.Env().Undefined();
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
  const bpf_map* map = At(info, maps_, kCall);
  if (map == nullptr) return {};
  const auto subject = ToText(Env(), info[1], {kCall, "subject"});
  if (!subject) return {};
  return Map::Create(Env(), bpf_map__fd(map), *subject);
}

Napi::Value Object::GetProgram(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_program__fd";
  if (!Require(ObjectState::Phase::kLoaded, kCall)) return {};
  bpf_program* program = At(info, programs_, kCall);
  if (program == nullptr) return {};
  const auto subject = ToText(Env(), info[1], {kCall, "subject"});
  if (!subject) return {};
  return Program::Create(Env(), state_->object, program, *subject);
}

Napi::Value Object::Close(const Napi::CallbackInfo& info) {
  state_->closed = true;
  // A loading thread still uses it: LoadWork::Complete() lets go.
  if (state_->phase != ObjectState::Phase::kLoading) state_->object.reset();
  maps_.clear();
  programs_.clear();
  return info.Env().Undefined();
}

}  // namespace bpfnode
