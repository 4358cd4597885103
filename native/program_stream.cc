#include "program_stream.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdint>

#include "arguments.h"
#include "failure.h"

namespace bpfnode {
namespace {

constexpr const char* kCall = "bpf_prog_stream_read";

}  // namespace

#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 6

Napi::Value ReadProgramStream(const Napi::CallbackInfo& info, int program_fd, const std::string& subject) {
  const Napi::Env env = info.Env();
  // BPF_STDOUT and BPF_STDERR.
  const auto stream = ToUint32(env, info[0], {kCall, "stream"}, 1, 2);
  if (!stream) return {};
  const auto into = ToBytes(env, info[1], {kCall, "into"});
  if (!into) return {};
  const auto size = static_cast<uint32_t>(into->size > INT32_MAX ? INT32_MAX : into->size);
  const int got = bpf_prog_stream_read(program_fd, *stream, into->data, size, nullptr);
  if (got < 0) {
    Throw(env, {kCall, -got, subject, {}});
    return {};
  }
  return Napi::Number::New(env, got);
}

#else

Napi::Value ReadProgramStream(const Napi::CallbackInfo& info, int /*program_fd*/,
                              const std::string& /*subject*/) {
  constexpr const char* kWhat =
      "program streams: this addon was built with a libbpf before 1.6 (the prebuilt one has a newer)";
  Throw(info.Env(), {kCall, 0, kWhat, {}, Reason::kUnsupported});
  return {};
}

#endif

}  // namespace bpfnode
