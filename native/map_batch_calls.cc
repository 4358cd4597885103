// Batches of a map, at once and on libuv's thread pool.
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "addon.h"
#include "arguments.h"
#include "failure.h"
#include "map.h"
#include "map_batch.h"
#include "values.h"

namespace bpfnode {
namespace {

Napi::Value Copy(Napi::Env env, const std::vector<uint8_t>& bytes) {
  return ToUint8Array(env, bytes.data(), bytes.size());
}

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
        result.Set("cursor", Copy(env, self->cursor));
        result.Set("keys", Copy(env, self->keys));
        result.Set("values", Copy(env, self->values));
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
};

}  // namespace

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

}  // namespace bpfnode
