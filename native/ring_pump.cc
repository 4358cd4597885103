#include "ring_pump.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "addon.h"
#include "arguments.h"
#include "failure.h"
#include "log.h"

namespace bpfnode {
namespace {

constexpr const char* kOpenCall = "ring_buffer__new";
constexpr const char* kConsumeCall = "ring_buffer__consume";
constexpr uint32_t kMaxBatchBytes = uint32_t{256} << 20;
constexpr uint32_t kMaxBatchRecords = uint32_t{16} << 20;
constexpr uint32_t kMaxMs = 60'000;
constexpr uint64_t kNsPerMs = 1'000'000;
// Stops libbpf. Any negative number would do; this one cannot come from libbpf itself.
constexpr int kStop = -ECANCELED;

constexpr size_t RoundUp8(size_t size) { return (size + 7) & ~size_t{7}; }

// libbpf's callback: copies, and calls nobody.
int OnRecord(void* context, void* data, size_t size) {
  auto* batch = static_cast<Batch*>(context);
  if (!batch->Fits(size)) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    batch->carry.assign(bytes, bytes + size);
    batch->has_carry = true;
    return kStop;
  }
  batch->Append(data, size);
  // Stopping at the last record that is known to fit saves the detour of the one behind it.
  return batch->count == batch->max_records || batch->capacity - batch->used < 8 ? kStop : 0;
}

bool IsDetached(Napi::Env env, napi_value buffer) {
  bool detached = true;
  return napi_is_detached_arraybuffer(env, buffer, &detached) != napi_ok || detached;
}

}  // namespace

bool Batch::Fits(size_t size) const { return count < max_records && size <= capacity - used; }

void Batch::Append(const void* data, size_t size) {
  if (size > 0) memcpy(bytes + used, data, size);
  index[size_t{count} * 2] = static_cast<uint32_t>(used);
  index[size_t{count} * 2 + 1] = static_cast<uint32_t>(size);
  ++count;
  used = std::min(RoundUp8(used + size), capacity);
}

RingResources::~RingResources() {
  ring.reset();
  map_fd.Reset();
  if (hook != nullptr) napi_remove_async_cleanup_hook(hook);
}

Napi::Function RingPump::Define(Napi::Env env) {
  return DefineClass(env, "NativeReader",
                     {
                         InstanceMethod<&RingPump::Consume>("consume"),
                         InstanceMethod<&RingPump::Pause>("pause"),
                         InstanceMethod<&RingPump::Resume>("resume"),
                         InstanceMethod<&RingPump::RefLoop>("ref"),
                         InstanceMethod<&RingPump::UnrefLoop>("unref"),
                         InstanceMethod<&RingPump::Close>("close"),
                     });
}

