// Owners of libbpf's types.
#pragma once

#include <bpf/libbpf.h>

#include <memory>

namespace bpfnode {

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
struct DestroyLink {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
struct FreeRingBuffer {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

struct FreePerfBuffer {
  void operator()(perf_buffer* buffer) const { perf_buffer__free(buffer); }
};
struct FreeUserRing {
  void operator()(user_ring_buffer* ring) const { user_ring_buffer__free(ring); }
};

// Shared: programs and links point into the object, and users close them in any order.
using SharedObject = std::shared_ptr<bpf_object>;
using UniqueLink = std::unique_ptr<bpf_link, DestroyLink>;
using UniquePerfBuffer = std::unique_ptr<perf_buffer, FreePerfBuffer>;
using UniqueUserRing = std::unique_ptr<user_ring_buffer, FreeUserRing>;
using UniqueRingBuffer = std::unique_ptr<ring_buffer, FreeRingBuffer>;

}  // namespace bpfnode
