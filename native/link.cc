#include "link.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <climits>
#include <utility>

#include "addon.h"
#include "arguments.h"
#include "failure.h"
#include "link_info.h"

namespace bpfnode {
namespace {

constexpr const char* kGet = "bpf(BPF_OBJ_GET)";
constexpr const char* kGetById = "bpf(BPF_LINK_GET_FD_BY_ID)";
constexpr const char* kDuplicate = "fcntl(F_DUPFD_CLOEXEC)";

Napi::Value Open(Napi::Env env, UniqueFd fd, const char* call, const std::string& subject) {
  const int error = fd ? EINVAL : errno;
  if (!fd || !IsLink(fd.get())) {
    Throw(env, {call, error, subject, {}});
    return {};
  }
  return Link::Create(env, std::make_unique<FdAttachment>(std::move(fd)), subject);
}

}  // namespace

Napi::Function Link::Define(Napi::Env env) {
  return DefineClass(env, "NativeLink",
                     {
                         InstanceMethod<&Link::Fd>("fd"),
                         InstanceMethod<&Link::Info>("info"),
                         InstanceMethod<&Link::Facts>("facts"),
                         InstanceMethod<&Link::Update>("update"),
                         InstanceMethod<&Link::Pin>("pin"),
                         InstanceMethod<&Link::Detach>("detach"),
                         InstanceMethod<&Link::Disown>("disown"),
                         InstanceMethod<&Link::OpenIterator>("openIterator"),
                         InstanceMethod<&Link::Close>("close"),
                     });
}

Link::Link(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Link>(info) {}

Napi::Value Link::Create(Napi::Env env, UniqueAttachment attachment, const std::string& subject) {
  const Napi::Object handle = AddonData::Of(env)->link.New({});
  if (handle.IsEmpty()) return {};
  Link* self = Unwrap(handle);
  self->attachment_ = std::move(attachment);
  self->subject_ = subject;
  // Garbage collection must not detach: an open link stays until close() or the end of the environment.
  self->Ref();
  return handle;
}

bpf_link* Link::LibbpfLinkOf(Napi::Env env, const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  const auto object = value.As<Napi::Object>();
  if (!object.InstanceOf(AddonData::Of(env)->link.Value())) return nullptr;
  const Link* self = Unwrap(object);
  return self->attachment_ ? self->attachment_->LibbpfLink() : nullptr;
}

int Link::RequireFd(const char* call) {
  if (!attachment_) {
    ThrowClosed(Env(), call, subject_);
    return -1;
  }
  const int fd = attachment_->LinkFd();
  if (fd < 0) Throw(Env(), {call, 0, subject_, {}, Reason::kNoLink});
  return fd;
}

void Link::Release() {
  if (!attachment_) return;
  // Whether or not detaching succeeds, libbpf frees the link: its status is of no use to anybody.
  attachment_.reset();
  Unref();
}

// The descriptor itself, which stays ours; undefined for attachments that are no BPF links.
Napi::Value Link::Fd(const Napi::CallbackInfo& info) {
  if (!attachment_) {
    ThrowClosed(Env(), "bpf_link__fd", subject_);
    return {};
  }
  const int fd = attachment_->LinkFd();
  return fd < 0 ? info.Env().Undefined() : Napi::Number::New(info.Env(), fd);
}

Napi::Value Link::Info(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_OBJ_GET_INFO_BY_FD)";
  const int fd = RequireFd(kCall);
  if (fd < 0) return {};
  const Napi::Value result = ReadLinkInfo(info.Env(), fd);
  if (result.IsEmpty()) Throw(Env(), {kCall, errno, subject_, {}});
  return result;
}

// An object of numbers: see AttachmentFacts.
Napi::Value Link::Facts(const Napi::CallbackInfo& info) {
  if (!attachment_) {
    ThrowClosed(Env(), "facts", subject_);
    return {};
  }
  const Napi::Object result = Napi::Object::New(info.Env());
  for (const auto& [name, value] : attachment_->Facts()) result.Set(name, value);
  return result;
}

// update(fd, expectedFd | undefined): descriptors of programs, or of maps for struct_ops.
Napi::Value Link::Update(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_LINK_UPDATE)";
  const int fd = RequireFd(kCall);
  if (fd < 0) return {};
  const auto next = ToUint32(Env(), info[0], {kCall, "program"}, 0, INT_MAX);
  if (!next) return {};
  LIBBPF_OPTS(bpf_link_update_opts, options);
  if (!IsNullish(Env(), info[1])) {
    const auto expected = ToUint32(Env(), info[1], {kCall, "expected"}, 0, INT_MAX);
    if (!expected) return {};
    options.flags = BPF_F_REPLACE;
    options.old_prog_fd = *expected;
  }
  if (bpf_link_update(fd, static_cast<int>(*next), &options) != 0) {
    Throw(Env(), {kCall, errno, subject_, {}});
    return {};
  }
  return Env().Undefined();
}

