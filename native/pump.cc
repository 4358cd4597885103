#include "pump.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <type_traits>
#include <utility>

#include "addon.h"
#include "arguments.h"
#include "failure.h"

namespace bpfnode {
namespace {

constexpr uint32_t kMaxBatchBytes = uint32_t{256} << 20;
constexpr uint32_t kMaxBatchRecords = uint32_t{16} << 20;
constexpr uint32_t kMaxMs = 60'000;
constexpr uint64_t kNsPerMs = 1'000'000;
// All of a buffer's memory.
template <class Array>
napi_value View(const Napi::Reference<Napi::ArrayBuffer>& memory) {
  Napi::ArrayBuffer buffer = memory.Value();
  const size_t length =
      buffer.ByteLength() / sizeof(std::remove_pointer_t<decltype(std::declval<Array>().Data())>);
  return Array::New(memory.Env(), length, buffer, 0);
}

bool IsDetached(Napi::Env env, napi_value buffer) {
  bool detached = true;
  return napi_is_detached_arraybuffer(env, buffer, &detached) != napi_ok || detached;
}

}  // namespace

PumpResources::~PumpResources() {
  source.reset();
  if (hook != nullptr) napi_remove_async_cleanup_hook(hook);
}

Napi::Function Pump::Define(Napi::Env env) {
  return DefineClass(env, "NativeReader",
                     {
                         InstanceMethod<&Pump::Consume>("consume"),
                         InstanceMethod<&Pump::Available>("available"),
                         InstanceMethod<&Pump::Pause>("pause"),
                         InstanceMethod<&Pump::Resume>("resume"),
                         InstanceMethod<&Pump::RefLoop>("ref"),
                         InstanceMethod<&Pump::UnrefLoop>("unref"),
                         InstanceMethod<&Pump::Close>("close"),
                     });
}

Pump::Pump(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Pump>(info) {}

Pump::~Pump() {
  // Open only if the environment ends without having run the cleanup hook.
  if (resources_) resources_->pump = nullptr;
}

std::optional<PumpLimits> Pump::Limits(const Napi::CallbackInfo& info, const char* call) {
  const Napi::Env env = info.Env();
  if (!info[0].IsFunction()) {
    Throw(env, {call, 0, "deliver", {}, Reason::kArgument});
    return std::nullopt;
  }
  const auto batch_bytes = ToUint32(env, info[1], {call, "batchBytes"}, 8, kMaxBatchBytes);
  if (!batch_bytes) return std::nullopt;
  const auto batch_records = ToUint32(env, info[2], {call, "batchRecords"}, 1, kMaxBatchRecords);
  if (!batch_records) return std::nullopt;
  const auto flood_interval = ToUint32(env, info[3], {call, "floodIntervalMs"}, 0, kMaxMs);
  if (!flood_interval) return std::nullopt;
  const auto flood_wakeups = ToUint32(env, info[4], {call, "floodWakeups"});
  if (!flood_wakeups) return std::nullopt;
  const auto flood_period = ToUint32(env, info[5], {call, "floodPeriodMs"}, 0, kMaxMs);
  if (!flood_period) return std::nullopt;
  return PumpLimits{static_cast<uint32_t>(RoundUp8(*batch_bytes)), *batch_records, *flood_interval,
                    *flood_wakeups, *flood_period};
}

Napi::Value Pump::Create(const Napi::CallbackInfo& info, const PumpLimits& limits,
                         std::unique_ptr<Source> source, const std::string& subject) {
  const Napi::Object handle = AddonData::Of(info.Env())->pump.New({});
  if (handle.IsEmpty()) return {};
  Pump* self = Unwrap(handle);
  self->subject_ = subject;
  self->limits_ = limits;
  self->deliver_ = Napi::Persistent(info[0].As<Napi::Function>());
  if (!self->Start(std::move(source))) return {};
  return handle;
}

bool Pump::Start(std::unique_ptr<Source> source) {
  const Napi::Env env = Env();
  auto resources = std::make_shared<PumpResources>();
  resources->source = std::move(source);
  const char* open_call = resources->source->open_call();
  uv_loop_t* loop = nullptr;
  napi_status status = napi_get_uv_event_loop(env, &loop);
  if (status == napi_ok) {
    status = napi_async_init(env, nullptr, Napi::String::New(env, "libbpf-node:reader"), &async_context_);
  }
  if (status != napi_ok) {
    Throw(env, {open_call, EINVAL, subject_, {}});
    return false;
  }

  const int poll_fd = resources->source->poll_fd();
  int error = poll_.Open(this, resources, [&](uv_poll_t* poll) { return uv_poll_init(loop, poll, poll_fd); });
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
    auto* ending = static_cast<PumpResources*>(data);
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

bool Pump::RequireOpen(const char* call) {
  if (open_) return true;
  ThrowClosed(Env(), call, subject_);
  return false;
}

void Pump::Shut() {
  if (!open_) return;
  open_ = false;
  mode_ = Mode::kPaused;
  // uv_close stops the handles at once; memory and descriptors go with the last close callback.
  CloseHandles();
  resources_->source->Release();
  resources_->pump = nullptr;
  resources_.reset();
  deliver_.Reset();
  for (auto* memory : {&slab_, &index_, &origins_, &times_, &lost_}) memory->Reset();
  // While a callback scope is open the context is in use: Deliver() destroys it then.
  if (scopes_ == 0) napi_async_destroy(Env(), std::exchange(async_context_, nullptr));
  Unref();
}

void Pump::CloseHandles() {
  poll_.Close();
  timer_.Close();
  idle_.Close();
  anchor_.Close();
}

void Pump::StopHandles() {
  if (poll_.get() == nullptr) return;
  uv_poll_stop(poll_.get());
  uv_timer_stop(timer_.get());
  uv_idle_stop(idle_.get());
}

bool Pump::Prepare() {
  Batch& batch = resources_->batch;
  size_t needed = std::max<size_t>(batch.capacity, limits_.batch_bytes);
  if (batch.has_carry && batch.carry.size() > needed) {
    needed = RoundUp8(std::max(batch.carry.size(), needed * 2));
  }
  if (batch.capacity < needed) slab_.Reset();
  batch.bytes = static_cast<uint8_t*>(Renew(slab_, needed));
  if (batch.bytes == nullptr) return false;
  batch.capacity = needed;

  const size_t records = limits_.batch_records;
  batch.index = static_cast<uint32_t*>(Renew(index_, records * 2 * sizeof(uint32_t)));
  if (batch.index == nullptr) return false;
  batch.max_records = limits_.batch_records;

  const Extras extras = resources_->source->extras();
  if (extras.origins) {
    batch.origins = static_cast<uint32_t*>(Renew(origins_, records * sizeof(uint32_t)));
    if (batch.origins == nullptr) return false;
  }
  if (extras.times) {
    batch.times = static_cast<uint64_t*>(Renew(times_, records * sizeof(uint64_t)));
    if (batch.times == nullptr) return false;
  }
  if (extras.lost_cpus > 0) {
    // Starts again from 0, as fresh memory does, where JavaScript took the old counts away.
    batch.lost = static_cast<double*>(Renew(lost_, extras.lost_cpus * sizeof(double)));
    if (batch.lost == nullptr) return false;
    batch.cpus = extras.lost_cpus;
  }
  batch.used = 0;
  batch.count = 0;
  batch.has_lost = false;
  return true;
}

void* Pump::Renew(Napi::Reference<Napi::ArrayBuffer>& memory, size_t size) {
  // JavaScript may have transferred a buffer away: its memory is no longer ours to write to.
  if (!memory.IsEmpty() && !IsDetached(Env(), memory.Value())) return memory.Value().Data();
  Napi::ArrayBuffer fresh = Napi::ArrayBuffer::New(Env(), size);
  if (fresh.IsEmpty()) return nullptr;
  memory = Napi::Persistent(fresh);
  replaced_ = true;
  return fresh.Data();
}

int Pump::Take() {
  Batch& batch = resources_->batch;
  if (batch.has_carry) batch.AppendCarry();
  if (!batch.HasRoom()) {
    stopped_early_ = true;
    return 0;
  }
  const TakeResult result = resources_->source->Take(batch);
  stopped_early_ = result.stopped_early;
  return result.error;
}

void Pump::Deliver() {
  const Napi::Env env = Env();
  const uint32_t count = resources_->batch.count;
  std::array<napi_value, 6> arguments = {Napi::Number::New(env, count)};
  size_t argument_count = 1;
  if (replaced_) {
    const napi_value undefined = env.Undefined();
    arguments[1] = View<Napi::Uint8Array>(slab_);
    arguments[2] = View<Napi::Uint32Array>(index_);
    arguments[3] = origins_.IsEmpty() ? undefined : View<Napi::Uint32Array>(origins_);
    arguments[4] = times_.IsEmpty() ? undefined : View<Napi::BigUint64Array>(times_);
    arguments[5] = lost_.IsEmpty() ? undefined : View<Napi::Float64Array>(lost_);
    // An environment that is ending refuses to make them: it would run no JavaScript either.
    for (napi_value argument : arguments) {
      if (argument == nullptr) return;
    }
    argument_count = arguments.size();
    replaced_ = false;
  }

  // By hand what napi_make_callback does: process.nextTick() and promise callbacks run when the scope is
  // closed (unless JavaScript is on the stack already), and by then the sink has returned: they may take
  // more.
  napi_callback_scope scope = nullptr;
  napi_status status = napi_open_callback_scope(env, Value(), async_context_, &scope);
  if (status == napi_ok) {
    ++scopes_;
    delivering_ = true;
    napi_value ignored = nullptr;
    status = napi_call_function(env, Value(), deliver_.Value(), argument_count, arguments.data(), &ignored);
    delivering_ = false;
    if (status == napi_pending_exception) ReportPending();
    napi_close_callback_scope(env, scope);
    --scopes_;
    ReportPending();
  }

  if (!open_) {
    // close() from inside the scope left it for us.
    if (scopes_ == 0 && async_context_ != nullptr) {
      napi_async_destroy(env, std::exchange(async_context_, nullptr));
    }
  } else if (status != napi_ok && status != napi_pending_exception) {
    // The environment is ending: no JavaScript will run any more, and the cleanup hook closes the pump.
    StopHandles();
    mode_ = Mode::kPaused;
  }
}

uint32_t Pump::Turn() {
  if (!Prepare()) return 0;
  int error = Take();
  if (error == 0 && resources_->batch.count == 0 && resources_->batch.has_carry) {
    // The first record is larger than the slab.
    if (!Prepare()) return 0;
    error = Take();
  }
  const char* take_call = resources_->source->take_call();
  const uint32_t count = resources_->batch.count;
  if (count > 0 || resources_->batch.has_lost) Deliver();
  if (error != 0 && open_) {
    // Cannot happen on a healthy source. Reported once: the pump pauses rather than spin.
    StopHandles();
    mode_ = Mode::kPaused;
    napi_fatal_exception(Env(), ToError(Env(), {take_call, -error, subject_, {}}));
  }
  return count;
}

void Pump::OnReadable() {
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
    ScheduleRest();
  }
}

void Pump::OnTick() {
  const Napi::HandleScope scope(Env());
  [[maybe_unused]] const Napi::Value self = Value();
  uv_idle_stop(idle_.get());
  const uint32_t count = Turn();
  ReportPending();
  if (!open_) return;
  if (mode_ == Mode::kPolling) {
    ScheduleRest();
  } else if (mode_ == Mode::kTimer) {
    if (count > 0) {
      ScheduleTick();
    } else {
      EnterPolling();
    }
  }
}

void Pump::EnterPolling() {
  mode_ = Mode::kPolling;
  wakeups_in_row_ = 0;
  last_wakeup_ns_ = 0;
  const auto on_readable = [](uv_poll_t* poll, int /*status*/, int /*events*/) {
    static_cast<Pump*>(poll->data)->OnReadable();
  };
  uv_poll_start(poll_.get(), UV_READABLE, on_readable);
  ScheduleRest();
  if (resources_->source->tells_once()) TickNextTurn();
}

void Pump::ScheduleTick() {
  if (stopped_early_) {
    TickNextTurn();
    return;
  }
  const auto on_timer = [](uv_timer_t* timer) { static_cast<Pump*>(timer->data)->OnTick(); };
  uv_timer_start(timer_.get(), on_timer, limits_.flood_period_ms, 0);
}

void Pump::TickNextTurn() {
  const auto on_idle = [](uv_idle_t* idle) { static_cast<Pump*>(idle->data)->OnTick(); };
  uv_idle_start(idle_.get(), on_idle);
}

void Pump::ScheduleRest() {
  const bool silent = stopped_early_ && resources_->source->tells_once();
  if (silent || resources_->batch.has_carry) TickNextTurn();
}

void Pump::ReportPending() {
  const Napi::Env env = Env();
  if (!env.IsExceptionPending()) return;
  napi_value exception = nullptr;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
}

Napi::Value Pump::Consume(const Napi::CallbackInfo& info) {
  if (!RequireOpen("consume")) return {};
  if (delivering_) {
    // The batch that the sink looks at would be overwritten.
    Throw(Env(), {"consume", 0, subject_, {}, Reason::kReentrant});
    return {};
  }
  const uint32_t count = Turn();
  if (open_ && mode_ == Mode::kPolling) ScheduleRest();
  return Napi::Number::New(info.Env(), count);
}

Napi::Value Pump::Available(const Napi::CallbackInfo& info) {
  if (!RequireOpen("available")) return {};
  const std::optional<uint64_t> waiting = resources_->source->Available();
  if (!waiting) return info.Env().Undefined();
  const Batch& batch = resources_->batch;
  // A carried record has left the ring, and nobody has seen it yet.
  const uint64_t carried = batch.has_carry ? RoundUp8(batch.carry.size()) : 0;
  return Napi::Number::New(info.Env(), static_cast<double>(*waiting + carried));
}

Napi::Value Pump::Pause(const Napi::CallbackInfo& info) {
  if (!RequireOpen("pause")) return {};
  StopHandles();
  mode_ = Mode::kPaused;
  return info.Env().Undefined();
}

Napi::Value Pump::Resume(const Napi::CallbackInfo& info) {
  if (!RequireOpen("resume")) return {};
  if (mode_ == Mode::kPaused) EnterPolling();
  return info.Env().Undefined();
}

Napi::Value Pump::RefLoop(const Napi::CallbackInfo& info) {
  if (!RequireOpen("ref")) return {};
  uv_ref(anchor_.handle());
  return info.Env().Undefined();
}

Napi::Value Pump::UnrefLoop(const Napi::CallbackInfo& info) {
  if (!RequireOpen("unref")) return {};
  uv_unref(anchor_.handle());
  return info.Env().Undefined();
}

Napi::Value Pump::Close(const Napi::CallbackInfo& info) {
  Shut();
  return info.Env().Undefined();
}

}  // namespace bpfnode
