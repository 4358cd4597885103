// The pump: from a source of records to one JavaScript call a batch.
//
// uv_poll on the source's descriptor wakes the loop of the environment that made the pump. A turn of the
// loop takes one batch: the source copies records into a slab that JavaScript sees, then JavaScript is
// called once. What does not fit stays in the kernel (save one record, see Batch), so a flood delays nothing
// else for longer than a batch. When wake-ups follow each other closely, a timer replaces them until the
// source is empty.
#pragma once

#include <napi.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "batch.h"
#include "source.h"
#include "uv_handle.h"

namespace bpfnode {

class Pump;

// What must live until libuv's last close callback. Held by the pump and by each of its handles.
struct PumpResources {
  PumpResources() = default;
  ~PumpResources();
  PumpResources(const PumpResources&) = delete;
  PumpResources& operator=(const PumpResources&) = delete;
  PumpResources(PumpResources&&) = delete;
  PumpResources& operator=(PumpResources&&) = delete;

  std::unique_ptr<Source> source;
  Batch batch;
  // The environment waits with its end until this hook is removed.
  napi_async_cleanup_hook_handle hook = nullptr;
  // nullptr once the pump is gone.
  Pump* pump = nullptr;
};

struct PumpLimits {
  uint32_t batch_bytes = 0;
  uint32_t batch_records = 0;
  uint32_t flood_interval_ms = 0;
  uint32_t flood_wakeups = 0;
  uint32_t flood_period_ms = 0;
};

class Pump : public Napi::ObjectWrap<Pump> {
 public:
  static Napi::Function Define(Napi::Env env);

  // The arguments that every open…() starts with: deliver, batchBytes, batchRecords, floodIntervalMs,
  // floodWakeups, floodPeriodMs. nullopt with an exception pending where one is wrong.
  // `deliver(count, bytes?, index?, origins?, times?, lost?)`: the memory is passed with the first batch and
  // whenever it was replaced.
  static constexpr size_t kArguments = 6;
  static std::optional<PumpLimits> Limits(const Napi::CallbackInfo& info, const char* call);

  // A pump of `source`, paused. The arguments were looked at by Limits().
  static Napi::Value Create(const Napi::CallbackInfo& info, const PumpLimits& limits,
                            std::unique_ptr<Source> source, const std::string& subject);

  explicit Pump(const Napi::CallbackInfo& info);
  ~Pump() override;
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;
  Pump(Pump&&) = delete;
  Pump& operator=(Pump&&) = delete;

 private:
  enum class Mode { kPaused, kPolling, kTimer };

  Napi::Value Consume(const Napi::CallbackInfo& info);
  Napi::Value Available(const Napi::CallbackInfo& info);
  Napi::Value Pause(const Napi::CallbackInfo& info);
  Napi::Value Resume(const Napi::CallbackInfo& info);
  Napi::Value RefLoop(const Napi::CallbackInfo& info);
  Napi::Value UnrefLoop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  // Opens the handles. Answers false with an exception pending.
  bool Start(std::unique_ptr<Source> source);
  bool RequireOpen(const char* call);
  void Shut();
  void CloseHandles();
  void StopHandles();

  // Makes sure that the slab and the tables are there, attached, and large enough for the carried record.
  bool Prepare();
  // Makes `memory` anew where it is missing or detached. Answers its address; nullptr where there is none.
  void* Renew(Napi::Reference<Napi::ArrayBuffer>& memory, size_t size);
  // Takes one batch from the source into the slab. Answers 0 or a negative errno.
  int Take();
  // Calls JavaScript with what Take() took.
  void Deliver();
  // One turn: Prepare, Take, Deliver. Answers the number of records.
  uint32_t Turn();

  void OnReadable();
  // What the timer and the idle handle run.
  void OnTick();
  void EnterPolling();
  // Under flood: the next tick comes with the next turn of the loop where more is waiting, else after the
  // period.
  void ScheduleTick();
  void TickNextTurn();
  // Sees that what is left is delivered in the next turn, where the descriptor would stay silent: a carried
  // record, or anything of a source that tells once.
  void ScheduleRest();
  // An exception of our own outside of any call from JavaScript becomes an uncaught one.
  void ReportPending();

  std::shared_ptr<PumpResources> resources_;
  UvHandle<uv_poll_t> poll_;
  UvHandle<uv_timer_t> timer_;
  // "In the next turn of the loop". A timer of 0 ms would not do: started in its own callback, it runs again
  // in the same turn with libuv before 1.49.
  UvHandle<uv_idle_t> idle_;
  // Always active and never signalled: keeps the loop alive, paused or not, while the pump is ref'ed.
  UvHandle<uv_async_t> anchor_;

  PumpLimits limits_;
  std::string subject_;
  Mode mode_ = Mode::kPaused;
  bool open_ = false;
  bool delivering_ = false;
  // Callback scopes that are open: a consume() in a promise's callback delivers inside of one.
  uint32_t scopes_ = 0;
  bool stopped_early_ = false;
  uint32_t wakeups_in_row_ = 0;
  uint64_t last_wakeup_ns_ = 0;

  Napi::FunctionReference deliver_;
  Napi::Reference<Napi::ArrayBuffer> slab_;
  Napi::Reference<Napi::ArrayBuffer> index_;
  Napi::Reference<Napi::ArrayBuffer> origins_;
  Napi::Reference<Napi::ArrayBuffer> times_;
  Napi::Reference<Napi::ArrayBuffer> lost_;
  bool replaced_ = false;
  napi_async_context async_context_ = nullptr;
};

}  // namespace bpfnode