// pin(path)
Napi::Value Link::Pin(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_OBJ_PIN)";
  const int fd = RequireFd(kCall);
  if (fd < 0) return {};
  const auto path = ToText(Env(), info[0], {kCall, "path"});
  if (!path) return {};
  if (bpf_obj_pin(fd, path->c_str()) != 0) {
    Throw(Env(), {kCall, errno, subject_, {}});
    return {};
  }
  return Env().Undefined();
}

Napi::Value Link::Detach(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_LINK_DETACH)";
  const int fd = RequireFd(kCall);
  if (fd < 0) return {};
  if (bpf_link_detach(fd) != 0) {
    Throw(Env(), {kCall, errno, subject_, {}});
    return {};
  }
  return info.Env().Undefined();
}

// disown(pinned)
Napi::Value Link::Disown(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf_link__disconnect";
  if (!attachment_) {
    ThrowClosed(Env(), kCall, subject_);
    return {};
  }
  const auto pinned = ToBool(Env(), info[0], {kCall, "pinned"});
  if (!pinned) return {};
  attachment_->Disown(*pinned);
  Release();
  return Env().Undefined();
}

// The descriptor of a new walk, which is the caller's.
Napi::Value Link::OpenIterator(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_ITER_CREATE)";
  const int fd = RequireFd(kCall);
  if (fd < 0) return {};
  const int iterator = bpf_iter_create(fd);
  if (iterator < 0) {
    Throw(Env(), {kCall, errno, subject_, {}});
    return {};
  }
  return Napi::Number::New(info.Env(), iterator);
}

Napi::Value Link::Close(const Napi::CallbackInfo& info) {
  Release();
  return info.Env().Undefined();
}

Napi::Value OpenLinkById(const Napi::CallbackInfo& info) {
  const auto id = ToUint32(info.Env(), info[0], {kGetById, "id"});
  if (!id) return {};
  const auto subject = ToText(info.Env(), info[1], {kGetById, "subject"});
  if (!subject) return {};
  return Open(info.Env(), UniqueFd(bpf_link_get_fd_by_id(*id)), kGetById, *subject);
}

Napi::Value OpenLinkByPin(const Napi::CallbackInfo& info) {
  const auto path = ToText(info.Env(), info[0], {kGet, "path"});
  if (!path) return {};
  const auto subject = ToText(info.Env(), info[1], {kGet, "subject"});
  if (!subject) return {};
  return Open(info.Env(), UniqueFd(bpf_obj_get(path->c_str())), kGet, *subject);
}

Napi::Value OpenLinkByFd(const Napi::CallbackInfo& info) {
  const auto fd = ToUint32(info.Env(), info[0], {kDuplicate, "fd"}, 0, INT_MAX);
  if (!fd) return {};
  const auto subject = ToText(info.Env(), info[1], {kDuplicate, "subject"});
  if (!subject) return {};
  return Open(info.Env(), UniqueFd::Duplicate(static_cast<int>(*fd)), kDuplicate, *subject);
}

}  // namespace bpfnode
