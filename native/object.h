// An object file in libbpf's hands: from open, through configuration, to loaded.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "handles.h"

namespace bpfnode {

// What the thread that loads and the JavaScript handle have in common. Only the JavaScript thread looks at
// the flags.
struct ObjectState {
  enum class Phase { kOpen, kLoading, kLoaded, kFailed };
  SharedObject object;
  Phase phase = Phase::kOpen;
  bool closed = false;
};

class Object : public Napi::ObjectWrap<Object> {
 public:
  static Napi::Function Define(Napi::Env env);

  // openObject(image, name, subject): the one way to a usable Object. One that JavaScript constructs is a
  // closed one.
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit Object(const Napi::CallbackInfo& info);

 private:
  Napi::Value MapSpecs(const Napi::CallbackInfo& info);
  Napi::Value ProgramSpecs(const Napi::CallbackInfo& info);
  Napi::Value SetMaxEntries(const Napi::CallbackInfo& info);
  Napi::Value SetAutoload(const Napi::CallbackInfo& info);
  Napi::Value InitialValue(const Napi::CallbackInfo& info);
  Napi::Value SetInitialValue(const Napi::CallbackInfo& info);
  Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value LoadAsync(const Napi::CallbackInfo& info);
  Napi::Value GetMap(const Napi::CallbackInfo& info);
  Napi::Value GetProgram(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  // Each throws and answers false unless the object is open and …
  bool Require(ObjectState::Phase phase, const char* call);
  bool RequireIdle(const char* call);

  std::shared_ptr<ObjectState> state_;
  std::string subject_;
  std::vector<bpf_map*> maps_;
  std::vector<bpf_program*> programs_;
};

}  // namespace bpfnode
