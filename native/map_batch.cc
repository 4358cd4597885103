#include "map_batch.h"

#include <bpf/bpf.h>

#include <cerrno>

namespace bpfnode {

const char* BatchCall(BatchOperation operation) {
  switch (operation) {
    case BatchOperation::kLookup:
      return "bpf(BPF_MAP_LOOKUP_BATCH)";
    case BatchOperation::kLookupAndDelete:
      return "bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH)";
    case BatchOperation::kUpdate:
      return "bpf(BPF_MAP_UPDATE_BATCH)";
    case BatchOperation::kDelete:
      return "bpf(BPF_MAP_DELETE_BATCH)";
    case BatchOperation::kCount:
      break;
  }
  return "bpf";
}

BatchResult RunBatch(int fd, const BatchRequest& request) {
  LIBBPF_OPTS(bpf_map_batch_opts, options, .elem_flags = request.flags);
  uint32_t count = request.count;
  int status = 0;
  // The kernel has read the old cursor before it writes the new one.
  void* from = request.first ? nullptr : request.cursor;
  switch (request.operation) {
    case BatchOperation::kLookup:
      status = bpf_map_lookup_batch(fd, from, request.cursor, request.keys, request.values, &count, &options);
      break;
    case BatchOperation::kLookupAndDelete:
      status = bpf_map_lookup_and_delete_batch(fd, from, request.cursor, request.keys, request.values, &count,
                                               &options);
      break;
    case BatchOperation::kUpdate:
      status = bpf_map_update_batch(fd, request.keys, request.values, &count, &options);
      break;
    case BatchOperation::kDelete:
      status = bpf_map_delete_batch(fd, request.keys, &count, &options);
      break;
    case BatchOperation::kCount:
      return {0, EINVAL};
  }
  const int error = status == 0 ? 0 : errno;
  // A call that the kernel refuses at once leaves the count as it was. A walk's last batch may be full and
  // say ENOENT; no other failure goes with a full count.
  const bool walk =
      request.operation == BatchOperation::kLookup || request.operation == BatchOperation::kLookupAndDelete;
  if (error != 0 && !(walk && error == ENOENT) && count >= request.count) count = 0;
  return {count, error};
}

}  // namespace bpfnode
