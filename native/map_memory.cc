// What of a map lies in this process's memory.
#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "addon.h"
#include "alignment.h"
#include "failure.h"
#include "map.h"

namespace bpfnode {
namespace {

// Of Linux 6.9: Debian 12's headers do not have it yet.
constexpr uint32_t kSegvOnFault = 1U << 17;

// What an ArrayBuffer has of a mapping goes when nothing in JavaScript can reach it any more.
void ReleaseMapping(node_api_nogc_env /*env*/, void* /*data*/, void* hint) {
  delete static_cast<std::shared_ptr<Mapping>*>(hint);
}

}  // namespace

size_t Map::MappedSize() const {
  if ((flags_ & BPF_F_MMAPABLE) == 0 || max_entries_ == 0) return 0;
  // Entries lie 8-byte aligned one behind the other; nothing is shown behind the last one.
  if (type_ == BPF_MAP_TYPE_ARRAY) return RoundUp8(value_size_) * (size_t{max_entries_} - 1) + value_size_;
  // Pages that a program has not allocated are allocated by the first access, unless it asked for SIGSEGV
  // there.
  if (type_ == kMapTypeArena && (flags_ & kSegvOnFault) == 0) {
    return size_t{max_entries_} * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  }
  return 0;
}

// Pointers in an arena are addresses of user space: a map that says which is mapped there, or not at all.
void* Map::ArenaAddress() const {
  if (type_ != kMapTypeArena) return nullptr;
  bpf_map_info info = {};
  __u32 size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd_.get(), &info, &size) != 0) return nullptr;
  return reinterpret_cast<void*>(static_cast<uintptr_t>(info.map_extra));
}

Napi::Value Map::Memory(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "mmap";
  const Napi::Env env = info.Env();
  if (!RequireOpen(kCall)) return {};
  if (!memory_.IsEmpty()) return memory_.Value();
  const size_t size = MappedSize();
  if (size == 0) return env.Undefined();
  if (!mapped_) {
    void* address = mmap(ArenaAddress(), size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (address == MAP_FAILED) {
      // Frozen (.rodata) or read-only. Mapped for reading it would be a trap: a write from JavaScript is a
      // SIGSEGV.
      if (errno == EPERM || errno == EACCES) return env.Undefined();
      return Fail(kCall, errno);
    }
    mapped_ = Mapping(address, [size](void* start) { munmap(start, size); });
  }
  lent_ = std::make_shared<Mapping>(mapped_);
  auto share = std::make_unique<std::shared_ptr<Mapping>>(lent_);
  napi_value buffer = nullptr;
  // Runtimes with a memory cage (Electron) have no external buffers.
  if (napi_create_external_arraybuffer(env, mapped_.get(), size, ReleaseMapping, share.get(), &buffer) !=
      napi_ok)
    return env.Undefined();
  // It is the buffer's now.
  static_cast<void>(share.release());  // NOLINT(bugprone-unused-return-value)
  const Napi::Uint8Array view = Napi::Uint8Array::New(env, size, Napi::ArrayBuffer(env, buffer), 0);
  if (view.IsEmpty()) return {};
  memory_ = Napi::Persistent(view);
  return view;
}

}  // namespace bpfnode
