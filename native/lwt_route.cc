#include "lwt_route.h"

#include <arpa/inet.h>
#include <linux/lwtunnel.h>
#include <linux/rtnetlink.h>
#include <linux/seg6_local.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "netlink.h"
#include "netns_scope.h"
#include "owned_attachment.h"

namespace bpfnode {
namespace {

constexpr const char* kCall = "rtnetlink";

// A message of rtnetlink in the making.
class RouteMessage {
 public:
  RouteMessage(uint16_t type, uint16_t flags, const rtmsg& route) {
    nlmsghdr header = {};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    Append(&header, sizeof(header));
    Append(&route, sizeof(route));
  }

  void Put(uint16_t type, const void* value, size_t size) {
    const rtattr attribute = {static_cast<uint16_t>(RTA_LENGTH(size)), type};
    Append(&attribute, sizeof(attribute));
    Append(value, size);
  }
  void PutNumber(uint16_t type, uint32_t value) { Put(type, &value, sizeof(value)); }

  // Attributes inside of one: what lies between a Begin() and its End().
  size_t Begin(uint16_t type) {
    const size_t at = bytes_.size();
    Put(type, nullptr, 0);
    return at;
  }
  void End(size_t at) { SetLength<uint16_t>(at, bytes_.size() - at); }

  // 0 or an errno.
  int Send() {
    SetLength<uint32_t>(0, bytes_.size());
    return AskNetlink(bytes_.data(), bytes_.size()).error;
  }

 private:
  void Append(const void* from, size_t size) {
    if (size == 0) return;
    const size_t at = bytes_.size();
    bytes_.resize(at + NLMSG_ALIGN(size));
    memcpy(bytes_.data() + at, from, size);
  }
  // Messages and attributes start with their lengths.
  template <typename Length>
  void SetLength(size_t at, size_t length) {
    const auto value = static_cast<Length>(length);
    memcpy(bytes_.data() + at, &value, sizeof(value));
  }

  std::vector<uint8_t> bytes_;
};

struct Address {
  uint8_t family = AF_UNSPEC;
  uint8_t size = 0;
  std::array<uint8_t, sizeof(in6_addr)> bytes = {};
};

std::optional<Address> ParseAddress(const std::string& text) {
  Address address;
  if (inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) {
    address.family = AF_INET;
    address.size = sizeof(in_addr);
    return address;
  }
  if (inet_pton(AF_INET6, text.c_str(), address.bytes.data()) != 1) return std::nullopt;
  address.family = AF_INET6;
  address.size = sizeof(in6_addr);
  return address;
}

struct Route {
  Address destination;
  std::optional<Address> gateway;
  uint8_t prefix_length = 0;
  uint32_t table = RT_TABLE_MAIN;
  uint32_t ifindex = 0;

  [[nodiscard]] RouteMessage Message(uint16_t type, uint16_t flags) const {
    rtmsg header = {};
    header.rtm_family = destination.family;
    header.rtm_dst_len = prefix_length;
    header.rtm_table = static_cast<uint8_t>(table > UINT8_MAX ? RT_TABLE_UNSPEC : table);
    header.rtm_protocol = RTPROT_STATIC;
    header.rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    header.rtm_type = RTN_UNICAST;
    RouteMessage message(type, flags, header);
    message.Put(RTA_DST, destination.bytes.data(), destination.size);
    message.PutNumber(RTA_OIF, ifindex);
    message.PutNumber(RTA_TABLE, table);
    if (gateway) message.Put(RTA_GATEWAY, gateway->bytes.data(), gateway->size);
    return message;
  }
};

class RouteAttachment : public OwnedAttachment {
 public:
  RouteAttachment(UniqueFd netns, const Route& route) : netns_(std::move(netns)), route_(route) {}
  ~RouteAttachment() override {
    if (!owned()) return;
    const NetnsScope scope(netns_.get());
    if (scope.error() == 0) route_.Message(RTM_DELROUTE, 0).Send();
  }

