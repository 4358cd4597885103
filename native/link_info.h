// What the kernel tells of a link: bpf(BPF_OBJ_GET_INFO_BY_FD) with room for what its pointers point to.
#pragma once

#include <napi.h>

namespace bpfnode {

// `RawLinkInfo` of lib/linux/link-info.ts for the descriptor of a BPF link; an empty value with errno set
// where the kernel refuses.
Napi::Value ReadLinkInfo(Napi::Env env, int fd);

}  // namespace bpfnode
