// Attaching a program to a place that is named explicitly: one function for each of libbpf's calls.
#pragma once

#include <napi.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "attachment.h"
#include "failure.h"
#include "handles.h"
#include "log.h"
#include "settings.h"

namespace bpfnode {

// What an attach works on. All of it outlives the call.
struct AttachContext {
  Napi::Env env;
  const SharedObject& object;
  bpf_program* program;
  const std::string& subject;
  Settings& settings;
};

// Null with an exception pending.
using AttachFunction = UniqueAttachment (*)(const AttachContext& context);

struct AttachKind {
  const char* name;
  // The call that failures name.
  const char* call;
  AttachFunction attach;
};

// The kind of that name; null if there is none. See `AttachSettings` in addon-types.ts.
const AttachKind* FindTracingAttach(std::string_view name);
const AttachKind* FindNetworkAttach(std::string_view name);

// What a call of libbpf's gave, or the exception for its errno.
inline UniqueAttachment Attached(const AttachContext& context, const char* call, bpf_link* link,
                                 LogCapture& capture) {
  const int error = errno;
  if (link != nullptr) return std::make_unique<LibbpfAttachment>(context.object, UniqueLink(link));
  Throw(context.env, {call, error, context.subject, capture.Take()});
  return nullptr;
}

// As above, of the descriptor of a BPF link.
inline UniqueAttachment Attached(const AttachContext& context, const char* call, UniqueFd fd) {
  const int error = errno;
  if (fd) return std::make_unique<FdAttachment>(std::move(fd));
  Throw(context.env, {call, error, context.subject, {}});
  return nullptr;
}

}  // namespace bpfnode
