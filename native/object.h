// An object file in libbpf's hands: from open, through configuration, to loaded.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "mapping.h"
#include "skeleton.h"

namespace bpfnode {

class LogCapture;

// What the thread that loads and the JavaScript handle have in common. Only the JavaScript thread looks at
// the flags.
struct ObjectState {
  enum class Phase { kOpen, kLoading, kLoaded, kFailed };
  std::shared_ptr<Skeleton> skeleton;
  Phase phase = Phase::kOpen;
  bool closed = false;
};

class Object : public Napi::ObjectWrap<Object> {
 public:
  static Napi::Function Define(Napi::Env env);

  // openObject(image, settings, subject): the one way to a usable Object. One that JavaScript constructs is a
  // closed one.
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit Object(const Napi::CallbackInfo& info);

 private:
  Napi::Value MapSpecs(const Napi::CallbackInfo& info);
  Napi::Value ProgramSpecs(const Napi::CallbackInfo& info);
  Napi::Value SetMap(const Napi::CallbackInfo& info);
  Napi::Value SetMapExtra(const Napi::CallbackInfo& info);
  Napi::Value SetInnerMap(const Napi::CallbackInfo& info);
  Napi::Value SetPinPath(const Napi::CallbackInfo& info);
  Napi::Value ReuseMap(const Napi::CallbackInfo& info);
  Napi::Value SetProgram(const Napi::CallbackInfo& info);
  Napi::Value SetAttachTarget(const Napi::CallbackInfo& info);
  Napi::Value InitialValue(const Napi::CallbackInfo& info);
  Napi::Value SetInitialValue(const Napi::CallbackInfo& info);
  Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value LoadAsync(const Napi::CallbackInfo& info);
  Napi::Value GetMap(const Napi::CallbackInfo& info);
  Napi::Value GetProgram(const Napi::CallbackInfo& info);
  Napi::Value AttachPrograms(const Napi::CallbackInfo& info);
  Napi::Value UpdateStructOps(const Napi::CallbackInfo& info);
  Napi::Value AttachStructOps(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  // Each throws and answers false unless the object is open and …
  bool Require(ObjectState::Phase phase, const char* call);
  bool RequireIdle(const char* call);
  // The element that an index argument stands for; nullptr with an exception pending.
  bpf_map* MapAt(napi_value index, const char* call);
  bpf_program* ProgramAt(napi_value index, const char* call);
  // Where libbpf has mapped a map's memory, which keeps the object; null if it hasn't.
  Mapping MappedMemory(bpf_map* map) const;
  // What a setter answers: undefined, or an exception for its negative errno.
  Napi::Value Answer(int status, const char* call, const std::string& subject, LogCapture& capture);

  std::shared_ptr<ObjectState> state_;
  std::string subject_;
};

}  // namespace bpfnode
