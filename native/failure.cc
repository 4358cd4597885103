#include "failure.h"

#include "addon.h"

namespace bpfnode {
namespace {

const char* ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "";
    case Reason::kClosed:
      return "closed";
    case Reason::kBusy:
      return "busy";
    case Reason::kPhase:
      return "phase";
    case Reason::kReentrant:
      return "reentrant";
    case Reason::kArgument:
      return "argument";
    case Reason::kRange:
      return "range";
    case Reason::kSize:
      return "size";
    case Reason::kNoLink:
      return "noLink";
    case Reason::kUnsupported:
      return "unsupported";
  }
  return "";
}

}  // namespace

Napi::Value ToError(Napi::Env env, const Failure& failure) {
  const Napi::Object raw = Napi::Object::New(env);
  raw.Set("call", failure.call);
  raw.Set("errno", failure.error);
  raw.Set("subject", failure.subject);
  raw.Set("log", failure.log);
  raw.Set("reason", ReasonName(failure.reason));
  raw.Set("expected", failure.expected);
  raw.Set("actual", failure.actual);

  const auto* data = AddonData::Of(env);
  if (data != nullptr && !data->failure_factory.IsEmpty()) {
    Napi::Value error = data->failure_factory.Value().Call({raw});
    if (!env.IsExceptionPending() && error.IsObject()) return error;
    if (env.IsExceptionPending()) return env.GetAndClearPendingException().Value();
  }
  // Without a factory (the addon was loaded by hand) the raw facts have to do.
  const Napi::Error error = Napi::Error::New(env, failure.call);
  error.Set("raw", raw);
  return error.Value();
}

void Throw(Napi::Env env, const Failure& failure) {
  if (env.IsExceptionPending()) return;
  const Napi::HandleScope scope(env);
  napi_throw(env, ToError(env, failure));
}

void ThrowClosed(Napi::Env env, const char* call, const std::string& subject) {
  Throw(env, {call, 0, subject, {}, Reason::kClosed});
}

}  // namespace bpfnode
