// Probes, tracepoints, trampolines, perf events, iterators.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "attach.h"
#include "link_create.h"

namespace bpfnode {
namespace {

// Attach types and a flag of Linux 5.15 to 6.13: Debian 12's headers don't have them yet.
constexpr uint32_t kPerfEventLink = 41;
constexpr uint32_t kTraceUprobeMulti = 48;
constexpr uint32_t kTraceKprobeSession = 56;
constexpr uint32_t kTraceUprobeSession = 57;
// Linux 7.0.
constexpr uint32_t kTraceFsession = 58;
constexpr uint32_t kReturnProbes = 1U << 0;

#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 2
// By the position in ProbeMode of addon-types.ts.
constexpr probe_attach_mode kModes[] = {PROBE_ATTACH_MODE_DEFAULT, PROBE_ATTACH_MODE_LEGACY,
                                        PROBE_ATTACH_MODE_PERF, PROBE_ATTACH_MODE_LINK};

template <typename Options>
bool SetMode(const AttachContext& /*context*/, const char* /*call*/, uint32_t mode, Options& options) {
  options.attach_mode = kModes[mode];
  return true;
}
#else
template <typename Options>
bool SetMode(const AttachContext& context, const char* call, uint32_t mode, Options& /*options*/) {
  if (mode == 0) return true;
  constexpr const char* kWhat =
      "a choice of how probes are made, for which the addon must be built with libbpf 1.2 or newer";
  Throw(context.env, {call, 0, kWhat, {}, Reason::kUnsupported});
  return false;
}
#endif
constexpr uint32_t kLastMode = 3;

// Nullptr for none: that is how the kernel is told.
template <typename T>
uint64_t Address(const std::vector<T>& list) {
  return list.empty() ? 0 : reinterpret_cast<uintptr_t>(list.data());
}

// Whether a list that goes beside another has its length; else there is an exception pending.
template <typename T>
bool CheckLength(const AttachContext& context, const char* call, const char* name, const std::vector<T>& list,
                 size_t length) {
  if (list.empty() || list.size() == length) return true;
  Throw(context.env, {call, 0, name, {}, Reason::kArgument});
  return false;
}

constexpr const char* kKprobe = "bpf_program__attach_kprobe_opts";

UniqueAttachment AttachKprobe(const AttachContext& context) {
  Settings& settings = context.settings;
  LIBBPF_OPTS(bpf_kprobe_opts, options);
  const std::string function = settings.Text("function");
  options.offset = settings.BigInt("offset");
  options.retprobe = settings.Flag("retprobe");
  options.bpf_cookie = settings.BigInt("cookie");
  const uint32_t mode = settings.Number("mode", kLastMode);
  if (!settings.ok() || !SetMode(context, kKprobe, mode, options)) return nullptr;
  LogCapture capture;
  return Attached(context, kKprobe,
                  bpf_program__attach_kprobe_opts(context.program, function.c_str(), &options), capture);
}

constexpr const char* kKprobeMulti = "bpf_program__attach_kprobe_multi_opts";

UniqueAttachment AttachKprobeMulti(const AttachContext& context) {
  Settings& settings = context.settings;
  const std::vector<std::string> functions = settings.Texts("functions");
  const std::vector<uint64_t> cookies = settings.BigInts("cookies");
  const bool retprobe = settings.Flag("retprobe");
  const bool session = settings.Flag("session");
  if (!settings.ok() || !CheckLength(context, kKprobeMulti, "cookies", cookies, functions.size())) {
    return nullptr;
  }
  std::vector<const char*> symbols;
  symbols.reserve(functions.size());
  for (const std::string& function : functions) symbols.push_back(function.c_str());
  if (session) {
    LinkCreateAttributes attributes;
    attributes.prog_fd = static_cast<uint32_t>(bpf_program__fd(context.program));
    attributes.attach_type = kTraceKprobeSession;
    attributes.of.kprobe_multi.count = static_cast<uint32_t>(symbols.size());
    attributes.of.kprobe_multi.symbols = Address(symbols);
    attributes.of.kprobe_multi.cookies = Address(cookies);
    return Attached(context, "bpf(BPF_LINK_CREATE)", CreateLink(attributes));
  }
  static_assert(sizeof(__u64) == sizeof(uint64_t), "cookies are copied as they are");
  LIBBPF_OPTS(bpf_kprobe_multi_opts, options);
  options.syms = symbols.data();
  options.cookies = cookies.empty() ? nullptr : reinterpret_cast<const __u64*>(cookies.data());
  options.cnt = symbols.size();
  options.retprobe = retprobe;
  LogCapture capture;
  return Attached(context, kKprobeMulti,
                  bpf_program__attach_kprobe_multi_opts(context.program, nullptr, &options), capture);
}

constexpr const char* kKsyscall = "bpf_program__attach_ksyscall";

UniqueAttachment AttachKsyscall(const AttachContext& context) {
  Settings& settings = context.settings;
  LIBBPF_OPTS(bpf_ksyscall_opts, options);
  const std::string name = settings.Text("syscall");
  options.retprobe = settings.Flag("retprobe");
  options.bpf_cookie = settings.BigInt("cookie");
  if (!settings.ok()) return nullptr;
  LogCapture capture;
  return Attached(context, kKsyscall, bpf_program__attach_ksyscall(context.program, name.c_str(), &options),
                  capture);
}

constexpr const char* kUprobe = "bpf_program__attach_uprobe_opts";

UniqueAttachment AttachUprobe(const AttachContext& context) {
  Settings& settings = context.settings;
  LIBBPF_OPTS(bpf_uprobe_opts, options);
  const std::string path = settings.Text("path");
  const uint64_t offset = settings.BigInt("offset");
  options.ref_ctr_offset = settings.BigInt("refCtrOffset");
  options.bpf_cookie = settings.BigInt("cookie");
  options.retprobe = settings.Flag("retprobe");
  const int32_t pid = settings.Signed("pid");
  const uint32_t mode = settings.Number("mode", kLastMode);
  if (!settings.ok() || !SetMode(context, kUprobe, mode, options)) return nullptr;
  LogCapture capture;
  return Attached(context, kUprobe,
                  bpf_program__attach_uprobe_opts(context.program, pid, path.c_str(), offset, &options),
                  capture);
}

constexpr const char* kUprobeMulti = "bpf(BPF_LINK_CREATE)";

// Not libbpf's: its call is of 1.3, and looks symbols up that TypeScript has looked up already.
UniqueAttachment AttachUprobeMulti(const AttachContext& context) {
  Settings& settings = context.settings;
  const std::string path = settings.Text("path");
  const std::vector<uint64_t> offsets = settings.BigInts("offsets");
  const std::vector<uint64_t> counters = settings.BigInts("refCtrOffsets");
  const std::vector<uint64_t> cookies = settings.BigInts("cookies");
  const bool retprobe = settings.Flag("retprobe");
  const bool session = settings.Flag("session");
  const uint32_t pid = settings.Number("pid", INT32_MAX);
  if (!settings.ok() || !CheckLength(context, kUprobeMulti, "refCtrOffsets", counters, offsets.size()) ||
      !CheckLength(context, kUprobeMulti, "cookies", cookies, offsets.size())) {
    return nullptr;
  }
  LinkCreateAttributes attributes;
  attributes.prog_fd = static_cast<uint32_t>(bpf_program__fd(context.program));
  attributes.attach_type = session ? kTraceUprobeSession : kTraceUprobeMulti;
  attributes.of.uprobe_multi.path = reinterpret_cast<uintptr_t>(path.c_str());
  attributes.of.uprobe_multi.offsets = Address(offsets);
  attributes.of.uprobe_multi.ref_ctr_offsets = Address(counters);
  attributes.of.uprobe_multi.cookies = Address(cookies);
  attributes.of.uprobe_multi.count = static_cast<uint32_t>(offsets.size());
  attributes.of.uprobe_multi.flags = retprobe ? kReturnProbes : 0;
  attributes.of.uprobe_multi.pid = pid;
  return Attached(context, kUprobeMulti, CreateLink(attributes));
}

constexpr const char* kUsdt = "bpf_program__attach_usdt";

UniqueAttachment AttachUsdt(const AttachContext& context) {
  Settings& settings = context.settings;
  LIBBPF_OPTS(bpf_usdt_opts, options);
  const std::string path = settings.Text("path");
  const std::string provider = settings.Text("provider");
  const std::string name = settings.Text("name");
  const int32_t pid = settings.Signed("pid");
  options.usdt_cookie = settings.BigInt("cookie");
  if (!settings.ok()) return nullptr;
  LogCapture capture;
  return Attached(
      context, kUsdt,
      bpf_program__attach_usdt(context.program, pid, path.c_str(), provider.c_str(), name.c_str(), &options),
      capture);
}

constexpr const char* kTracepoint = "bpf_program__attach_tracepoint_opts";

UniqueAttachment AttachTracepoint(const AttachContext& context) {
  Settings& settings = context.settings;
  LIBBPF_OPTS(bpf_tracepoint_opts, options);
  const std::string category = settings.Text("category");
  const std::string name = settings.Text("name");
  options.bpf_cookie = settings.BigInt("cookie");
  if (!settings.ok()) return nullptr;
  LogCapture capture;
  return Attached(
      context, kTracepoint,
      bpf_program__attach_tracepoint_opts(context.program, category.c_str(), name.c_str(), &options),
      capture);
}

constexpr const char* kRawTracepointOpen = "bpf(BPF_RAW_TRACEPOINT_OPEN)";
constexpr const char* kRawTracepoint = "bpf_program__attach_raw_tracepoint";

UniqueAttachment AttachRawTracepoint(const AttachContext& context) {
  Settings& settings = context.settings;
  const std::string name = settings.Text("name");
  const uint64_t cookie = settings.BigInt("cookie");
  if (!settings.ok()) return nullptr;
  // libbpf passes cookies on since 1.5.
  if (cookie != 0) {
    return Attached(context, kRawTracepointOpen,
                    OpenRawTracepoint(bpf_program__fd(context.program), name.c_str(), cookie));
  }
  LogCapture capture;
  return Attached(context, kRawTracepoint, bpf_program__attach_raw_tracepoint(context.program, name.c_str()),
                  capture);
}

constexpr const char* kTrace = "bpf_program__attach_trace_opts";

UniqueAttachment AttachTrace(const AttachContext& context) {
  LIBBPF_OPTS(bpf_trace_opts, options);
  options.cookie = context.settings.BigInt("cookie");
  if (!context.settings.ok()) return nullptr;
  const auto type = static_cast<uint32_t>(bpf_program__expected_attach_type(context.program));
  // libbpf passes their cookies on since 1.7.
  if (type == kTraceFsession) {
    LinkCreateAttributes attributes;
    attributes.prog_fd = static_cast<uint32_t>(bpf_program__fd(context.program));
    attributes.attach_type = type;
    attributes.of.tracing.cookie = options.cookie;
    return Attached(context, "bpf(BPF_LINK_CREATE)", CreateLink(attributes));
  }
  const bool is_tracepoint = type == BPF_TRACE_RAW_TP;
  // libbpf passes those on since 1.5.
  if (is_tracepoint && options.cookie != 0) {
    return Attached(context, kRawTracepointOpen,
                    OpenRawTracepoint(bpf_program__fd(context.program), nullptr, options.cookie));
  }
  LogCapture capture;
  return Attached(context, kTrace, bpf_program__attach_trace_opts(context.program, &options), capture);
}

constexpr const char* kLsm = "bpf_program__attach_lsm";

UniqueAttachment AttachLsm(const AttachContext& context) {
  LogCapture capture;
  return Attached(context, kLsm, bpf_program__attach_lsm(context.program), capture);
}

constexpr const char* kFreplace = "bpf_program__attach_freplace";

UniqueAttachment AttachFreplace(const AttachContext& context) {
  Settings& settings = context.settings;
  const int target = settings.Fd("target");
  const std::string function = settings.Text("function");
  if (!settings.ok()) return nullptr;
  LogCapture capture;
  return Attached(context, kFreplace,
                  target < 0 ? bpf_program__attach_trace(context.program)
                             : bpf_program__attach_freplace(context.program, target, function.c_str()),
                  capture);
}

constexpr const char* kPerfEvent = "bpf_program__attach_perf_event_opts";
constexpr const char* kPerfEventCreate = "bpf(BPF_LINK_CREATE)";

UniqueAttachment AttachPerfEvent(const AttachContext& context) {
  Settings& settings = context.settings;
  perf_event_attr attributes = {};
  attributes.size = sizeof(attributes);
  attributes.type = settings.Number("type");
  attributes.config = settings.BigInt("config");
  attributes.freq = settings.Flag("byFrequency") ? 1 : 0;
  // Either of them: a union.
  attributes.sample_period = settings.BigInt("sample");
  attributes.config1 = settings.BigInt("config1");
  attributes.config2 = settings.BigInt("config2");
  if (settings.Has("breakpoint"))
    attributes.bp_type = settings.Number("breakpoint", HW_BREAKPOINT_RW | HW_BREAKPOINT_X);
  attributes.inherit = settings.Flag("inherit") ? 1 : 0;
  attributes.exclude_kernel = settings.Flag("excludeKernel") ? 1 : 0;
  attributes.exclude_user = settings.Flag("excludeUser") ? 1 : 0;
  attributes.exclude_hv = settings.Flag("excludeHypervisor") ? 1 : 0;
  attributes.precise_ip = settings.Number("precise", 3) & 3U;
  // The descriptor of a cgroup takes the place of a process.
  const bool of_cgroup = settings.Has("cgroupFd");
  const int32_t pid = of_cgroup ? settings.Fd("cgroupFd") : settings.Signed("pid");
  const unsigned long flags = PERF_FLAG_FD_CLOEXEC | (of_cgroup ? PERF_FLAG_PID_CGROUP : 0UL);
  const int32_t cpu = settings.Signed("cpu");
  LIBBPF_OPTS(bpf_perf_event_opts, options);
  options.bpf_cookie = settings.BigInt("cookie");
  if (!settings.ok()) return nullptr;
  UniqueFd event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, pid, cpu, -1, flags)));
  if (!event) {
    Throw(context.env, {"perf_event_open", errno, context.subject, {}});
    return nullptr;
  }
  // Not libbpf's where there are such links (Linux 5.15): it disables the event when its link is closed,
  // though a pin holds it.
  LinkCreateAttributes wanted;
  wanted.prog_fd = static_cast<uint32_t>(bpf_program__fd(context.program));
  wanted.target = static_cast<uint32_t>(event.get());
  wanted.attach_type = kPerfEventLink;
  wanted.of.perf_event.cookie = options.bpf_cookie;
  UniqueFd created = CreateLink(wanted);
  if (created || errno != EINVAL) return Attached(context, kPerfEventCreate, std::move(created));
  LogCapture capture;
  bpf_link* link = bpf_program__attach_perf_event_opts(context.program, event.get(), &options);
  // The link closes it.
  if (link != nullptr) event.Release();
  return Attached(context, kPerfEvent, link, capture);
}

