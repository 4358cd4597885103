// How a failure reaches JavaScript.
//
// C++ never words an error: it hands what it knows to a factory that lib/native/failure.ts has set, and
// throws what the factory returns.
#pragma once

#include <napi.h>

#include <cstddef>
#include <string>

namespace bpfnode {

// What kind of thing went wrong where no errno tells. The names are part of the interface: see
// addon-types.ts.
enum class Reason {
  kNone,         // errno tells
  kClosed,       // the handle was closed
  kBusy,         // the object is being loaded by another thread
  kPhase,        // the operation belongs to another phase
  kReentrant,    // called from inside the callback that it would call
  kArgument,     // an argument has the wrong type
  kRange,        // a number is out of range: `expected` is the limit
  kSize,         // a buffer has the wrong size: `expected` and `actual` bytes
  kNoLink,       // the attachment is no BPF link
  kUnsupported,  // this build or kernel has no such thing
};

struct Failure {
  // The system call or libbpf function.
  const char* call = "";
  // Positive, or 0.
  int error = 0;
  // What it was about: a map, a program, an argument.
  std::string subject = {};
  // What libbpf printed during the call.
  std::string log = {};
  Reason reason = Reason::kNone;
  double expected = 0;
  double actual = 0;
};

// Leaves the JavaScript exception for `failure` pending. The caller returns at once.
void Throw(Napi::Env env, const Failure& failure);

// The Error for `failure`, to reject a promise with.
Napi::Value ToError(Napi::Env env, const Failure& failure);

// Throws for a closed handle.
void ThrowClosed(Napi::Env env, const char* call, const std::string& subject);

}  // namespace bpfnode
