// The network interfaces that there are.
#pragma once

#include <napi.h>

namespace bpfnode {

// interfaces(netnsFd | undefined, subject): an array of { index, name }.
Napi::Value Interfaces(const Napi::CallbackInfo& info);

}  // namespace bpfnode
