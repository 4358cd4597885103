#include "introspection.h"

#include <bpf/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "failure.h"
#include "netns_scope.h"
#include "values.h"

namespace bpfnode {
namespace {

constexpr const char* kGetInfo = "bpf(BPF_OBJ_GET_INFO_BY_FD)";
// More than any info struct has: the kernel says how much it filled.
constexpr size_t kMaxInfo = 512;
// The kernel's own ENOTSUPP, which user space doesn't know.
constexpr int kNotSupported = 524;
// A path and its zero.
constexpr size_t kMaxName = 4096;
// Of one hook: the kernel allows 64 to a cgroup and 64 to an interface; an effective list adds up the
// ancestors'.
constexpr uint32_t kMaxAttached = 4096;
// Programs are limited to a million instructions; this stops a wrong count, not a large program.
constexpr uint64_t kMaxProgramBytes = uint64_t{256} << 20;

struct IdCalls {
  const char* next_call;
  int (*next)(__u32, __u32*);
  const char* open_call;
  int (*open)(__u32);
};

constexpr std::array<IdCalls, 4> kCalls = {{
    {"bpf(BPF_PROG_GET_NEXT_ID)", bpf_prog_get_next_id, "bpf(BPF_PROG_GET_FD_BY_ID)", bpf_prog_get_fd_by_id},
    {"bpf(BPF_MAP_GET_NEXT_ID)", bpf_map_get_next_id, "bpf(BPF_MAP_GET_FD_BY_ID)", bpf_map_get_fd_by_id},
    {"bpf(BPF_BTF_GET_NEXT_ID)", bpf_btf_get_next_id, "bpf(BPF_BTF_GET_FD_BY_ID)", bpf_btf_get_fd_by_id},
    {"bpf(BPF_LINK_GET_NEXT_ID)", bpf_link_get_next_id, "bpf(BPF_LINK_GET_FD_BY_ID)", bpf_link_get_fd_by_id},
}};

struct Subject {
  int fd = -1;
  std::string text;
};

// The descriptor and the subject of a call, at two places of its arguments.
std::optional<Subject> ToSubject(const Napi::CallbackInfo& info, size_t fd_at, size_t text_at,
                                 const char* call) {
  const auto fd = ToUint32(info.Env(), info[fd_at], {call, "fd"}, 0, INT32_MAX);
  if (!fd) return std::nullopt;
  auto text = ToText(info.Env(), info[text_at], {call, "subject"});
  if (!text) return std::nullopt;
  return Subject{static_cast<int>(*fd), std::move(*text)};
}

template <typename T>
Napi::Value Blob(Napi::Env env, const std::vector<T>& values) {
  return ToUint8Array(env, values.data(), values.size() * sizeof(T));
}

Napi::Value Numbers(Napi::Env env, const std::vector<__u32>& values, size_t count) {
  const Napi::Array result = Napi::Array::New(env, count);
  for (size_t i = 0; i < count; i++) result.Set(static_cast<uint32_t>(i), values[i]);
  return result;
}

__u64 Pointer(void* address) { return reinterpret_cast<__u64>(address); }

template <typename T>
__u64 Pointer(std::vector<T>* values) {
  return values->empty() ? 0 : Pointer(values->data());
}

// Fills the kernel's struct; false with an exception pending.
template <typename T>
bool GetInfo(Napi::Env env, const Subject& subject, T* kernel_info, __u32* length = nullptr) {
  __u32 size = sizeof(T);
  if (bpf_obj_get_info_by_fd(subject.fd, kernel_info, &size) != 0) {
    Throw(env, {kGetInfo, errno, subject.text, {}});
    return false;
  }
  if (length != nullptr) *length = size;
  return true;
}

}  // namespace

Napi::Value NextId(const Napi::CallbackInfo& info) {
  const auto kind = ToUint32(info.Env(), info[0], {"nextId", "kind"}, 0, kCalls.size() - 1);
  if (!kind) return {};
  const IdCalls& calls = kCalls.at(*kind);
  const auto after = ToUint32(info.Env(), info[1], {calls.next_call, "after"});
  if (!after) return {};
  __u32 next = 0;
  if (calls.next(*after, &next) == 0) return Napi::Number::New(info.Env(), next);
  if (errno == ENOENT) return info.Env().Undefined();
  Throw(info.Env(), {calls.next_call, errno, "ids", {}});
  return {};
}

Napi::Value OpenById(const Napi::CallbackInfo& info) {
  const auto kind = ToUint32(info.Env(), info[0], {"openById", "kind"}, 0, kCalls.size() - 1);
  if (!kind) return {};
  const IdCalls& calls = kCalls.at(*kind);
  const auto id = ToUint32(info.Env(), info[1], {calls.open_call, "id"});
  if (!id) return {};
  const auto subject = ToText(info.Env(), info[2], {calls.open_call, "subject"});
  if (!subject) return {};
  const int fd = calls.open(*id);
  if (fd >= 0) return Napi::Number::New(info.Env(), fd);
  Throw(info.Env(), {calls.open_call, errno, *subject, {}});
  return {};
}

Napi::Value ObjectInfo(const Napi::CallbackInfo& info) {
  const auto subject = ToSubject(info, 0, 1, kGetInfo);
  if (!subject) return {};
  // All zero: the kernel sees null pointers and writes to none.
  alignas(8) std::array<uint8_t, kMaxInfo> bytes = {};
  __u32 size = 0;
  if (!GetInfo(info.Env(), *subject, &bytes, &size)) return {};
  return ToUint8Array(info.Env(), bytes.data(), std::min<size_t>(size, bytes.size()));
}

Napi::Value ProgramInfo(const Napi::CallbackInfo& info) {
  const auto subject = ToSubject(info, 0, 1, kGetInfo);
  if (!subject) return {};
  bpf_prog_info counts = {};
  if (!GetInfo(info.Env(), *subject, &counts)) return {};
  std::vector<__u32> map_ids(counts.nr_map_ids);
  alignas(8) std::array<uint8_t, kMaxInfo> bytes = {};
  auto* kernel_info = reinterpret_cast<bpf_prog_info*>(bytes.data());
  // Sound: the array has as many entries as it says.
  kernel_info->nr_map_ids = static_cast<__u32>(map_ids.size());
  kernel_info->map_ids = Pointer(&map_ids);
  __u32 size = 0;
  if (!GetInfo(info.Env(), *subject, &bytes, &size)) return {};
  const size_t count = std::min<size_t>(kernel_info->nr_map_ids, map_ids.size());
  kernel_info->map_ids = 0;
  const Napi::Object result = Napi::Object::New(info.Env());
  result.Set("info", ToUint8Array(info.Env(), bytes.data(), std::min<size_t>(size, bytes.size())));
  result.Set("mapIds", Numbers(info.Env(), map_ids, count));
  return result;
}

Napi::Value ProgramCode(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto subject = ToSubject(info, 0, 1, kGetInfo);
  if (!subject) return {};
  bpf_prog_info counts = {};
  if (!GetInfo(env, *subject, &counts)) return {};
  const uint64_t func_info_size = uint64_t{counts.nr_func_info} * counts.func_info_rec_size;
  const uint64_t line_info_size = uint64_t{counts.nr_line_info} * counts.line_info_rec_size;
  if (uint64_t{counts.xlated_prog_len} + counts.jited_prog_len + func_info_size + line_info_size >
      kMaxProgramBytes) {
    Throw(env, {kGetInfo, EFBIG, subject->text, {}});
    return {};
  }
  std::vector<uint8_t> xlated(counts.xlated_prog_len);
  std::vector<uint8_t> jited(counts.jited_prog_len);
  std::vector<__u64> symbols(counts.nr_jited_ksyms);
  std::vector<__u32> lengths(counts.nr_jited_func_lens);
  std::vector<uint8_t> functions(func_info_size);
  std::vector<uint8_t> lines(line_info_size);
  std::vector<__u64> jited_lines(counts.nr_jited_line_info);

  // Sound: each array is as large as the count beside its pointer says, by the record sizes of the same
  // kernel.
  bpf_prog_info wanted = {};
  wanted.xlated_prog_len = static_cast<__u32>(xlated.size());
  wanted.xlated_prog_insns = Pointer(&xlated);
  wanted.jited_prog_len = static_cast<__u32>(jited.size());
  wanted.jited_prog_insns = Pointer(&jited);
  wanted.nr_jited_ksyms = static_cast<__u32>(symbols.size());
  wanted.jited_ksyms = Pointer(&symbols);
  wanted.nr_jited_func_lens = static_cast<__u32>(lengths.size());
  wanted.jited_func_lens = Pointer(&lengths);
  wanted.nr_func_info = counts.nr_func_info;
  wanted.func_info_rec_size = counts.func_info_rec_size;
  wanted.func_info = Pointer(&functions);
  wanted.nr_line_info = counts.nr_line_info;
  wanted.line_info_rec_size = counts.line_info_rec_size;
  wanted.line_info = Pointer(&lines);
  wanted.nr_jited_line_info = static_cast<__u32>(jited_lines.size());
  wanted.jited_line_info_rec_size = sizeof(__u64);
  wanted.jited_line_info = Pointer(&jited_lines);
  if (!GetInfo(env, *subject, &wanted)) return {};

  const Napi::Object result = Napi::Object::New(env);
  result.Set("btfId", wanted.btf_id);
  // The kernel takes a pointer back where the process may not see what it would point to.
  result.Set("xlated", wanted.xlated_prog_insns == 0 ? env.Undefined() : Blob(env, xlated));
  result.Set("jited", wanted.jited_prog_insns == 0 ? env.Undefined() : Blob(env, jited));
  result.Set("symbols", wanted.jited_ksyms == 0 ? env.Undefined() : Blob(env, symbols));
  result.Set("lengths", Numbers(env, lengths, lengths.size()));
  result.Set("functions", Blob(env, functions));
  result.Set("functionSize", wanted.func_info_rec_size);
  result.Set("lines", Blob(env, lines));
  result.Set("lineSize", wanted.line_info_rec_size);
  result.Set("jitedLines", wanted.jited_line_info == 0 ? env.Undefined() : Blob(env, jited_lines));
  return result;
}

Napi::Value BtfInfo(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto subject = ToSubject(info, 0, 2, kGetInfo);
  if (!subject) return {};
  const auto with_bytes = ToBool(env, info[1], {kGetInfo, "bytes"});
  if (!with_bytes) return {};
  alignas(8) std::array<uint8_t, kMaxInfo> bytes = {};
  auto* kernel_info = reinterpret_cast<bpf_btf_info*>(bytes.data());
  __u32 size = 0;
  std::vector<uint8_t> blob;
  if (*with_bytes) {
    if (!GetInfo(env, *subject, &bytes, &size)) return {};
    blob.resize(kernel_info->btf_size);
    bytes = {};
    kernel_info->btf = Pointer(&blob);
    kernel_info->btf_size = static_cast<__u32>(blob.size());
  }
  std::array<char, kMaxName> name = {};
  kernel_info->name = Pointer(name.data());
  kernel_info->name_len = name.size();
  if (!GetInfo(env, *subject, &bytes, &size)) return {};
  kernel_info->btf = 0;
  kernel_info->name = 0;
  const Napi::Object result = Napi::Object::New(env);
  result.Set("info", ToUint8Array(env, bytes.data(), std::min<size_t>(size, bytes.size())));
  result.Set("name", std::string(name.data(), strnlen(name.data(), name.size())));
  if (*with_bytes) result.Set("bytes", Blob(env, blob));
  return result;
}

Napi::Value TaskFdQuery(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_TASK_FD_QUERY)";
  const auto pid = ToUint32(info.Env(), info[0], {kCall, "pid"}, 1, INT32_MAX);
  if (!pid) return {};
  const auto subject = ToSubject(info, 1, 2, kCall);
  if (!subject) return {};
  std::array<char, kMaxName> name = {};
  __u32 length = name.size();
  __u32 program = 0;
  __u32 type = 0;
  __u64 offset = 0;
  __u64 address = 0;
  if (bpf_task_fd_query(static_cast<int>(*pid), subject->fd, 0, name.data(), &length, &program, &type,
                        &offset, &address) != 0) {
    // Descriptors of other things, and perf events without a program.
    if (errno == kNotSupported || errno == ENOENT) return info.Env().Undefined();
    Throw(info.Env(), {kCall, errno, subject->text, {}});
    return {};
  }
  const Napi::Object result = Napi::Object::New(info.Env());
  result.Set("programId", program);
  result.Set("type", type);
  result.Set("name", std::string(name.data(), strnlen(name.data(), name.size())));
  result.Set("offset", Napi::BigInt::New(info.Env(), static_cast<uint64_t>(offset)));
  result.Set("address", Napi::BigInt::New(info.Env(), static_cast<uint64_t>(address)));
  return result;
}

