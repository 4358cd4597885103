#include "clsact.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "netlink.h"
#include "netns_scope.h"
#include "owned_attachment.h"

namespace bpfnode {
namespace {

struct Filter {
  int ifindex = 0;
  bpf_tc_attach_point direction = BPF_TC_INGRESS;
  uint32_t handle = 0;
  uint32_t priority = 0;
};

constexpr bpf_tc_attach_point kBoth = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);

bpf_tc_hook HookOf(int ifindex, bpf_tc_attach_point point) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = point);
  return hook;
}

struct TrafficMessage {
  nlmsghdr header;
  tcmsg body;
};

NetlinkAnswer Ask(uint16_t type, uint16_t flags, int ifindex, uint32_t parent) {
  TrafficMessage request = {};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  request.body.tcm_family = AF_UNSPEC;
  request.body.tcm_ifindex = ifindex;
  request.body.tcm_parent = parent;
  return AskNetlink(&request, sizeof(request));
}

// Whether the qdisc has filters in one of its directions. Where nobody can tell, it has.
bool HasFilters(int ifindex, uint32_t minor) {
  const NetlinkAnswer answer = Ask(RTM_GETTFILTER, NLM_F_DUMP, ifindex, TC_H_MAKE(TC_H_CLSACT, minor));
  return answer.error != 0 || !answer.messages.empty();
}

std::string_view KindOf(const nlmsghdr* header) {
  const auto* attribute =
      reinterpret_cast<const rtattr*>(reinterpret_cast<const char*>(header) + sizeof(TrafficMessage));
  auto room = static_cast<unsigned>(header->nlmsg_len - sizeof(TrafficMessage));
  for (; RTA_OK(attribute, room); attribute = RTA_NEXT(attribute, room)) {
    if (attribute->rta_type != TCA_KIND) continue;
    const std::string_view kind(static_cast<const char*>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute));
    return kind.substr(0, kind.find('\0'));
  }
  return {};
}

// Whether the qdisc in the place of clsact has both directions. The older one, ingress, takes filters of the
// other direction without a word, and runs them for packets that come in.
bool HasEgress(int ifindex) {
  // Linux answers a question about one qdisc to those who listen for changes only: it is picked out of all.
  const NetlinkAnswer answer = Ask(RTM_GETQDISC, NLM_F_DUMP, ifindex, TC_H_CLSACT);
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer.messages.data());
  auto size = static_cast<unsigned>(answer.messages.size());
  for (; NLMSG_OK(header, size); header = NLMSG_NEXT(header, size)) {
    const auto* qdisc = static_cast<const tcmsg*>(NLMSG_DATA(header));
    if (header->nlmsg_len < sizeof(TrafficMessage) || qdisc->tcm_ifindex != ifindex ||
        qdisc->tcm_parent != TC_H_CLSACT) {
      continue;
    }
    return KindOf(header) == "clsact";
  }
  return false;
}

void DestroyQdisc(int ifindex) {
  bpf_tc_hook hook = HookOf(ifindex, kBoth);
  bpf_tc_hook_destroy(&hook);
}

void DestroyIfEmpty(int ifindex) {
  if (HasFilters(ifindex, TC_H_MIN_INGRESS) || HasFilters(ifindex, TC_H_MIN_EGRESS)) return;
  DestroyQdisc(ifindex);
}

class ClsactAttachment : public OwnedAttachment {
 public:
  ClsactAttachment(UniqueFd netns, const Filter& filter, uint32_t program_id, bool made_qdisc)
      : netns_(std::move(netns)), filter_(filter), program_id_(program_id), made_qdisc_(made_qdisc) {}

  ~ClsactAttachment() override {
    if (!owned()) return;
    const LogCapture quiet;
    const NetnsScope scope(netns_.get());
    if (scope.error() != 0) return;
    RemoveFilter();
    if (made_qdisc_) DestroyIfEmpty(filter_.ifindex);
  }

