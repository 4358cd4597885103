#include "map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <utility>

#include "addon.h"
#include "alignment.h"
#include "arguments.h"
#include "failure.h"
#include "readers.h"
#include "user_ring.h"

namespace bpfnode {
namespace {

constexpr bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

}  // namespace

Napi::Function Map::Define(Napi::Env env) {
  return DefineClass(env, "NativeMap",
                     {
                         InstanceMethod<&Map::Info>("info"),
                         InstanceMethod<&Map::Lookup>("lookup"),
                         InstanceMethod<&Map::Update>("update"),
                         InstanceMethod<&Map::Delete>("delete"),
                         InstanceMethod<&Map::NextKey>("nextKey"),
                         InstanceMethod<&Map::LookupAndDelete>("lookupAndDelete"),
                         InstanceMethod<&Map::Batch>("batch"),
                         InstanceMethod<&Map::BatchAsync>("batchAsync"),
                         InstanceMethod<&Map::Freeze>("freeze"),
                         InstanceMethod<&Map::Pin>("pin"),
                         InstanceMethod<&Map::Details>("details"),
                         InstanceMethod<&Map::Duplicate>("duplicate"),
                         InstanceMethod<&Map::Fd>("fd"),
                         InstanceMethod<&Map::Scratch>("scratch"),
                         InstanceMethod<&Map::Memory>("memory"),
                         InstanceMethod<&Map::OpenRing>("openRing"),
                         InstanceMethod<&Map::OpenPerf>("openPerf"),
                         InstanceMethod<&Map::OpenOverwritable>("openOverwritable"),
                         InstanceMethod<&Map::OpenUserRing>("openUserRing"),
                         InstanceMethod<&Map::Close>("close"),
                     });
}

Map::Map(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Map>(info) {}

Map::~Map() { CloseScratch(); }

Napi::Value Map::Create(Napi::Env env, int fd, const std::string& subject, Mapping mapped) {
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
  self->mapped_ = std::move(mapped);
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

Napi::Value Map::LookupAndDelete(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM)";
  if (!RequireOpen(kCall)) return {};
  const auto key = Key(info[0], kCall);
  if (!key) return {};
  const auto value = ToBytesOfSize(Env(), info[1], buffer_size_, {kCall, "value"});
  if (!value) return {};
  const auto flags = ToUint32(Env(), info[2], {kCall, "flags"});
  if (!flags) return {};
  return Found(bpf_map_lookup_and_delete_elem_flags(fd_.get(), *key, value->data, *flags), kCall);
}

Napi::Value Map::Freeze(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_MAP_FREEZE)";
  if (!RequireOpen(kCall)) return {};
  if (bpf_map_freeze(fd_.get()) != 0) return Fail(kCall, errno);
  return info.Env().Undefined();
}

// pin(path)
Napi::Value Map::Pin(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_OBJ_PIN)";
  if (!RequireOpen(kCall)) return {};
  const auto path = ToText(Env(), info[0], {kCall, "path"});
  if (!path) return {};
  if (bpf_obj_pin(fd_.get(), path->c_str()) != 0) return Fail(kCall, errno);
  return Env().Undefined();
}

// What may change or is seldom asked for: info() has the rest.
Napi::Value Map::Details(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "bpf(BPF_OBJ_GET_INFO_BY_FD)";
  if (!RequireOpen(kCall)) return {};
  bpf_map_info kernel_info = {};
  __u32 length = sizeof(kernel_info);
  if (bpf_obj_get_info_by_fd(fd_.get(), &kernel_info, &length) != 0) return Fail(kCall, errno);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("name", static_cast<const char*>(kernel_info.name));
  result.Set("mapExtra", Napi::BigInt::New(Env(), uint64_t{kernel_info.map_extra}));
  result.Set("ifindex", kernel_info.ifindex);
  result.Set("btfId", kernel_info.btf_id);
  result.Set("btfKeyType", kernel_info.btf_key_type_id);
  result.Set("btfValueType", kernel_info.btf_value_type_id);
  return result;
}

Napi::Value Map::Duplicate(const Napi::CallbackInfo& info) {
  if (!RequireOpen("fcntl(F_DUPFD_CLOEXEC)")) return {};
  return Create(info.Env(), fd_.get(), subject_, mapped_);
}

// The descriptor itself, which stays ours.
Napi::Value Map::Fd(const Napi::CallbackInfo& info) {
  if (!RequireOpen("fd")) return {};
  return Napi::Number::New(info.Env(), fd_.get());
}

Napi::Value Map::Scratch(const Napi::CallbackInfo& info) {
  if (!RequireOpen("scratch")) return {};
  auto scratch = std::make_shared<MapScratch>(fd_.get(), subject_, key_size_, buffer_size_);
  const Napi::Value bytes = ScratchBytes(info.Env(), scratch);
  if (bytes.IsEmpty() || bytes.IsUndefined()) return bytes;
  CloseScratch();
  scratches_ = AddonData::Of(info.Env())->scratches;
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("bytes", bytes);
  result.Set("valueOffset", static_cast<double>(scratch->value_offset()));
  scratch_ = scratches_->Add(std::move(scratch));
  result.Set("number", scratch_);
  return result;
}

void Map::CloseScratch() {
  if (scratches_) scratches_->Remove(scratch_);
  scratches_.reset();
}

Napi::Value Map::OpenRing(const Napi::CallbackInfo& info) {
  if (!RequireOpen("ring_buffer__new")) return {};
  return bpfnode::OpenRing(info, fd_.get(), subject_);
}

Napi::Value Map::OpenPerf(const Napi::CallbackInfo& info) {
  if (!RequireOpen("perf_buffer__new_raw")) return {};
  return bpfnode::OpenPerf(info, fd_.get(), subject_, false);
}

Napi::Value Map::OpenOverwritable(const Napi::CallbackInfo& info) {
  if (!RequireOpen("perf_event_open")) return {};
  return bpfnode::OpenPerf(info, fd_.get(), subject_, true);
}

Napi::Value Map::OpenUserRing(const Napi::CallbackInfo& info) {
  if (!RequireOpen("user_ring_buffer__new")) return {};
  return UserRing::Create(info.Env(), fd_.get(), subject_);
}

Napi::Value Map::Close(const Napi::CallbackInfo& info) {
  if (!memory_.IsEmpty()) {
    // What JavaScript still has of the views becomes empty, and the mapping goes at once: an arena's place is
    // free for another. Unless the buffer was given away: then its new owner has the mapping.
    const Napi::ArrayBuffer buffer = memory_.Value().ArrayBuffer();
    if (!buffer.IsDetached() && napi_detach_arraybuffer(Env(), buffer) == napi_ok) lent_->reset();
    memory_.Reset();
  }
  mapped_.reset();
  CloseScratch();
  fd_.Reset();
  return info.Env().Undefined();
}

}  // namespace bpfnode
