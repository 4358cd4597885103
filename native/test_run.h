// Programs run on demand: BPF_PROG_TEST_RUN.
#pragma once

#include <napi.h>

#include <string>

namespace bpfnode {

// run(options): data, dataOutSize, ctx, ctxOutSize, repeat, cpu, flags, batchSize.
Napi::Value RunProgram(const Napi::CallbackInfo& info, int fd, const std::string& subject);

// The same on libuv's thread pool; a promise.
Napi::Value RunProgramAsync(const Napi::CallbackInfo& info, int fd, const std::string& subject);

}  // namespace bpfnode