RingPump::RingPump(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RingPump>(info) {}

RingPump::~RingPump() {
  // Open only if the environment ends without having run the cleanup hook.
  if (resources_) resources_->pump = nullptr;
}

Napi::Value RingPump::Create(const Napi::CallbackInfo& info, int map_fd, const std::string& subject) {
  const Napi::Env env = info.Env();
  if (!info[0].IsFunction()) {
    Throw(env, {kOpenCall, 0, "deliver", {}, Reason::kArgument});
    return {};
  }
  const auto batch_bytes = ToUint32(env, info[1], {kOpenCall, "batchBytes"}, 8, kMaxBatchBytes);
  if (!batch_bytes) return {};
  const auto batch_records = ToUint32(env, info[2], {kOpenCall, "batchRecords"}, 1, kMaxBatchRecords);
  if (!batch_records) return {};
  const auto flood_interval = ToUint32(env, info[3], {kOpenCall, "floodIntervalMs"}, 0, kMaxMs);
  if (!flood_interval) return {};
  const auto flood_wakeups = ToUint32(env, info[4], {kOpenCall, "floodWakeups"});
  if (!flood_wakeups) return {};
  const auto flood_period = ToUint32(env, info[5], {kOpenCall, "floodPeriodMs"}, 0, kMaxMs);
  if (!flood_period) return {};

  const Napi::Object handle = AddonData::Of(env)->ring.New({});
  if (handle.IsEmpty()) return {};
  RingPump* self = Unwrap(handle);
  self->subject_ = subject;
  self->limits_ = {static_cast<uint32_t>(RoundUp8(*batch_bytes)), *batch_records, *flood_interval,
                   *flood_wakeups, *flood_period};
  self->deliver_ = Napi::Persistent(info[0].As<Napi::Function>());
  if (!self->Start(map_fd)) return {};
  return handle;
}

bool RingPump::Start(int map_fd) {
  const Napi::Env env = Env();
  auto resources = std::make_shared<RingResources>();
  resources->map_fd = UniqueFd::Duplicate(map_fd);
  if (!resources->map_fd) {
    Throw(env, {"fcntl(F_DUPFD_CLOEXEC)", errno, subject_, {}});
    return false;
  }
  LogCapture capture;
  resources->ring.reset(ring_buffer__new(resources->map_fd.get(), OnRecord, &resources->batch, nullptr));
  if (!resources->ring) {
    Throw(env, {kOpenCall, errno, subject_, capture.Take()});
    return false;
  }
  uv_loop_t* loop = nullptr;
  napi_status status = napi_get_uv_event_loop(env, &loop);
  if (status == napi_ok) {
    status = napi_async_init(env, nullptr, Napi::String::New(env, "libbpf-node:ring"), &async_context_);
  }
  if (status != napi_ok) {
    Throw(env, {kOpenCall, EINVAL, subject_, {}});
    return false;
  }

  const int epoll_fd = ring_buffer__epoll_fd(resources->ring.get());
  int error =
      poll_.Open(this, resources, [&](uv_poll_t* poll) { return uv_poll_init(loop, poll, epoll_fd); });
  if (error == 0) {
    error = timer_.Open(this, resources, [&](uv_timer_t* timer) { return uv_timer_init(loop, timer); });
  }
  if (error == 0) {
    error = idle_.Open(this, resources, [&](uv_idle_t* idle) { return uv_idle_init(loop, idle); });
  }
  if (error == 0) {
    error =
        anchor_.Open(this, resources, [&](uv_async_t* async) { return uv_async_init(loop, async, nullptr); });
  }
  if (error != 0) {
    CloseHandles();
    napi_async_destroy(env, std::exchange(async_context_, nullptr));
    // libuv's errors are negative errnos on Linux.
    Throw(env, {"uv_poll_init", -error, subject_, {}});
    return false;
  }
  uv_unref(poll_.handle());
  uv_unref(timer_.handle());
  uv_unref(idle_.handle());

  resources->pump = this;
  const auto hook = [](napi_async_cleanup_hook_handle /*handle*/, void* data) {
    auto* ending = static_cast<RingResources*>(data);
    // Where the pump is closing already, its last close callback removes the hook.
    if (ending->pump != nullptr) ending->pump->Shut();
  };
  napi_add_async_cleanup_hook(env, hook, resources.get(), &resources->hook);
  resources_ = std::move(resources);
  open_ = true;
  // Garbage collection must not take an open pump.
  Ref();
  return true;
}

bool RingPump::RequireOpen(const char* call) {
  if (open_) return true;
  ThrowClosed(Env(), call, subject_);
  return false;
}

void RingPump::Shut() {
  if (!open_) return;
  open_ = false;
  mode_ = Mode::kPaused;
  // uv_close stops the handles at once; memory and descriptors go with the last close callback.
  CloseHandles();
  resources_->pump = nullptr;
  resources_.reset();
  deliver_.Reset();
  slab_.Reset();
  index_.Reset();
  // Inside the sink the context is in use: Deliver() destroys it then.
  if (!delivering_) napi_async_destroy(Env(), std::exchange(async_context_, nullptr));
  Unref();
}

void RingPump::CloseHandles() {
  poll_.Close();
  timer_.Close();
  idle_.Close();
  anchor_.Close();
}

void RingPump::StopHandles() {
  if (poll_.get() == nullptr) return;
  uv_poll_stop(poll_.get());
  uv_timer_stop(timer_.get());
  uv_idle_stop(idle_.get());
}

bool RingPump::Prepare() {
  const Napi::Env env = Env();
  Batch& batch = resources_->batch;
  size_t needed = std::max<size_t>(batch.capacity, limits_.batch_bytes);
  if (batch.has_carry && batch.carry.size() > needed) {
    needed = RoundUp8(std::max(batch.carry.size(), needed * 2));
  }
  // JavaScript may have transferred a buffer away: its memory is no longer ours to write to.
  if (slab_.IsEmpty() || batch.capacity < needed || IsDetached(env, slab_.Value())) {
    Napi::ArrayBuffer slab = Napi::ArrayBuffer::New(env, needed);
    if (slab.IsEmpty()) return false;
    slab_ = Napi::Persistent(slab);
    batch.bytes = static_cast<uint8_t*>(slab.Data());
    batch.capacity = needed;
    replaced_ = true;
  }
  if (index_.IsEmpty() || IsDetached(env, index_.Value())) {
    const size_t length = size_t{limits_.batch_records} * 2 * sizeof(uint32_t);
    Napi::ArrayBuffer index = Napi::ArrayBuffer::New(env, length);
    if (index.IsEmpty()) return false;
    index_ = Napi::Persistent(index);
    batch.index = static_cast<uint32_t*>(index.Data());
    batch.max_records = limits_.batch_records;
    replaced_ = true;
  }
  batch.used = 0;
  batch.count = 0;
  return true;
}

int RingPump::Take() {
  Batch& batch = resources_->batch;
  if (batch.has_carry) {
    batch.Append(batch.carry.data(), batch.carry.size());
    batch.has_carry = false;
    if (batch.carry.capacity() > batch.capacity) std::vector<uint8_t>().swap(batch.carry);
  }
  if (!batch.Fits(8)) {
    stopped_early_ = true;
    return 0;
  }
  const int result = ring_buffer__consume(resources_->ring.get());
  stopped_early_ = result == kStop;
  return result < 0 && result != kStop ? result : 0;
}

void RingPump::Deliver() {
  const Napi::Env env = Env();
  const uint32_t count = resources_->batch.count;
  std::array<napi_value, 3> arguments = {Napi::Number::New(env, count), nullptr, nullptr};
  size_t argument_count = 1;
  if (replaced_) {
    Napi::ArrayBuffer slab = slab_.Value();
    Napi::ArrayBuffer index = index_.Value();
    arguments[1] = Napi::Uint8Array::New(env, slab.ByteLength(), slab, 0);
    arguments[2] = Napi::Uint32Array::New(env, index.ByteLength() / sizeof(uint32_t), index, 0);
    // An environment that is ending refuses to make them: it would run no JavaScript either.
    if (arguments[1] == nullptr || arguments[2] == nullptr) return;
    argument_count = 3;
    replaced_ = false;
  }

  delivering_ = true;
  napi_value ignored = nullptr;
  // Runs process.nextTick() and promise callbacks afterwards, unless JavaScript is on the stack already.
  const napi_status status = napi_make_callback(env, async_context_, Value(), deliver_.Value(),
                                                argument_count, arguments.data(), &ignored);
  if (status == napi_pending_exception) ReportPending();
  delivering_ = false;

  if (!open_) {
    // close() from inside the sink left it for us.
    napi_async_destroy(env, std::exchange(async_context_, nullptr));
  } else if (status != napi_ok && status != napi_pending_exception) {
    // The environment is ending: no JavaScript will run any more, and the cleanup hook closes the pump.
    StopHandles();
    mode_ = Mode::kPaused;
  }
}

uint32_t RingPump::Turn() {
  if (!Prepare()) return 0;
  const int error = Take();
  const uint32_t count = resources_->batch.count;
  if (count > 0) Deliver();
  if (error != 0 && open_) {
    // Cannot happen on a healthy ring. Reported once: the pump pauses rather than spin.
    StopHandles();
    mode_ = Mode::kPaused;
    napi_fatal_exception(Env(), ToError(Env(), {kConsumeCall, -error, subject_, {}}));
  }
  return count;
}

void RingPump::OnReadable() {
  const Napi::HandleScope scope(Env());
  // Keeps `this` from the garbage collector, should the sink close the pump.
  [[maybe_unused]] const Napi::Value self = Value();
  const uint64_t now = uv_hrtime();
  const bool close_by = now - last_wakeup_ns_ < limits_.flood_interval_ms * kNsPerMs;
  last_wakeup_ns_ = now;
  wakeups_in_row_ = close_by ? wakeups_in_row_ + 1 : 0;

  Turn();
  ReportPending();
  // The sink may have closed or paused the pump.
  if (!open_ || mode_ != Mode::kPolling) return;
  if (limits_.flood_wakeups > 0 && wakeups_in_row_ >= limits_.flood_wakeups) {
    uv_poll_stop(poll_.get());
    mode_ = Mode::kTimer;
    ScheduleTick();
  } else {
    ScheduleCarry();
  }
}

void RingPump::OnTick() {
  const Napi::HandleScope scope(Env());
  [[maybe_unused]] const Napi::Value self = Value();
  uv_idle_stop(idle_.get());
  const uint32_t count = Turn();
  ReportPending();
  if (!open_) return;
  if (mode_ == Mode::kPolling) {
    ScheduleCarry();
  } else if (mode_ == Mode::kTimer) {
    if (count > 0) {
      ScheduleTick();
    } else {
      EnterPolling();
    }
  }
}

void RingPump::EnterPolling() {
  mode_ = Mode::kPolling;
  wakeups_in_row_ = 0;
  last_wakeup_ns_ = 0;
  const auto on_readable = [](uv_poll_t* poll, int /*status*/, int /*events*/) {
    static_cast<RingPump*>(poll->data)->OnReadable();
  };
  uv_poll_start(poll_.get(), UV_READABLE, on_readable);
  ScheduleCarry();
}

void RingPump::ScheduleTick() {
  if (stopped_early_) {
    TickNextTurn();
    return;
  }
  const auto on_timer = [](uv_timer_t* timer) { static_cast<RingPump*>(timer->data)->OnTick(); };
  uv_timer_start(timer_.get(), on_timer, limits_.flood_period_ms, 0);
}

void RingPump::TickNextTurn() {
  const auto on_idle = [](uv_idle_t* idle) { static_cast<RingPump*>(idle->data)->OnTick(); };
  uv_idle_start(idle_.get(), on_idle);
}

void RingPump::ScheduleCarry() {
  if (resources_->batch.has_carry) TickNextTurn();
}

void RingPump::ReportPending() {
  const Napi::Env env = Env();
  if (!env.IsExceptionPending()) return;
  napi_value exception = nullptr;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
}

Napi::Value RingPump::Consume(const Napi::CallbackInfo& info) {
  if (!RequireOpen(kConsumeCall)) return {};
  if (delivering_) {
    // The batch that the sink looks at would be overwritten.
    Throw(Env(), {kConsumeCall, 0, subject_, {}, Reason::kReentrant});
    return {};
  }
  const uint32_t count = Turn();
  if (open_ && mode_ == Mode::kPolling) ScheduleCarry();
  return Napi::Number::New(info.Env(), count);
}

Napi::Value RingPump::Pause(const Napi::CallbackInfo& info) {
  if (!RequireOpen("pause")) return {};
  StopHandles();
  mode_ = Mode::kPaused;
  return info.Env().Undefined();
}

Napi::Value RingPump::Resume(const Napi::CallbackInfo& info) {
  if (!RequireOpen("resume")) return {};
  if (mode_ == Mode::kPaused) EnterPolling();
  return info.Env().Undefined();
}

Napi::Value RingPump::RefLoop(const Napi::CallbackInfo& info) {
  if (!RequireOpen("ref")) return {};
  uv_ref(anchor_.handle());
  return info.Env().Undefined();
}

Napi::Value RingPump::UnrefLoop(const Napi::CallbackInfo& info) {
  if (!RequireOpen("unref")) return {};
  uv_unref(anchor_.handle());
  return info.Env().Undefined();
}

Napi::Value RingPump::Close(const Napi::CallbackInfo& info) {
  Shut();
  return info.Env().Undefined();
}

}  // namespace bpfnode
