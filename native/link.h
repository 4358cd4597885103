// An attachment.
#pragma once

#include <napi.h>

#include <string>

#include "handles.h"

namespace bpfnode {

class Link : public Napi::ObjectWrap<Link> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Shares the ownership of `object`: some of libbpf's links (USDT, struct_ops) point into it.
  // `has_id`: false for attachments whose descriptor is that of something else than a link, such as a map.
  static Napi::Value Create(Napi::Env env, const SharedObject& object, UniqueLink link,
                            const std::string& subject, bool has_id = true);

  explicit Link(const Napi::CallbackInfo& info);

 private:
  Napi::Value Id(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  // Declared first, so destroyed last: the link points into it.
  SharedObject object_;
  UniqueLink link_;
  std::string subject_;
  bool has_id_ = true;
};

}  // namespace bpfnode
