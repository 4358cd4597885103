// Questions to rtnetlink: interfaces and traffic control filters, with the programs that are attached to
// them.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bpfnode {

struct NetlinkAnswer {
  // As they came, one behind the other; without the one that ends them.
  std::vector<uint8_t> messages;
  // 0 or an errno.
  int error = 0;
};

// Sends one message of rtnetlink, and waits for the whole answer.
NetlinkAnswer AskNetlink(const void* request, size_t size);

// netlinkDump(request, netnsFd | undefined, subject): sends one request, and gives all messages of the answer
// back as they came.
Napi::Value NetlinkDump(const Napi::CallbackInfo& info);

}  // namespace bpfnode
