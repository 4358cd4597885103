// What a program writes to its stdout and stderr: Linux 6.17, libbpf 1.6.
#pragma once

#include <napi.h>

#include <string>

namespace bpfnode {

// (stream, into): reads and removes what fits `into`. Answers the bytes read.
Napi::Value ReadProgramStream(const Napi::CallbackInfo& info, int program_fd, const std::string& subject);

}  // namespace bpfnode
