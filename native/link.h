// An attachment, as JavaScript holds it.
#pragma once

#include <napi.h>

#include <string>

#include "attachment.h"

namespace bpfnode {

class Link : public Napi::ObjectWrap<Link> {
 public:
  static Napi::Function Define(Napi::Env env);

  static Napi::Value Create(Napi::Env env, UniqueAttachment attachment, const std::string& subject);

  explicit Link(const Napi::CallbackInfo& info);

  // libbpf's link behind a value from JavaScript; null if it is none, or closed.
  static bpf_link* LibbpfLinkOf(Napi::Env env, const Napi::Value& value);

 private:
  Napi::Value Fd(const Napi::CallbackInfo& info);
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Facts(const Napi::CallbackInfo& info);
  Napi::Value Update(const Napi::CallbackInfo& info);
  Napi::Value Pin(const Napi::CallbackInfo& info);
  Napi::Value Detach(const Napi::CallbackInfo& info);
  Napi::Value Disown(const Napi::CallbackInfo& info);
  Napi::Value OpenIterator(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  // The descriptor of the BPF link; negative with an exception pending if it is closed, or no BPF link.
  int RequireFd(const char* call);
  void Release();

  UniqueAttachment attachment_;
  std::string subject_;
};

// openLinkById(id, subject), openLinkByPin(path, subject), openLinkByFd(fd, subject)
Napi::Value OpenLinkById(const Napi::CallbackInfo& info);
Napi::Value OpenLinkByPin(const Napi::CallbackInfo& info);
Napi::Value OpenLinkByFd(const Napi::CallbackInfo& info);

}  // namespace bpfnode
