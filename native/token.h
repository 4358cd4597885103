// BPF tokens: a descriptor that stands for capabilities in a user namespace. Linux 6.9.
#pragma once

#include <napi.h>

#include <optional>
#include <string>

#include "unique_fd.h"

namespace bpfnode {

// BPF_F_TOKEN_FD, which Debian 12's headers do not have yet: goes with a token in map_flags and btf_flags.
constexpr uint32_t kWithToken = 1U << 16;

// A token of the BPF file system mounted at `path`. Empty with an exception pending on failure, or where this
// build knows no tokens.
std::optional<UniqueFd> CreateToken(Napi::Env env, const std::string& path);

}  // namespace bpfnode