namespace {

// The attribute of BPF_PROG_QUERY as of Linux 6.6: newer than the headers of libbpf 1.1.
struct QueryAttribute {
  __u32 target;
  __u32 attach_type;
  __u32 query_flags;
  __u32 attach_flags;
  __u64 prog_ids;
  __u32 count;
  __u32 padding;
  __u64 prog_attach_flags;
  __u64 link_ids;
  __u64 link_attach_flags;
  __u64 revision;
};

// 0 or an errno. Indexes of interfaces are those of the namespace.
int Query(QueryAttribute* attribute, int netns_fd) {
  const NetnsScope scope(netns_fd);
  if (scope.error() != 0) return scope.error();
  return syscall(SYS_bpf, BPF_PROG_QUERY, attribute, sizeof(*attribute)) == 0 ? 0 : errno;
}

}  // namespace

Napi::Value QueryPrograms(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_PROG_QUERY)";
  const Napi::Env env = info.Env();
  const auto target = ToUint32(env, info[0], {kCall, "target"}, 0, INT32_MAX);
  if (!target) return {};
  const auto attach_type = ToUint32(env, info[1], {kCall, "attachType"});
  if (!attach_type) return {};
  const auto query_flags = ToUint32(env, info[2], {kCall, "queryFlags"});
  if (!query_flags) return {};
  const auto details = ToText(env, info[3], {kCall, "details"});
  if (!details) return {};
  const auto netns_fd = ToOptionalFd(env, info[4], {kCall, "netns"});
  if (!netns_fd) return {};
  const auto subject = ToText(env, info[5], {kCall, "subject"});
  if (!subject) return {};

  std::vector<__u32> programs(kMaxAttached);
  std::vector<__u32> flags(*details == "flags" ? kMaxAttached : 0);
  std::vector<__u32> links(*details == "links" ? kMaxAttached : 0);
  QueryAttribute attribute = {};
  attribute.target = *target;
  attribute.attach_type = *attach_type;
  attribute.query_flags = *query_flags;
  attribute.count = kMaxAttached;
  attribute.prog_ids = Pointer(&programs);
  attribute.prog_attach_flags = Pointer(&flags);
  attribute.link_ids = Pointer(&links);
  const int error = Query(&attribute, *netns_fd);
  if (error != 0) {
    Throw(env, {kCall, error, *subject, {}});
    return {};
  }
  const size_t count = std::min<size_t>(attribute.count, programs.size());
  const Napi::Object result = Napi::Object::New(env);
  result.Set("attachFlags", attribute.attach_flags);
  result.Set("programIds", Numbers(env, programs, count));
  if (!flags.empty()) result.Set("flags", Numbers(env, flags, count));
  if (!links.empty()) result.Set("linkIds", Numbers(env, links, count));
  result.Set("revision", Napi::BigInt::New(env, static_cast<uint64_t>(attribute.revision)));
  return result;
}

Napi::Value EnableStats(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_ENABLE_STATS)";
  const int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (fd >= 0) return Napi::Number::New(info.Env(), fd);
  Throw(info.Env(), {kCall, errno, "run-time statistics", {}});
  return {};
}

}  // namespace bpfnode
