// A program that was loaded.
#pragma once

#include <napi.h>

#include <string>

#include "handles.h"

namespace bpfnode {

class Program : public Napi::ObjectWrap<Program> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Shares the ownership of `object`, into which `program` points.
  static Napi::Value Create(Napi::Env env, const SharedObject& object, bpf_program* program,
                            const std::string& subject);

  explicit Program(const Napi::CallbackInfo& info);

 private:
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Fd(const Napi::CallbackInfo& info);
  Napi::Value Attach(const Napi::CallbackInfo& info);
  Napi::Value AttachTo(const Napi::CallbackInfo& info);
  Napi::Value Run(const Napi::CallbackInfo& info);
  Napi::Value RunAsync(const Napi::CallbackInfo& info);
  Napi::Value ReadStream(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  bool RequireOpen(const char* call);

  SharedObject object_;
  bpf_program* program_ = nullptr;
  std::string subject_;
};

}  // namespace bpfnode
