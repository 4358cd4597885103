#include "program.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "addon.h"
#include "arguments.h"
#include "attach.h"
#include "failure.h"
#include "link.h"
#include "log.h"
#include "program_stream.h"
#include "test_run.h"
#include "values.h"

namespace bpfnode {
Napi::Function Program::Define(Napi::Env env) {
  return DefineClass(env, "NativeProgram",
                     {
                         InstanceMethod<&Program::Info>("info"),
                         InstanceMethod<&Program::Fd>("fd"),
                         InstanceMethod<&Program::Attach>("attach"),
                         InstanceMethod<&Program::AttachTo>("attachTo"),
                         InstanceMethod<&Program::Run>("run"),
                         InstanceMethod<&Program::RunAsync>("runAsync"),
                         InstanceMethod<&Program::ReadStream>("readStream"),
                         InstanceMethod<&Program::Close>("close"),
                     });
}

Program::Program(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Program>(info) {}

Napi::Value Program::Create(Napi::Env env, const SharedObject& object, bpf_program* program,
                            const std::string& subject) {
  const Napi::Object handle = AddonData::Of(env)->program.New({});
  if (handle.IsEmpty()) return {};
  Program* self = Unwrap(handle);
  self->object_ = object;
  self->program_ = program;
  self->subject_ = subject;
  return handle;
}

bool Program::RequireOpen(const char* call) {
  if (object_) return true;
  ThrowClosed(Env(), call, subject_);
  return false;
}

Napi::Value Program::Info(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_OBJ_GET_INFO_BY_FD)";
  if (!RequireOpen(kCall)) return {};
  bpf_prog_info kernel_info = {};
  __u32 length = sizeof(kernel_info);
  if (bpf_obj_get_info_by_fd(bpf_program__fd(program_), &kernel_info, &length) != 0) {
    Throw(Env(), {kCall, errno, subject_, {}});
    return {};
  }
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("id", kernel_info.id);
  result.Set("type", kernel_info.type);
  result.Set("tag", ToUint8Array(Env(), kernel_info.tag, BPF_TAG_SIZE));
  return result;
}

// The descriptor itself, which stays ours.
Napi::Value Program::Fd(const Napi::CallbackInfo& info) {
  if (!RequireOpen("bpf_program__fd")) return {};
  return Napi::Number::New(info.Env(), bpf_program__fd(program_));
}

// attach(subject)
Napi::Value Program::Attach(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_program__attach";
  if (!RequireOpen(kCall)) return {};
  const auto subject = ToText(Env(), info[0], {kCall, "subject"});
  if (!subject) return {};
  LogCapture capture;
  UniqueLink link(bpf_program__attach(program_));
  if (!link) {
    Throw(Env(), {kCall, errno, subject_, capture.Take()});
    return {};
  }
  return Link::Create(Env(), std::make_unique<LibbpfAttachment>(object_, std::move(link)), *subject);
}

// attachTo(kind, settings, subject)
Napi::Value Program::AttachTo(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "attachTo";
  if (!RequireOpen(kCall)) return {};
  const auto name = ToText(Env(), info[0], {kCall, "kind"});
  if (!name) return {};
  const auto subject = ToText(Env(), info[2], {kCall, "subject"});
  if (!subject) return {};
  const AttachKind* kind = FindTracingAttach(*name);
  if (kind == nullptr) kind = FindNetworkAttach(*name);
  if (kind == nullptr || !info[1].IsObject()) {
    Throw(Env(), {kCall, 0, kind == nullptr ? "kind" : "settings", {}, Reason::kArgument});
    return {};
  }
  Settings settings(info[1].As<Napi::Object>(), kind->call);
  UniqueAttachment attachment = kind->attach({Env(), object_, program_, subject_, settings});
  if (!attachment) return {};
  return Link::Create(Env(), std::move(attachment), *subject);
}

Napi::Value Program::Run(const Napi::CallbackInfo& info) {
  if (!RequireOpen("bpf(BPF_PROG_TEST_RUN)")) return {};
  return RunProgram(info, bpf_program__fd(program_), subject_);
}

Napi::Value Program::RunAsync(const Napi::CallbackInfo& info) {
  if (!RequireOpen("bpf(BPF_PROG_TEST_RUN)")) return {};
  return RunProgramAsync(info, bpf_program__fd(program_), subject_);
}

Napi::Value Program::ReadStream(const Napi::CallbackInfo& info) {
  if (!RequireOpen("bpf_prog_stream_read")) return {};
  return ReadProgramStream(info, bpf_program__fd(program_), subject_);
}

Napi::Value Program::Close(const Napi::CallbackInfo& info) {
  program_ = nullptr;
  object_.reset();
  return info.Env().Undefined();
}

}  // namespace bpfnode