  [[nodiscard]] AttachmentFacts Facts() const override {
    return {{"handle", filter_.handle}, {"priority", filter_.priority}};
  }

 private:
  // Another program may have taken its place by now: that one is not ours to remove.
  void RemoveFilter() const {
    const bpf_tc_hook hook = HookOf(filter_.ifindex, filter_.direction);
    LIBBPF_OPTS(bpf_tc_opts, there, .handle = filter_.handle, .priority = filter_.priority);
    if (bpf_tc_query(&hook, &there) != 0 || there.prog_id != program_id_) return;
    LIBBPF_OPTS(bpf_tc_opts, ours, .handle = filter_.handle, .priority = filter_.priority);
    bpf_tc_detach(&hook, &ours);
  }

  UniqueFd netns_;
  Filter filter_;
  uint32_t program_id_;
  bool made_qdisc_;
};

// What failed, and why: a negative errno.
struct Outcome {
  const char* call = "";
  int status = 0;
  std::string log = {};
};

Outcome EnsureQdisc(const Filter& filter, bool& made) {
  LogCapture capture;
  bpf_tc_hook qdisc = HookOf(filter.ifindex, kBoth);
  const int status = bpf_tc_hook_create(&qdisc);
  made = status == 0;
  if (made) return {};
  const bool is_there = status == -EEXIST;
  if (is_there && (filter.direction == BPF_TC_INGRESS || HasEgress(filter.ifindex))) return {};
  return {"bpf_tc_hook_create", is_there ? -EOPNOTSUPP : status, is_there ? "" : capture.Take()};
}

// Makes the filter, and what it needs. Handle and priority are those that Linux chose, where none were given.
Outcome Attach(int netns_fd, Filter& filter, bpf_tc_opts& options, bool& made_qdisc) {
  const NetnsScope scope(netns_fd);
  if (scope.error() != 0) return {"setns", -scope.error()};
  Outcome outcome = EnsureQdisc(filter, made_qdisc);
  if (outcome.status != 0) return outcome;
  LogCapture capture;
  const bpf_tc_hook hook = HookOf(filter.ifindex, filter.direction);
  const int status = bpf_tc_attach(&hook, &options);
  if (status != 0) {
    outcome = {"bpf_tc_attach", status, capture.Take()};
    if (made_qdisc) DestroyIfEmpty(filter.ifindex);
    return outcome;
  }
  filter.handle = options.handle;
  filter.priority = options.priority;
  return {};
}

}  // namespace

UniqueAttachment AttachClsact(const AttachContext& context) {
  Settings& settings = context.settings;
  Filter filter;
  filter.ifindex = static_cast<int>(settings.Number("target", INT32_MAX));
  filter.direction = settings.Flag("egress") ? BPF_TC_EGRESS : BPF_TC_INGRESS;
  const bool replace = settings.Flag("replace");
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = bpf_program__fd(context.program),
              .flags = static_cast<__u32>(replace ? BPF_TC_F_REPLACE : 0),
              .handle = settings.Number("handle"), .priority = settings.Number("priority", UINT16_MAX));
  const int netns_fd = settings.Fd("netnsFd");
  if (!settings.ok()) return nullptr;

  UniqueFd netns = UniqueFd::Duplicate(netns_fd);
  Outcome outcome;
  bool made_qdisc = false;
  if (netns_fd >= 0 && !netns) {
    outcome = {"fcntl(F_DUPFD_CLOEXEC)", -errno};
  } else {
    outcome = Attach(netns_fd, filter, options, made_qdisc);
  }
  if (outcome.status != 0) {
    Throw(context.env, {outcome.call, -outcome.status, context.subject, outcome.log});
    return nullptr;
  }
  return std::make_unique<ClsactAttachment>(std::move(netns), filter, options.prog_id, made_qdisc);
}

}  // namespace bpfnode
