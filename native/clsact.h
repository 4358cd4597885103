// Filters of the clsact qdisc: traffic control before tcx.
#pragma once

#include "attach.h"

namespace bpfnode {

// { target, egress, handle?, priority?, replace?, netnsFd? }: makes the qdisc where there is none.
UniqueAttachment AttachClsact(const AttachContext& context);

}  // namespace bpfnode
