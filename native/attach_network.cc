// Attaching to networks, cgroups, sockets and the maps that hold sockets.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>

#include "attach.h"
#include "clsact.h"
#include "link_create.h"
#include "lwt_route.h"
#include "netns_scope.h"
#include "owned_attachment.h"

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

namespace bpfnode {
namespace {

constexpr const char* kLinkCreate = "bpf(BPF_LINK_CREATE)";
constexpr const char* kProgAttach = "bpf(BPF_PROG_ATTACH)";
constexpr const char* kXdpAttach = "bpf_xdp_attach";
constexpr const char* kSetSockOpt = "setsockopt";

uint32_t ProgramFd(const AttachContext& context) {
  return static_cast<uint32_t>(bpf_program__fd(context.program));
}

// The setting `attachType`, else what the program was loaded for.
uint32_t AttachType(const AttachContext& context) {
  if (context.settings.Has("attachType")) return context.settings.Number("attachType");
  return bpf_program__expected_attach_type(context.program);
}

UniqueAttachment Fail(const AttachContext& context, const char* call, int error) {
  Throw(context.env, {call, error, context.subject, {}});
  return nullptr;
}

// A descriptor of one's own, made before anything is attached that it will be needed to take away. `fd` may
// be negative: none then. False with an exception pending.
bool Keep(const AttachContext& context, int fd, UniqueFd& kept) {
  kept = UniqueFd::Duplicate(fd);
  if (kept || fd < 0) return true;
  Fail(context, "fcntl(F_DUPFD_CLOEXEC)", errno);
  return false;
}

UniqueAttachment CreateLinkIn(const AttachContext& context, int netns_fd,
                              const LinkCreateAttributes& attributes) {
  UniqueFd link;
  int error = 0;
  {
    const NetnsScope scope(netns_fd);
    error = scope.error();
    if (error == 0) link = CreateLink(attributes);
  }
  if (error != 0) return Fail(context, "setns", error);
  return Attached(context, kLinkCreate, std::move(link));
}

// { target, attachType?, flags?, relative?, expectedRevision?, netnsFd? }: XDP, tcx, netkit, cgroup, network
// namespace, sockmap.
UniqueAttachment AttachLink(const AttachContext& context) {
  Settings& settings = context.settings;
  LinkCreateAttributes attributes;
  attributes.prog_fd = ProgramFd(context);
  attributes.target = settings.Number("target");
  attributes.attach_type = AttachType(context);
  attributes.flags = settings.Number("flags");
  attributes.of.order.relative = settings.Number("relative");
  attributes.of.order.expected_revision = settings.BigInt("expectedRevision");
  const int netns_fd = settings.Fd("netnsFd");
  if (!settings.ok()) return nullptr;
  return CreateLinkIn(context, netns_fd, attributes);
}

// { protocolFamily, hook, priority, flags, netnsFd? }
UniqueAttachment AttachNetfilter(const AttachContext& context) {
  Settings& settings = context.settings;
  LinkCreateAttributes attributes;
  attributes.prog_fd = ProgramFd(context);
  attributes.attach_type = AttachType(context);
  attributes.of.netfilter.protocol_family = settings.Number("protocolFamily");
  attributes.of.netfilter.hook = settings.Number("hook");
  attributes.of.netfilter.priority = settings.Signed("priority");
  attributes.of.netfilter.flags = settings.Number("flags");
  const int netns_fd = settings.Fd("netnsFd");
  if (!settings.ok()) return nullptr;
  return CreateLinkIn(context, netns_fd, attributes);
}

// An XDP program without a link. Taken away only as long as it is the one that is there.
class XdpAttachment : public OwnedAttachment {
 public:
  XdpAttachment(UniqueFd netns, UniqueFd program, int ifindex, uint32_t mode)
      : netns_(std::move(netns)), program_(std::move(program)), ifindex_(ifindex), mode_(mode) {}
  ~XdpAttachment() override {
    if (!owned()) return;
    const LogCapture quiet;
    const NetnsScope scope(netns_.get());
    if (scope.error() != 0) return;
    LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = program_.get());
    bpf_xdp_detach(ifindex_, mode_, &options);
  }

