// How the kernel lays out records and values: 8-byte aligned.
#pragma once

#include <cstddef>

namespace bpfnode {

constexpr size_t RoundUp8(size_t size) { return (size + 7) & ~size_t{7}; }

}  // namespace bpfnode
