// Programs of light-weight tunnels: they belong to a route.
#pragma once

#include "attach.h"

namespace bpfnode {

// { target, hook, address, prefixLength, gateway?, table?, headroom?, netnsFd? }: adds a route whose packets
// pass the program. `hook` is LWT_BPF_IN, OUT or XMIT.
UniqueAttachment AttachLwtRoute(const AttachContext& context);

}  // namespace bpfnode
