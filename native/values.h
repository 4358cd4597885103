// Values for JavaScript that several files make.
#pragma once

#include <napi.h>

#include <cstddef>

namespace bpfnode {

// A copy of bytes; empty in an environment that is ending, which refuses to make one.
Napi::Value ToUint8Array(Napi::Env env, const void* bytes, size_t size);

}  // namespace bpfnode
