#include "link_info.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace bpfnode {
namespace {

// `struct bpf_link_info` of Linux 6.18 has 80 bytes; a kernel that knows more leaves the rest out.
using Info = std::array<uint8_t, 128>;

// BPF_LINK_TYPE_* and BPF_PERF_EVENT_*: Debian 12's headers lack the younger ones.
enum LinkType : uint32_t {
  kRawTracepoint = 1,
  kIterator = 4,
  kPerfEvent = 7,
  kKprobeMulti = 8,
  kUprobeMulti = 12,
};
constexpr size_t kPerfEventOffset = 16;
constexpr uint32_t kPlainEvent = 6;

// Where the kernel wants a pointer to room for a name, and the number of its bytes.
struct NameField {
  uint32_t link_type;
  size_t pointer;
  size_t length;
};
constexpr NameField kNames[] = {
    {kRawTracepoint, 16, 24}, {kIterator, 16, 24}, {kPerfEvent, 24, 32}, {kUprobeMulti, 16, 48}};
constexpr size_t kNameBytes = 4096;

// Where it wants pointers to room for numbers of 64 bits, and where it says how many there are.
struct ListField {
  uint32_t link_type;
  const char* name;
  size_t pointer;
  size_t count;
};
constexpr ListField kLists[] = {{kKprobeMulti, "addresses", 16, 24},
                                {kKprobeMulti, "cookies", 40, 24},
                                {kUprobeMulti, "offsets", 24, 52},
                                {kUprobeMulti, "refCtrOffsets", 32, 52},
                                {kUprobeMulti, "cookies", 40, 52}};
constexpr const char* kListNames[] = {"addresses", "offsets", "refCtrOffsets", "cookies"};

// Keeps a wrong number from exhausting memory; the kernel's own limit is a million.
constexpr uint32_t kMaxCount = 1U << 20;

uint32_t Read(const Info& info, size_t offset) {
  uint32_t value = 0;
  memcpy(&value, &info[offset], sizeof(value));
  return value;
}

template <typename Number>
void Write(Info& info, size_t offset, Number value) {
  memcpy(&info[offset], &value, sizeof(value));
}

bool Query(int fd, Info& info) {
  __u32 length = info.size();
  return bpf_obj_get_info_by_fd(fd, reinterpret_cast<bpf_link_info*>(info.data()), &length) == 0;
}

bool HasName(const Info& info, const NameField& field) {
  if (Read(info, 0) != field.link_type) return false;
  if (field.link_type != kPerfEvent) return true;
  // Before Linux 6.6 the type is 0, and a pointer where the kernel knows of none is an error.
  const uint32_t event = Read(info, kPerfEventOffset);
  return event != 0 && event != kPlainEvent;
}

}  // namespace

Napi::Value ReadLinkInfo(Napi::Env env, int fd) {
  Info plain = {};
  if (!Query(fd, plain)) return {};

  Info filled = {};
  std::vector<char> name(kNameBytes);
  std::array<std::vector<uint64_t>, std::size(kLists)> lists;
  for (const NameField& field : kNames) {
    if (!HasName(plain, field)) continue;
    Write(filled, field.pointer, static_cast<uint64_t>(reinterpret_cast<uintptr_t>(name.data())));
    Write(filled, field.length, static_cast<uint32_t>(name.size() - 1));
  }
  for (size_t i = 0; i < std::size(kLists); i++) {
    const ListField& field = kLists[i];
    const uint32_t count = std::min(Read(plain, field.count), kMaxCount);
    if (Read(plain, 0) != field.link_type || count == 0) continue;
    lists[i].resize(count);
    Write(filled, field.pointer, static_cast<uint64_t>(reinterpret_cast<uintptr_t>(lists[i].data())));
    Write(filled, field.count, count);
  }
  // An older kernel may refuse pointers that it doesn't know: what it tells without them has to do.
  const bool with_pointers = Query(fd, filled);
  const Info& info = with_pointers ? filled : plain;

  Napi::Object result = Napi::Object::New(env);
  Napi::Uint8Array bytes = Napi::Uint8Array::New(env, info.size());
  // Empty in an environment that is ending, which refuses to make one.
  if (result.IsEmpty() || bytes.IsEmpty()) return {};
  memcpy(bytes.Data(), info.data(), info.size());
  result.Set("info", bytes);
  result.Set("name", std::string(with_pointers ? name.data() : ""));
  for (const char* list_name : kListNames) {
    Napi::Array numbers = Napi::Array::New(env);
    if (numbers.IsEmpty()) return {};
    for (size_t i = 0; i < std::size(kLists); i++) {
      if (!with_pointers || strcmp(kLists[i].name, list_name) != 0) continue;
      uint32_t at = 0;
      for (const uint64_t number : lists[i]) numbers.Set(at++, Napi::BigInt::New(env, number));
    }
    result.Set(list_name, numbers);
  }
  return result;
}

}  // namespace bpfnode
