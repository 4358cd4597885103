#include "object.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "addon.h"
#include "arguments.h"
#include "failure.h"
#include "link.h"
#include "log.h"
#include "map.h"
#include "object_spec.h"
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

#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 2
bool IsStructOpsLink(const bpf_link* link) {
  bpf_link_info info = {};
  __u32 length = sizeof(info);
  const int fd = bpf_link__fd(link);
  return IsLink(fd) && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 &&
         info.type == BPF_LINK_TYPE_STRUCT_OPS;
}
#endif

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
  const auto settings = ToOpenSettings(env, info[1], kCall);
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
  bpf_map* map = MapAt(info[0], kCall);
  if (map == nullptr) return {};
  const auto subject = ToText(Env(), info[1], {kCall, "subject"});
  if (!subject) return {};
  return Map::Create(Env(), bpf_map__fd(map), *subject, MappedMemory(map));
}

// An arena is mapped once in a process: by libbpf (1.4), for as long as its object is there.
Mapping Object::MappedMemory(bpf_map* map) const {
  if (bpf_map__type(map) != kMapTypeArena) return {};
  size_t size = 0;
  // Before libbpf 1.4 it was constant, and there were no arenas.
  const void* memory = bpf_map__initial_value(map, &size);
  return {Skeleton::ObjectOf(state_->skeleton), const_cast<void*>(memory)};
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
