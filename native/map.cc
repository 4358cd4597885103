#include "map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "addon.h"
#include "arguments.h"
#include "failure.h"
#include "ring_pump.h"

namespace bpfnode {
namespace {

constexpr size_t RoundUp8(size_t size) { return (size + 7) & ~size_t{7}; }

constexpr bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

// A mapping that an ArrayBuffer owns: unmapped when nothing in JavaScript can reach it any more.
struct Mapping {
  void* address;
  size_t length;

  static void Release(node_api_nogc_env /*env*/, void* /*data*/, void* hint) {
    auto* self = static_cast<Mapping*>(hint);
    munmap(self->address, self->length);
    delete self;
  }
};

}  // namespace

Napi::Function Map::Define(Napi::Env env) {
  return DefineClass(env, "NativeMap",
                     {
                         InstanceMethod<&Map::Info>("info"),
                         InstanceMethod<&Map::Lookup>("lookup"),
                         InstanceMethod<&Map::Update>("update"),
                         InstanceMethod<&Map::Delete>("delete"),
                         InstanceMethod<&Map::NextKey>("nextKey"),
                         InstanceMethod<&Map::Memory>("memory"),
                         InstanceMethod<&Map::OpenRing>("openRing"),
                         InstanceMethod<&Map::Close>("close"),
                     });
}

Map::Map(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Map>(info) {}

Napi::Value Map::Create(Napi::Env env, int fd, const std::string& subject) {
  UniqueFd own = UniqueFd::Duplicate(fd);
  if (!own) {
    Throw(env, {"fcntl(F_DUPFD_CLOEXEC)", errno, subject, {}});
    return {};
  }
  // The kernel's word counts, not the object file's: a map that was pinned may differ.
  bpf_map_info kernel_info = {};
  __u32 length = sizeof(kernel_info);
  if (bpf_obj_get_info_by_fd(own.get(), &kernel_info, &length) != 0) {
    Throw(env, {"bpf(BPF_OBJ_GET_INFO_BY_FD)", errno, subject, {}});
    return {};
  }
  size_t buffer_size = kernel_info.value_size;
  if (IsPerCpu(kernel_info.type)) {
    const int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0) {
      Throw(env, {"libbpf_num_possible_cpus", -cpus, subject, {}});
      return {};
    }
    buffer_size = RoundUp8(buffer_size) * static_cast<size_t>(cpus);
  }

  const Napi::Object handle = AddonData::Of(env)->map.New({});
  if (handle.IsEmpty()) return {};
  Map* self = Unwrap(handle);
  self->fd_ = std::move(own);
  self->subject_ = subject;
  self->id_ = kernel_info.id;
  self->type_ = kernel_info.type;
  self->key_size_ = kernel_info.key_size;
  self->value_size_ = kernel_info.value_size;
  self->max_entries_ = kernel_info.max_entries;
  self->flags_ = kernel_info.map_flags;
  self->buffer_size_ = buffer_size;
  return handle;
}

bool Map::RequireOpen(const char* call) {
  if (fd_) return true;
  ThrowClosed(Env(), call, subject_);
  return false;
}

Napi::Value Map::Fail(const char* call, int error) {
  Throw(Env(), {call, error, subject_, {}});
  return {};
}

Napi::Value Map::Found(int status, const char* call) {
  if (status != 0 && errno != ENOENT) return Fail(call, errno);
  return Napi::Boolean::New(Env(), status == 0);
}

std::optional<const void*> Map::Key(napi_value value, const char* call) {
  const auto key = ToBytesOfSize(Env(), value, key_size_, {call, "key"});
  if (!key) return std::nullopt;
  return key_size_ == 0 ? nullptr : key->data;
}

Napi::Value Map::Info(const Napi::CallbackInfo& info) {
  if (!RequireOpen("bpf(BPF_OBJ_GET_INFO_BY_FD)")) return {};
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("id", id_);
  result.Set("type", type_);
  result.Set("keySize", key_size_);
  result.Set("valueSize", value_size_);
  result.Set("bufferSize", static_cast<double>(buffer_size_));
  result.Set("maxEntries", max_entries_);
  result.Set("flags", flags_);
  return result;
}

Napi::Value Map::Lookup(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_MAP_LOOKUP_ELEM)";
  if (!RequireOpen(kCall)) return {};
  const auto key = Key(info[0], kCall);
  if (!key) return {};
  const auto value = ToBytesOfSize(Env(), info[1], buffer_size_, {kCall, "value"});
  if (!value) return {};
  const auto flags = ToUint32(Env(), info[2], {kCall, "flags"});
  if (!flags) return {};
  const int status = *flags == 0 ? bpf_map_lookup_elem(fd_.get(), *key, value->data)
                                 : bpf_map_lookup_elem_flags(fd_.get(), *key, value->data, *flags);
  return Found(status, kCall);
}

