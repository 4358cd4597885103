// The memory of a map, as it is mapped into the process.
#pragma once

#include <memory>

namespace bpfnode {

// A place where it is mapped, which it stays as long as somebody has this.
using Mapping = std::shared_ptr<void>;

}  // namespace bpfnode
