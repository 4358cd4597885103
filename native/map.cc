#include "map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "addon.h"
#include "arguments.h"
#include "failure.h"
#include "readers.h"
#include "user_ring.h"

namespace bpfnode {
namespace {

constexpr size_t RoundUp8(size_t size) { return (size + 7) & ~size_t{7}; }

constexpr bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

// Of Linux 6.9: Debian 12's headers do not have it yet.
constexpr uint32_t kSegvOnFault = 1U << 17;

constexpr size_t CursorSize(size_t key_size) { return key_size < 4 ? 4 : key_size; }

// A batch on libuv's thread pool. Owns all that it needs: the caller's buffers may be gone before it ends.
struct BatchWork {
  UniqueFd fd;
  std::string subject;
  std::vector<uint8_t> cursor;
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  BatchRequest request;
  BatchResult result;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;

  static void Execute(napi_env /*env*/, void* data) {
    auto* self = static_cast<BatchWork*>(data);
    self->result = RunBatch(self->fd.get(), self->request);
  }

  static void Complete(napi_env raw_env, napi_status status, void* data) {
    const std::unique_ptr<BatchWork> self(static_cast<BatchWork*>(data));
    const Napi::Env env(raw_env);
    const Napi::HandleScope scope(env);
    if (status == napi_ok) {
      Napi::Object result = BatchOutcome(env, self->result);
      // Empty in an environment that is ending, which refuses to make one.
      if (!result.IsEmpty()) {
        result.Set("cursor", ToUint8Array(env, self->cursor));
        result.Set("keys", ToUint8Array(env, self->keys));
        result.Set("values", ToUint8Array(env, self->values));
        napi_resolve_deferred(env, self->deferred, result);
      }
    } else {
      const char* call = BatchCall(self->request.operation);
      napi_reject_deferred(env, self->deferred, ToError(env, {call, ECANCELED, self->subject, {}}));
    }
    napi_delete_async_work(env, self->work);
  }

  static Napi::Object BatchOutcome(Napi::Env env, const BatchResult& result) {
    Napi::Object outcome = Napi::Object::New(env);
    outcome.Set("count", result.count);
    outcome.Set("errno", result.error);
    return outcome;
  }

  static Napi::Value ToUint8Array(Napi::Env env, const std::vector<uint8_t>& bytes) {
    Napi::Uint8Array copy = Napi::Uint8Array::New(env, bytes.size());
    if (!copy.IsEmpty() && !bytes.empty()) memcpy(copy.Data(), bytes.data(), bytes.size());
    return copy;
  }
};

// What an ArrayBuffer has of a mapping goes when nothing in JavaScript can reach it any more.
void ReleaseMapping(node_api_nogc_env /*env*/, void* /*data*/, void* hint) {
  delete static_cast<std::shared_ptr<Mapping>*>(hint);
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

std::optional<BatchRequest> Map::ToBatch(const Napi::CallbackInfo& info) {
  const auto operation =
      ToUint32(Env(), info[0], {"bpf", "operation"}, 0, static_cast<uint32_t>(BatchOperation::kCount) - 1);
  if (!operation) return std::nullopt;
  BatchRequest request;
  request.operation = static_cast<BatchOperation>(*operation);
  const char* call = BatchCall(request.operation);
  if (!RequireOpen(call)) return std::nullopt;
  const auto first = ToBool(Env(), info[1], {call, "first"});
  if (!first) return std::nullopt;
  const auto cursor = ToBytesOfSize(Env(), info[2], CursorSize(key_size_), {call, "cursor"});
  if (!cursor) return std::nullopt;
  const auto keys = ToBytes(Env(), info[3], {call, "keys"});
  if (!keys) return std::nullopt;
  const auto values = ToBytes(Env(), info[4], {call, "values"});
  if (!values) return std::nullopt;
  const auto count = ToUint32(Env(), info[5], {call, "count"});
  if (!count) return std::nullopt;
  const auto flags = ToUint32(Env(), info[6], {call, "flags"});
  if (!flags) return std::nullopt;
  const auto too_small = [&](const char* name, size_t expected, size_t actual) {
    Throw(Env(),
          {call, 0, name, {}, Reason::kSize, static_cast<double>(expected), static_cast<double>(actual)});
    return std::nullopt;
  };
  // Neither product overflows: both factors are below 2^32, and sizes have 64 bits.
  const size_t key_bytes = size_t{*count} * key_size_;
  if (keys->size < key_bytes) return too_small("keys", key_bytes, keys->size);
  const bool has_values = request.operation != BatchOperation::kDelete;
  const size_t value_bytes = has_values ? size_t{*count} * buffer_size_ : 0;
  if (values->size < value_bytes) return too_small("values", value_bytes, values->size);
  request.first = *first;
  request.cursor = cursor->data;
  request.keys = keys->data;
  request.values = values->data;
  request.count = *count;
  request.flags = *flags;
  return request;
}

Napi::Value Map::Batch(const Napi::CallbackInfo& info) {
  const auto request = ToBatch(info);
  if (!request) return {};
  return BatchWork::BatchOutcome(Env(), RunBatch(fd_.get(), *request));
}

Napi::Value Map::BatchAsync(const Napi::CallbackInfo& info) {
  const auto request = ToBatch(info);
  if (!request) return {};
  const char* call = BatchCall(request->operation);
  const bool has_values = request->operation != BatchOperation::kDelete;
  auto work = std::make_unique<BatchWork>();
  work->fd = UniqueFd::Duplicate(fd_.get());
  if (!work->fd) return Fail("fcntl(F_DUPFD_CLOEXEC)", errno);
  work->subject = subject_;
  work->request = *request;
  work->cursor.assign(request->cursor, request->cursor + CursorSize(key_size_));
  work->keys.assign(request->keys, request->keys + size_t{request->count} * key_size_);
  if (has_values) {
    work->values.assign(request->values, request->values + size_t{request->count} * buffer_size_);
  }
  work->request.cursor = work->cursor.data();
  work->request.keys = work->keys.data();
  work->request.values = work->values.data();
  napi_value promise = nullptr;
  const Napi::String name = Napi::String::New(Env(), "libbpf-node:batch");
  const bool queued = napi_create_promise(Env(), &work->deferred, &promise) == napi_ok &&
                      napi_create_async_work(Env(), nullptr, name, BatchWork::Execute, BatchWork::Complete,
                                             work.get(), &work->work) == napi_ok &&
                      napi_queue_async_work(Env(), work->work) == napi_ok;
  if (!queued) return Fail(call, ENOMEM);
  // Complete() takes it back, and Node calls Complete() always.
  static_cast<void>(work.release());  // NOLINT(bugprone-unused-return-value)
  return {Env(), promise};
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