Napi::Value Map::Update(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_MAP_UPDATE_ELEM)";
  if (!RequireOpen(kCall)) return {};
  const auto key = Key(info[0], kCall);
  if (!key) return {};
  const auto value = ToBytesOfSize(Env(), info[1], buffer_size_, {kCall, "value"});
  if (!value) return {};
  const auto flags = ToUint32(Env(), info[2], {kCall, "flags"});
  if (!flags) return {};
  if (bpf_map_update_elem(fd_.get(), *key, value->data, *flags) != 0) return Fail(kCall, errno);
  return Env().Undefined();
}

Napi::Value Map::Delete(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_MAP_DELETE_ELEM)";
  if (!RequireOpen(kCall)) return {};
  const auto key = Key(info[0], kCall);
  if (!key) return {};
  return Found(bpf_map_delete_elem(fd_.get(), *key), kCall);
}

Napi::Value Map::NextKey(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_MAP_GET_NEXT_KEY)";
  if (!RequireOpen(kCall)) return {};
  const void* key = nullptr;
  if (!IsNullish(Env(), info[0])) {
    const auto given = Key(info[0], kCall);
    if (!given) return {};
    key = *given;
  }
  const auto next = ToBytesOfSize(Env(), info[1], key_size_, {kCall, "next"});
  if (!next) return {};
  return Found(bpf_map_get_next_key(fd_.get(), key, next->data), kCall);
}

Napi::Value Map::Memory(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "mmap";
  const Napi::Env env = info.Env();
  if (!RequireOpen(kCall)) return {};
  if (!memory_.IsEmpty()) return memory_.Value();
  if (type_ != BPF_MAP_TYPE_ARRAY || (flags_ & BPF_F_MMAPABLE) == 0 || max_entries_ == 0) {
    return env.Undefined();
  }

  // Entries lie 8-byte aligned one behind the other; nothing is shown behind the last one.
  const size_t size = RoundUp8(value_size_) * (size_t{max_entries_} - 1) + value_size_;
  void* address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (address == MAP_FAILED) {
    // Frozen (.rodata) or read-only. Mapped for reading it would be a trap: a write from JavaScript is a
    // SIGSEGV.
    if (errno == EPERM || errno == EACCES) return env.Undefined();
    return Fail(kCall, errno);
  }
  auto* mapping = new Mapping{address, size};
  napi_value buffer = nullptr;
  const napi_status status =
      napi_create_external_arraybuffer(env, address, size, Mapping::Release, mapping, &buffer);
  if (status != napi_ok) {
    Mapping::Release(env, address, mapping);
    // Runtimes with a memory cage (Electron) have no external buffers.
    return env.Undefined();
  }
  const Napi::Uint8Array view = Napi::Uint8Array::New(env, size, Napi::ArrayBuffer(env, buffer), 0);
  if (view.IsEmpty()) return {};
  memory_ = Napi::Persistent(view);
  return view;
}

Napi::Value Map::OpenRing(const Napi::CallbackInfo& info) {
  if (!RequireOpen("ring_buffer__new")) return {};
  return RingPump::Create(info, fd_.get(), subject_);
}

Napi::Value Map::Close(const Napi::CallbackInfo& info) {
  if (!memory_.IsEmpty()) {
    // What JavaScript still has of the views becomes empty; the mapping goes with the ArrayBuffer's memory.
    napi_detach_arraybuffer(Env(), memory_.Value().ArrayBuffer());
    memory_.Reset();
  }
  fd_.Reset();
  return info.Env().Undefined();
}

}  // namespace bpfnode
