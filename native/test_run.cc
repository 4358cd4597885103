#include "test_run.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "arguments.h"
#include "failure.h"
#include "unique_fd.h"
#include "values.h"

namespace bpfnode {
namespace {

constexpr const char* kCall = "bpf(BPF_PROG_TEST_RUN)";
// Keeps a wrong length from exhausting memory. The kernel's own limits are far below.
constexpr uint32_t kMaxTestBytes = uint32_t{64} << 20;

// One test run. Owns all that it needs: the caller's buffers may be gone before it ends.
struct TestRun {
  UniqueFd fd;
  std::string subject;
  std::vector<uint8_t> data;
  std::vector<uint8_t> data_out;
  std::vector<uint8_t> ctx;
  std::vector<uint8_t> ctx_out;
  bpf_test_run_opts options = {};
  int error = 0;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;

  void Run(int program) {
    options.sz = sizeof(options);
    // Null stands for "not given": most program types refuse what they have no use for.
    if (!data.empty()) {
      options.data_in = data.data();
      options.data_size_in = static_cast<__u32>(data.size());
    }
    if (!data_out.empty()) {
      options.data_out = data_out.data();
      options.data_size_out = static_cast<__u32>(data_out.size());
    }
    if (!ctx.empty()) {
      options.ctx_in = ctx.data();
      options.ctx_size_in = static_cast<__u32>(ctx.size());
    }
    if (!ctx_out.empty()) {
      options.ctx_out = ctx_out.data();
      options.ctx_size_out = static_cast<__u32>(ctx_out.size());
    }
    error = bpf_prog_test_run_opts(program, &options) == 0 ? 0 : errno;
  }

  [[nodiscard]] Failure ToFailure() const { return {kCall, error, subject, {}}; }

  [[nodiscard]] Napi::Value Result(Napi::Env env) const {
    Napi::Object result = Napi::Object::New(env);
    if (result.IsEmpty()) return result;
    result.Set("retval", options.retval);
    result.Set("durationNs", options.duration);
    if (!data_out.empty()) {
      result.Set("dataOut", ToUint8Array(env, data_out.data(),
                                         std::min<size_t>(options.data_size_out, data_out.size())));
    }
    if (!ctx_out.empty()) {
      result.Set("ctxOut",
                 ToUint8Array(env, ctx_out.data(), std::min<size_t>(options.ctx_size_out, ctx_out.size())));
    }
    // Programs of type syscall change the input context itself.
    if (!ctx.empty()) result.Set("ctxIn", ToUint8Array(env, ctx.data(), ctx.size()));
    return result;
  }

  static void Execute(napi_env /*env*/, void* data) {
    auto* self = static_cast<TestRun*>(data);
    self->Run(self->fd.get());
  }

  static void Complete(napi_env raw_env, napi_status status, void* data) {
    const std::unique_ptr<TestRun> self(static_cast<TestRun*>(data));
    const Napi::Env env(raw_env);
    const Napi::HandleScope scope(env);
    if (status != napi_ok) self->error = ECANCELED;
    if (self->error != 0) {
      napi_reject_deferred(env, self->deferred, ToError(env, self->ToFailure()));
    } else {
      napi_resolve_deferred(env, self->deferred, self->Result(env));
    }
    napi_delete_async_work(env, self->work);
  }
};

// A copy of an optional member; nullopt with an exception pending where it is wrong.
std::optional<std::vector<uint8_t>> ToCopy(const Napi::Object& options, const char* name) {
  const Napi::Env env = options.Env();
  const Napi::Value value = options.Get(name);
  if (IsNullish(env, value)) return std::vector<uint8_t>{};
  const auto bytes = ToBytes(env, value, {kCall, name});
  if (!bytes) return std::nullopt;
  if (bytes->size > kMaxTestBytes) {
    const auto actual = static_cast<double>(bytes->size);
    Throw(env, {kCall, 0, name, {}, Reason::kRange, kMaxTestBytes, actual});
    return std::nullopt;
  }
  return std::vector<uint8_t>(bytes->data, bytes->data + bytes->size);
}

// Null with an exception pending where an option is wrong.
std::unique_ptr<TestRun> ToTestRun(const Napi::CallbackInfo& info, const std::string& subject) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject()) {
    Throw(env, {kCall, 0, "options", {}, Reason::kArgument});
    return nullptr;
  }
  const auto options = info[0].As<Napi::Object>();
  const auto number = [&](const char* name, uint32_t max) {
    return ToUint32(env, options.Get(name), {kCall, name}, 0, max);
  };
  auto run = std::make_unique<TestRun>();
  run->subject = subject;
  auto data = ToCopy(options, "data");
  if (!data) return nullptr;
  run->data = std::move(*data);
  auto ctx = ToCopy(options, "ctx");
  if (!ctx) return nullptr;
  run->ctx = std::move(*ctx);
  const auto data_out_size = number("dataOutSize", kMaxTestBytes);
  if (!data_out_size) return nullptr;
  run->data_out.resize(*data_out_size);
  const auto ctx_out_size = number("ctxOutSize", kMaxTestBytes);
  if (!ctx_out_size) return nullptr;
  run->ctx_out.resize(*ctx_out_size);
  const auto repeat = number("repeat", INT32_MAX);
  if (!repeat) return nullptr;
  run->options.repeat = static_cast<int>(*repeat);
  const auto cpu = number("cpu", UINT32_MAX);
  if (!cpu) return nullptr;
  run->options.cpu = *cpu;
  const auto flags = number("flags", UINT32_MAX);
  if (!flags) return nullptr;
  run->options.flags = *flags;
  const auto batch_size = number("batchSize", UINT32_MAX);
  if (!batch_size) return nullptr;
  run->options.batch_size = *batch_size;
  return run;
}

}  // namespace

Napi::Value RunProgram(const Napi::CallbackInfo& info, int fd, const std::string& subject) {
  const auto run = ToTestRun(info, subject);
  if (!run) return {};
  run->Run(fd);
  if (run->error == 0) return run->Result(info.Env());
  Throw(info.Env(), run->ToFailure());
  return {};
}

Napi::Value RunProgramAsync(const Napi::CallbackInfo& info, int fd, const std::string& subject) {
  const Napi::Env env = info.Env();
  auto run = ToTestRun(info, subject);
  if (!run) return {};
  // The program may be closed while it runs.
  run->fd = UniqueFd::Duplicate(fd);
  if (!run->fd) {
    Throw(env, {"fcntl(F_DUPFD_CLOEXEC)", errno, subject, {}});
    return {};
  }
  napi_value promise = nullptr;
  const Napi::String name = Napi::String::New(env, "libbpf-node:run");
  const bool queued = napi_create_promise(env, &run->deferred, &promise) == napi_ok &&
                      napi_create_async_work(env, nullptr, name, TestRun::Execute, TestRun::Complete,
                                             run.get(), &run->work) == napi_ok &&
                      napi_queue_async_work(env, run->work) == napi_ok;
  if (!queued) {
    Throw(env, {kCall, ENOMEM, subject, {}});
    return {};
  }
  // Complete() takes it back, and Node calls Complete() always.
  static_cast<void>(run.release());  // NOLINT(bugprone-unused-return-value)
  return {env, promise};
}

}  // namespace bpfnode
