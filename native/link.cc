#include "link.h"

#include <bpf/bpf.h>

#include <utility>

#include "addon.h"
#include "failure.h"

namespace bpfnode {

Napi::Function Link::Define(Napi::Env env) {
  return DefineClass(env, "NativeLink",
                     {
                         InstanceMethod<&Link::Id>("id"),
                         InstanceMethod<&Link::Close>("close"),
                     });
}

Link::Link(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Link>(info) {}

Napi::Value Link::Create(Napi::Env env, const SharedObject& object, UniqueLink link,
                         const std::string& subject, bool has_id) {
  const Napi::Object handle = AddonData::Of(env)->link.New({});
  if (handle.IsEmpty()) return {};
  Link* self = Unwrap(handle);
  self->object_ = object;
  self->link_ = std::move(link);
  self->subject_ = subject;
  self->has_id_ = has_id;
  // Garbage collection must not detach: an open link stays until close() or the end of the environment.
  self->Ref();
  return handle;
}

Napi::Value Link::Id(const Napi::CallbackInfo& info) {
  if (!link_) {
    ThrowClosed(Env(), "bpf(BPF_OBJ_GET_INFO_BY_FD)", subject_);
    return {};
  }
  // Attachments that are not BPF links have a descriptor of another kind, or none: for those, there is no id.
  bpf_link_info kernel_info = {};
  __u32 length = sizeof(kernel_info);
  const int fd = bpf_link__fd(link_.get());
  const bool is_link = has_id_ && fd >= 0 && bpf_obj_get_info_by_fd(fd, &kernel_info, &length) == 0;
  return Napi::Number::New(info.Env(), is_link ? kernel_info.id : 0);
}

Napi::Value Link::Close(const Napi::CallbackInfo& info) {
  if (link_) {
    // Whether or not detaching succeeds, libbpf frees the link: its status is of no use to anybody.
    link_.reset();
    object_.reset();
    Unref();
  }
  return info.Env().Undefined();
}

}  // namespace bpfnode
