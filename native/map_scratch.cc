#include "map_scratch.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "alignment.h"
#include "failure.h"

namespace bpfnode {
namespace {

constexpr size_t kUpToKey = offsetof(bpf_attr, key) + sizeof(bpf_attr::key);
constexpr size_t kUpToFlags = offsetof(bpf_attr, flags) + sizeof(bpf_attr::flags);

// libbpf's functions would clear and fill the attributes at each call, which say the same each time.
// `size`: what the command doesn't know must be zero, or not there.
int Bpf(bpf_cmd command, bpf_attr* attributes, size_t size) {
  return syscall(__NR_bpf, command, attributes, size) == 0 ? 0 : errno;
}

// The map that is chosen. Null with an exception pending if there is none.
MapScratch* Chosen(napi_env env, napi_callback_info info, const char* call) {
  void* data = nullptr;
  if (napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data) != napi_ok) return nullptr;
  MapScratch* scratch = static_cast<MapScratches*>(data)->Chosen();
  if (scratch == nullptr) ThrowClosed(env, call, "map");
  return scratch;
}

napi_value Found(napi_env env, const MapScratch& scratch, const char* call, int error) {
  if (error == 0) return nullptr;
  if (error == ENOENT) return Napi::Boolean::New(env, false);
  Throw(env, {call, error, scratch.subject(), {}});
  return nullptr;
}

napi_value Lookup(napi_env env, napi_callback_info info) {
  constexpr const char* kCall = "bpf(BPF_MAP_LOOKUP_ELEM)";
  MapScratch* scratch = Chosen(env, info, kCall);
  return scratch == nullptr ? nullptr : Found(env, *scratch, kCall, scratch->Lookup());
}

napi_value Delete(napi_env env, napi_callback_info info) {
  constexpr const char* kCall = "bpf(BPF_MAP_DELETE_ELEM)";
  MapScratch* scratch = Chosen(env, info, kCall);
  return scratch == nullptr ? nullptr : Found(env, *scratch, kCall, scratch->Delete());
}

napi_value Update(napi_env env, napi_callback_info info) {
  constexpr const char* kCall = "bpf(BPF_MAP_UPDATE_ELEM)";
  MapScratch* scratch = Chosen(env, info, kCall);
  if (scratch == nullptr) return nullptr;
  const int error = scratch->Update();
  if (error != 0) Throw(env, {kCall, error, scratch->subject(), {}});
  return nullptr;
}

using Shared = std::shared_ptr<MapScratch>;

void Release(node_api_nogc_env /*env*/, void* /*data*/, void* hint) { delete static_cast<Shared*>(hint); }

}  // namespace

MapScratch::MapScratch(int fd, const std::string& subject, size_t key_size, size_t value_size)
    : subject_(subject),
      value_offset_(RoundUp8(key_size)),
      size_(value_offset_ + value_size),
      // Zeroed. At least a byte: an empty ArrayBuffer needs no memory, but the address must be one.
      bytes_(std::make_unique<uint8_t[]>(size_ + 1)),  // NOLINT(modernize-avoid-c-arrays)
      attributes_() {
  attributes_.map_fd = static_cast<uint32_t>(fd);
  attributes_.key = reinterpret_cast<uintptr_t>(bytes_.get());
  attributes_.value = reinterpret_cast<uintptr_t>(bytes_.get() + value_offset_);
}

int MapScratch::Lookup() { return Bpf(BPF_MAP_LOOKUP_ELEM, &attributes_, kUpToFlags); }

int MapScratch::Update() { return Bpf(BPF_MAP_UPDATE_ELEM, &attributes_, kUpToFlags); }

int MapScratch::Delete() { return Bpf(BPF_MAP_DELETE_ELEM, &attributes_, kUpToKey); }

void MapScratches::Define(Napi::Env env, Napi::Object& exports) {
  const auto add = [&](const char* name, napi_callback callback) {
    napi_value function = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, this, &function) == napi_ok) {
      exports.Set(name, function);
    }
  };
  napi_value memory = nullptr;
  if (napi_create_external_arraybuffer(env, &chosen_, sizeof(chosen_), nullptr, nullptr, &memory) ==
      napi_ok) {
    exports.Set("chosenScratch", Napi::Uint32Array::New(env, 1, Napi::ArrayBuffer(env, memory), 0));
  }
  add("lookupScratch", bpfnode::Lookup);
  add("updateScratch", bpfnode::Update);
  add("deleteScratch", bpfnode::Delete);
}

uint32_t MapScratches::Add(Shared scratch) {
  if (free_.empty()) {
    scratches_.push_back(std::move(scratch));
    return static_cast<uint32_t>(scratches_.size() - 1);
  }
  const uint32_t number = free_.back();
  free_.pop_back();
  scratches_[number] = std::move(scratch);
  return number;
}

void MapScratches::Remove(uint32_t number) {
  scratches_[number] = nullptr;
  free_.push_back(number);
}

Napi::Value ScratchBytes(Napi::Env env, const Shared& scratch) {
  auto data = std::make_unique<Shared>(scratch);
  napi_value buffer = nullptr;
  if (napi_create_external_arraybuffer(env, scratch->bytes(), scratch->size(), Release, data.get(),
                                       &buffer) != napi_ok) {
    return env.Undefined();
  }
  static_cast<void>(data.release());  // NOLINT(bugprone-unused-return-value)
  return Napi::Uint8Array::New(env, scratch->size(), Napi::ArrayBuffer(env, buffer), 0);
}

}  // namespace bpfnode
