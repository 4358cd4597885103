#include "program.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "addon.h"
#include "arguments.h"
#include "failure.h"
#include "link.h"
#include "log.h"
#include "program_stream.h"

namespace bpfnode {
namespace {

// Keeps a wrong length from exhausting memory. The kernel's own limits are far below.
constexpr uint32_t kMaxTestBytes = uint32_t{64} << 20;

// A copy of an optional argument; nullopt with an exception pending where it is wrong.
std::optional<std::vector<uint8_t>> ToCopy(Napi::Env env, napi_value value, Parameter parameter) {
  if (IsNullish(env, value)) return std::vector<uint8_t>{};
  const auto bytes = ToBytes(env, value, parameter);
  if (!bytes) return std::nullopt;
  if (bytes->size > kMaxTestBytes) {
    const auto actual = static_cast<double>(bytes->size);
    Throw(env, {parameter.call, 0, parameter.name, {}, Reason::kRange, kMaxTestBytes, actual});
    return std::nullopt;
  }
  return std::vector<uint8_t>(bytes->data, bytes->data + bytes->size);
}

Napi::Value ToUint8Array(Napi::Env env, const uint8_t* bytes, size_t size) {
  Napi::Uint8Array result = Napi::Uint8Array::New(env, size);
  // Empty in an environment that is ending, which refuses to make one.
  if (!result.IsEmpty() && size > 0) memcpy(result.Data(), bytes, size);
  return result;
}

}  // namespace

Napi::Function Program::Define(Napi::Env env) {
  return DefineClass(env, "NativeProgram",
                     {
                         InstanceMethod<&Program::Info>("info"),
                         InstanceMethod<&Program::Fd>("fd"),
                         InstanceMethod<&Program::Attach>("attach"),
                         InstanceMethod<&Program::Run>("run"),
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
  return Link::Create(Env(), object_, std::move(link), *subject);
}

// run(data | undefined, dataOutSize, ctx | undefined, ctxOutSize, repeat)
Napi::Value Program::Run(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_PROG_TEST_RUN)";
  if (!RequireOpen(kCall)) return {};
  const auto data = ToCopy(Env(), info[0], {kCall, "data"});
  if (!data) return {};
  const auto data_out_size = ToUint32(Env(), info[1], {kCall, "dataOutSize"}, 0, kMaxTestBytes);
  if (!data_out_size) return {};
  auto ctx = ToCopy(Env(), info[2], {kCall, "ctx"});
  if (!ctx) return {};
  const auto ctx_out_size = ToUint32(Env(), info[3], {kCall, "ctxOutSize"}, 0, kMaxTestBytes);
  if (!ctx_out_size) return {};
  const auto repeat = ToUint32(Env(), info[4], {kCall, "repeat"}, 0, INT32_MAX);
  if (!repeat) return {};

  std::vector<uint8_t> data_out(*data_out_size);
  std::vector<uint8_t> ctx_out(*ctx_out_size);
  LIBBPF_OPTS(bpf_test_run_opts, options);
  // Null stands for "not given": most program types refuse what they have no use for.
  if (!data->empty()) {
    options.data_in = data->data();
    options.data_size_in = static_cast<__u32>(data->size());
  }
  if (!data_out.empty()) {
    options.data_out = data_out.data();
    options.data_size_out = static_cast<__u32>(data_out.size());
  }
  if (!ctx->empty()) {
    options.ctx_in = ctx->data();
    options.ctx_size_in = static_cast<__u32>(ctx->size());
  }
  if (!ctx_out.empty()) {
    options.ctx_out = ctx_out.data();
    options.ctx_size_out = static_cast<__u32>(ctx_out.size());
  }
  options.repeat = static_cast<int>(*repeat);
  if (bpf_prog_test_run_opts(bpf_program__fd(program_), &options) != 0) {
    Throw(Env(), {kCall, errno, subject_, {}});
    return {};
  }

  Napi::Object result = Napi::Object::New(Env());
  result.Set("retval", options.retval);
  result.Set("durationNs", options.duration);
  if (!data_out.empty()) {
    const size_t size = std::min<size_t>(options.data_size_out, data_out.size());
    result.Set("dataOut", ToUint8Array(Env(), data_out.data(), size));
  }
  if (!ctx_out.empty()) {
    const size_t size = std::min<size_t>(options.ctx_size_out, ctx_out.size());
    result.Set("ctxOut", ToUint8Array(Env(), ctx_out.data(), size));
  }
  // Programs of type syscall change the input context itself.
  if (!ctx->empty()) result.Set("ctxIn", ToUint8Array(Env(), ctx->data(), ctx->size()));
  return result;
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