 private:
  UniqueFd netns_;
  UniqueFd program_;
  int ifindex_;
  uint32_t mode_;
};

// { target, flags, mode, replaceFd?, netnsFd? }: `mode` is the part of XDP_FLAGS_* that detaching needs
// again.
UniqueAttachment AttachXdp(const AttachContext& context) {
  Settings& settings = context.settings;
  const auto ifindex = static_cast<int>(settings.Number("target", INT32_MAX));
  const uint32_t flags = settings.Number("flags");
  const uint32_t mode = settings.Number("mode");
  const int replace_fd = settings.Fd("replaceFd");
  const int netns_fd = settings.Fd("netnsFd");
  if (!settings.ok()) return nullptr;
  UniqueFd netns;
  UniqueFd program;
  if (!Keep(context, netns_fd, netns) || !Keep(context, bpf_program__fd(context.program), program)) {
    return nullptr;
  }
  LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = replace_fd);
  LogCapture capture;
  const char* call = "setns";
  int status = 0;
  {
    const NetnsScope scope(netns_fd);
    status = -scope.error();
    if (status == 0) {
      call = kXdpAttach;
      // Whether a descriptor is expected at all, the options say by being there: libbpf takes 0 for one.
      status = bpf_xdp_attach(ifindex, program.get(), flags, replace_fd < 0 ? nullptr : &options);
    }
  }
  if (status != 0) {
    Throw(context.env, {call, -status, context.subject, capture.Take()});
    return nullptr;
  }
  return std::make_unique<XdpAttachment>(std::move(netns), std::move(program), ifindex, mode);
}

// A program without a link on a cgroup or a sockmap.
class ProgAttachment : public OwnedAttachment {
 public:
  ProgAttachment(UniqueFd program, UniqueFd target, bpf_attach_type type)
      : program_(std::move(program)), target_(std::move(target)), type_(type) {}
  ~ProgAttachment() override {
    if (owned()) bpf_prog_detach2(program_.get(), target_.get(), type_);
  }

 private:
  UniqueFd program_;
  UniqueFd target_;
  bpf_attach_type type_;
};

// { target, attachType?, flags?, replaceFd? }
UniqueAttachment AttachProg(const AttachContext& context) {
  Settings& settings = context.settings;
  const int target = settings.Fd("target");
  const auto type = static_cast<bpf_attach_type>(AttachType(context));
  const uint32_t flags = settings.Number("flags");
  const int replace_fd = settings.Fd("replaceFd");
  if (!settings.ok()) return nullptr;
  UniqueFd kept;
  UniqueFd program;
  if (!Keep(context, target, kept) || !Keep(context, bpf_program__fd(context.program), program)) {
    return nullptr;
  }
  LIBBPF_OPTS(bpf_prog_attach_opts, options, .flags = flags);
  if (replace_fd >= 0) options.replace_prog_fd = replace_fd;
  if (bpf_prog_attach_opts(program.get(), target, type, &options) != 0) {
    return Fail(context, kProgAttach, errno);
  }
  return std::make_unique<ProgAttachment>(std::move(program), std::move(kept), type);
}

// A filter of a socket. Its descriptor is the socket's owner's, and isn't duplicated: the socket would
// outlive its close(). So it must be the same socket still when the filter is taken away.
class SocketAttachment : public OwnedAttachment {
 public:
  SocketAttachment(int fd, bool reuseport, const struct stat& identity)
      : fd_(fd), reuseport_(reuseport), device_(identity.st_dev), inode_(identity.st_ino) {}
  ~SocketAttachment() override {
    struct stat now = {};
    if (!owned() || fstat(fd_, &now) != 0 || now.st_dev != device_ || now.st_ino != inode_) return;
    const int unused = 0;
    setsockopt(fd_, SOL_SOCKET, reuseport_ ? SO_DETACH_REUSEPORT_BPF : SO_DETACH_BPF, &unused,
               sizeof(unused));
  }

 private:
  int fd_;
  bool reuseport_;
  dev_t device_;
  ino_t inode_;
};

// { target, reuseport }
UniqueAttachment AttachSocket(const AttachContext& context) {
  const int fd = context.settings.Fd("target");
  const bool reuseport = context.settings.Flag("reuseport");
  if (!context.settings.ok()) return nullptr;
  struct stat identity = {};
  if (fstat(fd, &identity) != 0) return Fail(context, "fstat", errno);
  const auto program = static_cast<int>(ProgramFd(context));
  const int option = reuseport ? SO_ATTACH_REUSEPORT_EBPF : SO_ATTACH_BPF;
  if (setsockopt(fd, SOL_SOCKET, option, &program, sizeof(program)) != 0) {
    return Fail(context, kSetSockOpt, errno);
  }
  return std::make_unique<SocketAttachment>(fd, reuseport, identity);
}

constexpr std::array kKinds = {
    AttachKind{"link", kLinkCreate, AttachLink},      AttachKind{"netfilter", kLinkCreate, AttachNetfilter},
    AttachKind{"xdp.netlink", kXdpAttach, AttachXdp}, AttachKind{"clsact", "bpf_tc_attach", AttachClsact},
    AttachKind{"program", kProgAttach, AttachProg},   AttachKind{"socket", kSetSockOpt, AttachSocket},
    AttachKind{"lwt", "rtnetlink", AttachLwtRoute},
};

}  // namespace

const AttachKind* FindNetworkAttach(std::string_view name) {
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(),
                                   [name](const AttachKind& kind) { return kind.name == name; });
  return found == kKinds.end() ? nullptr : found;
}

}  // namespace bpfnode
