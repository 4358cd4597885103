// The pump: from a ring-buffer map to one JavaScript call a batch.
//
// uv_poll on libbpf's epoll descriptor wakes the loop of the environment that made the pump. A turn of the
// loop takes one batch: libbpf's callback copies records into a slab that JavaScript sees, then JavaScript is
// called once. What does not fit stays in the ring (save one record, see Batch), so a flood delays nothing
// else for longer than a batch. When wake-ups follow each other closely, a timer replaces them until the ring
// is empty.
#pragma once

#include <napi.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "handles.h"
#include "unique_fd.h"
#include "uv_handle.h"

namespace bpfnode {

class RingPump;

// Where libbpf's callback puts records. The memory belongs to two ArrayBuffers; see RingPump::Prepare().
struct Batch {
  uint8_t* bytes = nullptr;
  size_t capacity = 0;
  uint32_t* index = nullptr;
  uint32_t max_records = 0;

  size_t used = 0;
  uint32_t count = 0;
  // A record that found no room. libbpf counts a record as consumed even when its callback says stop, so it
  // waits here and leads the next batch.
  std::vector<uint8_t> carry;
  bool has_carry = false;

  [[nodiscard]] bool Fits(size_t size) const;
  void Append(const void* data, size_t size);
};

// What must live until libuv's last close callback. Held by the pump and by each of its handles.
struct RingResources {
  RingResources() = default;
  ~RingResources();
  RingResources(const RingResources&) = delete;
  RingResources& operator=(const RingResources&) = delete;
  RingResources(RingResources&&) = delete;
  RingResources& operator=(RingResources&&) = delete;

  UniqueFd map_fd;
  UniqueRingBuffer ring;
  Batch batch;
  // The environment waits with its end until this hook is removed.
  napi_async_cleanup_hook_handle hook = nullptr;
  // nullptr once the pump is gone.
  RingPump* pump = nullptr;
};

struct RingLimits {
  uint32_t batch_bytes = 0;
  uint32_t batch_records = 0;
  uint32_t flood_interval_ms = 0;
  uint32_t flood_wakeups = 0;
  uint32_t flood_period_ms = 0;
};

class RingPump : public Napi::ObjectWrap<RingPump> {
 public:
  static Napi::Function Define(Napi::Env env);

  // openRing(deliver, batchBytes, batchRecords, floodIntervalMs, floodWakeups, floodPeriodMs)
  // `deliver(count, bytes?, index?)`: bytes and index are passed with the first batch and whenever they were
  // replaced.
  static Napi::Value Create(const Napi::CallbackInfo& info, int map_fd, const std::string& subject);

  explicit RingPump(const Napi::CallbackInfo& info);
  ~RingPump() override;
  RingPump(const RingPump&) = delete;
  RingPump& operator=(const RingPump&) = delete;
  RingPump(RingPump&&) = delete;
  RingPump& operator=(RingPump&&) = delete;

 private:
  enum class Mode { kPaused, kPolling, kTimer };

  Napi::Value Consume(const Napi::CallbackInfo& info);
  Napi::Value Pause(const Napi::CallbackInfo& info);
  Napi::Value Resume(const Napi::CallbackInfo& info);
  Napi::Value RefLoop(const Napi::CallbackInfo& info);
  Napi::Value UnrefLoop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  // Opens the ring and the handles. Answers false with an exception pending.
  bool Start(int map_fd);
  bool RequireOpen(const char* call);
  void Shut();
  void CloseHandles();
  void StopHandles();

  // Makes sure that the slab and the index are there, attached, and large enough for the carried record.
  bool Prepare();
  // Takes one batch from the ring into the slab. Answers 0 or a negative errno of libbpf.
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
  // Sees that a carried record is delivered in the next turn, though the ring may stay silent.
  void ScheduleCarry();
  // An exception of our own outside of any call from JavaScript becomes an uncaught one.
  void ReportPending();

  std::shared_ptr<RingResources> resources_;
  UvHandle<uv_poll_t> poll_;
  UvHandle<uv_timer_t> timer_;
  // "In the next turn of the loop". A timer of 0 ms would not do: started in its own callback, it runs again
  // in the same turn with libuv before 1.49.
  UvHandle<uv_idle_t> idle_;
  // Always active and never signalled: keeps the loop alive, paused or not, while the pump is ref'ed.
  UvHandle<uv_async_t> anchor_;

  RingLimits limits_;
  std::string subject_;
  Mode mode_ = Mode::kPaused;
  bool open_ = false;
  bool delivering_ = false;
  bool stopped_early_ = false;
  uint32_t wakeups_in_row_ = 0;
  uint64_t last_wakeup_ns_ = 0;

  Napi::FunctionReference deliver_;
  Napi::Reference<Napi::ArrayBuffer> slab_;
  Napi::Reference<Napi::ArrayBuffer> index_;
  bool replaced_ = false;
  napi_async_context async_context_ = nullptr;
};

}  // namespace bpfnode
