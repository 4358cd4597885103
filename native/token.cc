#include "token.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <cerrno>

#include "failure.h"

namespace bpfnode {

std::optional<UniqueFd> CreateToken(Napi::Env env, const std::string& path) {
  constexpr const char* kCall = "bpf(BPF_TOKEN_CREATE)";
#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 4
  const UniqueFd mount(open(path.c_str(), O_DIRECTORY | O_CLOEXEC));
  if (!mount) {
    Throw(env, {"open", errno, "BPF file system " + path, {}});
    return std::nullopt;
  }
  UniqueFd token(bpf_token_create(mount.get(), nullptr));
  if (token) return token;
  Throw(env, {kCall, errno, "BPF file system " + path, {}});
#else
  static_cast<void>(path);
  Throw(env, {kCall,
              0,
              "BPF tokens, for which the addon must be built with libbpf 1.4 or newer",
              {},
              Reason::kUnsupported});
#endif
  return std::nullopt;
}

}  // namespace bpfnode