 private:
  UniqueFd netns_;
  Route route_;
};

// Both kinds of routes name a program by the same two attributes.
static_assert(static_cast<int>(LWT_BPF_PROG_FD) == static_cast<int>(SEG6_LOCAL_BPF_PROG) &&
              static_cast<int>(LWT_BPF_PROG_NAME) == static_cast<int>(SEG6_LOCAL_BPF_PROG_NAME));

void PutProgram(RouteMessage& message, uint16_t place, const bpf_program* program) {
  const char* name = bpf_program__name(program);
  const size_t at = message.Begin(place);
  message.PutNumber(LWT_BPF_PROG_FD, static_cast<uint32_t>(bpf_program__fd(program)));
  message.Put(LWT_BPF_PROG_NAME, name, strlen(name) + 1);
  message.End(at);
}

// Packets pass a program of type lwt_in, lwt_out or lwt_xmit.
void PutTunnel(RouteMessage& message, uint16_t hook, const bpf_program* program, uint32_t headroom) {
  const uint16_t encapsulation = LWTUNNEL_ENCAP_BPF;
  message.Put(RTA_ENCAP_TYPE, &encapsulation, sizeof(encapsulation));
  const size_t tunnel = message.Begin(RTA_ENCAP);
  PutProgram(message, hook, program);
  if (headroom > 0) message.PutNumber(LWT_BPF_XMIT_HEADROOM, headroom);
  message.End(tunnel);
}

// Packets of segment routing are ended by a program of type lwt_seg6local: action End.BPF.
void PutSegment(RouteMessage& message, const bpf_program* program) {
  const uint16_t encapsulation = LWTUNNEL_ENCAP_SEG6_LOCAL;
  message.Put(RTA_ENCAP_TYPE, &encapsulation, sizeof(encapsulation));
  const size_t tunnel = message.Begin(RTA_ENCAP);
  message.PutNumber(SEG6_LOCAL_ACTION, SEG6_LOCAL_ACTION_END_BPF);
  PutProgram(message, SEG6_LOCAL_BPF, program);
  message.End(tunnel);
}

}  // namespace

UniqueAttachment AttachLwtRoute(const AttachContext& context) {
  Settings& settings = context.settings;
  Route route;
  route.ifindex = settings.Number("target", INT32_MAX);
  route.prefix_length = static_cast<uint8_t>(settings.Number("prefixLength", 128));
  if (settings.Has("table")) route.table = settings.Number("table");
  // 0: of segment routing.
  const auto hook = static_cast<uint16_t>(settings.Number("hook", LWT_BPF_XMIT));
  const uint32_t headroom = settings.Number("headroom", LWT_BPF_MAX_HEADROOM);
  const std::string destination = settings.Text("address");
  const std::string gateway = settings.Text("gateway");
  const int netns_fd = settings.Fd("netnsFd");
  if (!settings.ok()) return nullptr;

  const auto address = ParseAddress(destination);
  if (!gateway.empty()) route.gateway = ParseAddress(gateway);
  if (!address || (!gateway.empty() && !route.gateway)) {
    Throw(context.env, {kCall, 0, address ? "gateway" : "address", {}, Reason::kArgument});
    return nullptr;
  }
  route.destination = *address;
  UniqueFd netns = UniqueFd::Duplicate(netns_fd);
  int error = netns_fd >= 0 && !netns ? errno : 0;
  if (error == 0) {
    const NetnsScope scope(netns_fd);
    error = scope.error();
    if (error == 0) {
      RouteMessage message = route.Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
      if (hook == 0) {
        PutSegment(message, context.program);
      } else {
        PutTunnel(message, hook, context.program, headroom);
      }
      error = message.Send();
    }
  }
  if (error != 0) {
    Throw(context.env, {kCall, error, context.subject, {}});
    return nullptr;
  }
  return std::make_unique<RouteAttachment>(std::move(netns), route);
}

}  // namespace bpfnode