constexpr const char* kIterator = "bpf_program__attach_iter";

UniqueAttachment AttachIterator(const AttachContext& context) {
  Settings& settings = context.settings;
  bpf_iter_link_info what = {};
  const bool by_map = settings.Has("mapFd");
  const bool by_cgroup = settings.Has("cgroupFd");
  const bool by_task = settings.Has("tid") || settings.Has("pid") || settings.Has("pidFd");
  if (by_map) {
    what.map.map_fd = static_cast<__u32>(settings.Fd("mapFd"));
  } else if (by_cgroup) {
    what.cgroup.cgroup_fd = static_cast<__u32>(settings.Fd("cgroupFd"));
    what.cgroup.order = static_cast<bpf_cgroup_iter_order>(settings.Number("order"));
  } else {
    what.task.tid = settings.Number("tid", INT32_MAX);
    what.task.pid = settings.Number("pid", INT32_MAX);
    what.task.pid_fd = settings.Number("pidFd", INT32_MAX);
  }
  if (!settings.ok()) return nullptr;
  LIBBPF_OPTS(bpf_iter_attach_opts, options);
  // Before Linux 6.1 the struct is shorter, and bytes that the kernel doesn't know must not be given.
  if (by_map || by_cgroup || by_task) {
    options.link_info = &what;
    options.link_info_len = by_map ? sizeof(what.map) : sizeof(what);
  }
  LogCapture capture;
  return Attached(context, kIterator, bpf_program__attach_iter(context.program, &options), capture);
}

constexpr AttachKind kKinds[] = {
    {"kprobe", kKprobe, AttachKprobe},
    {"kprobe.multi", kKprobeMulti, AttachKprobeMulti},
    {"ksyscall", kKsyscall, AttachKsyscall},
    {"uprobe", kUprobe, AttachUprobe},
    {"uprobe.multi", kUprobeMulti, AttachUprobeMulti},
    {"usdt", kUsdt, AttachUsdt},
    {"tracepoint", kTracepoint, AttachTracepoint},
    {"rawTracepoint", kRawTracepoint, AttachRawTracepoint},
    {"trace", kTrace, AttachTrace},
    {"lsm", kLsm, AttachLsm},
    {"freplace", kFreplace, AttachFreplace},
    {"perfEvent", kPerfEvent, AttachPerfEvent},
    {"iter", kIterator, AttachIterator},
};

}  // namespace

const AttachKind* FindTracingAttach(std::string_view name) {
  for (const AttachKind& kind : kKinds) {
    if (name == kind.name) return &kind;
  }
  return nullptr;
}

}  // namespace bpfnode
