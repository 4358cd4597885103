#include "map_scratch.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "failure.h"

namespace bpfnode {
namespace {

using Shared = std::shared_ptr<MapScratch>;

void Release(node_api_nogc_env /*env*/, void* /*data*/, void* hint) { delete static_cast<Shared*>(hint); }

MapScratch* Of(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  if (napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data) != napi_ok) return nullptr;
  return static_cast<Shared*>(data)->get();
}

napi_value Lookup(napi_env env, napi_callback_info info) {
  constexpr const char* kCall = "bpf(BPF_MAP_LOOKUP_ELEM)";
  const MapScratch* scratch = Of(env, info);
  if (scratch == nullptr) return nullptr;
  uint8_t* bytes = scratch->bytes.get();
  if (scratch->fd < 0) {
    ThrowClosed(env, kCall, scratch->subject);
    return nullptr;
  }
  if (bpf_map_lookup_elem(scratch->fd, bytes, bytes + scratch->value_offset) == 0) return nullptr;
  if (errno == ENOENT) return Napi::Boolean::New(env, false);
  Throw(env, {kCall, errno, scratch->subject, {}});
  return nullptr;
}

napi_value Update(napi_env env, napi_callback_info info) {
  constexpr const char* kCall = "bpf(BPF_MAP_UPDATE_ELEM)";
  const MapScratch* scratch = Of(env, info);
  if (scratch == nullptr) return nullptr;
  const uint8_t* bytes = scratch->bytes.get();
  if (scratch->fd < 0) {
    ThrowClosed(env, kCall, scratch->subject);
  } else if (bpf_map_update_elem(scratch->fd, bytes, bytes + scratch->value_offset, BPF_ANY) != 0) {
    Throw(env, {kCall, errno, scratch->subject, {}});
  }
  return nullptr;
}

// A function that shares the scratch as long as it can be called.
bool AddFunction(Napi::Env env, Napi::Object& object, const char* name, napi_callback callback,
                 const Shared& scratch) {
  auto data = std::make_unique<Shared>(scratch);
  napi_value function = nullptr;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data.get(), &function) != napi_ok)
    return false;
  if (napi_add_finalizer(env, function, data.get(), Release, data.get(), nullptr) != napi_ok) return false;
  // The finalizer takes it back.
  static_cast<void>(data.release());  // NOLINT(bugprone-unused-return-value)
  object.Set(name, function);
  return true;
}

}  // namespace

Napi::Value ScratchObject(Napi::Env env, const Shared& scratch, size_t size) {
  auto data = std::make_unique<Shared>(scratch);
  napi_value buffer = nullptr;
  if (napi_create_external_arraybuffer(env, scratch->bytes.get(), size, Release, data.get(), &buffer) !=
      napi_ok) {
    return env.Undefined();
  }
  static_cast<void>(data.release());  // NOLINT(bugprone-unused-return-value)
  const Napi::Uint8Array view = Napi::Uint8Array::New(env, size, Napi::ArrayBuffer(env, buffer), 0);
  if (view.IsEmpty()) return {};
  Napi::Object object = Napi::Object::New(env);
  object.Set("bytes", view);
  object.Set("valueOffset", static_cast<double>(scratch->value_offset));
  if (!AddFunction(env, object, "lookup", Lookup, scratch)) return env.Undefined();
  if (!AddFunction(env, object, "update", Update, scratch)) return env.Undefined();
  return object;
}

}  // namespace bpfnode
