#include "user_ring.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>

#include "addon.h"
#include "arguments.h"
#include "failure.h"
#include "log.h"
#include "readers.h"

namespace bpfnode {
namespace {

constexpr const char* kOpenCall = "user_ring_buffer__new";
constexpr const char* kReserveCall = "user_ring_buffer__reserve";
constexpr const char* kSubmitCall = "user_ring_buffer__submit";
constexpr const char* kDiscardCall = "user_ring_buffer__discard";
// BPF_RINGBUF_BUSY_BIT and BPF_RINGBUF_DISCARD_BIT lie above.
constexpr uint32_t kMaxRecord = (uint32_t{1} << 30) - 1;

}  // namespace

Napi::Function UserRing::Define(Napi::Env env) {
  return DefineClass(env, "NativeUserRing",
                     {
                         InstanceMethod<&UserRing::Reserve>("reserve"),
                         InstanceMethod<&UserRing::Submit>("submit"),
                         InstanceMethod<&UserRing::Discard>("discard"),
                         InstanceMethod<&UserRing::Output>("output"),
                         InstanceMethod<&UserRing::OpenDrains>("openDrains"),
                         InstanceMethod<&UserRing::Close>("close"),
                     });
}

UserRing::UserRing(const Napi::CallbackInfo& info) : Napi::ObjectWrap<UserRing>(info) {}

UserRing::~UserRing() { Shut(); }

Napi::Value UserRing::Create(Napi::Env env, int map_fd, const std::string& subject) {
  UniqueFd own = UniqueFd::Duplicate(map_fd);
  if (!own) {
    Throw(env, {"fcntl(F_DUPFD_CLOEXEC)", errno, subject, {}});
    return {};
  }
  LogCapture capture;
  UniqueUserRing ring(user_ring_buffer__new(own.get(), nullptr));
  if (!ring) {
    Throw(env, {kOpenCall, errno, subject, capture.Take()});
    return {};
  }
  const Napi::Object handle = AddonData::Of(env)->user_ring.New({});
  if (handle.IsEmpty()) return {};
  UserRing* self = Unwrap(handle);
  self->subject_ = subject;
  self->map_fd_ = std::move(own);
  self->ring_ = std::move(ring);
  return handle;
}

bool UserRing::RequireOpen(const char* call) {
  if (ring_) return true;
  ThrowClosed(Env(), call, subject_);
  return false;
}

void UserRing::Shut() {
  if (!ring_) return;
  // A record that stays reserved would hold up every later one.
  for (const auto& [number, reservation] : reservations_) {
    user_ring_buffer__discard(ring_.get(), reservation.sample);
  }
  reservations_.clear();
  ring_.reset();
  map_fd_.Reset();
}

void* UserRing::ReserveSample(uint32_t size) {
  void* sample = user_ring_buffer__reserve(ring_.get(), size);
  if (sample == nullptr && errno != ENOSPC) Throw(Env(), {kReserveCall, errno, subject_, {}});
  return sample;
}

Napi::Value UserRing::Reserve(const Napi::CallbackInfo& info) {
  if (!RequireOpen(kReserveCall)) return {};
  const auto size = ToUint32(Env(), info[0], {kReserveCall, "size"}, 0, kMaxRecord);
  if (!size) return {};
  void* sample = ReserveSample(*size);
  if (Env().IsExceptionPending()) return {};
  if (sample == nullptr) return Napi::Number::New(Env(), 0);
  do {
    ++last_number_;
  } while (last_number_ == 0 || reservations_.count(last_number_) != 0);
  reservations_[last_number_] = {sample, *size};
  return Napi::Number::New(Env(), last_number_);
}

bool UserRing::TakeReservation(napi_value value, const char* call, Reservation& taken) {
  const auto number = ToUint32(Env(), value, {call, "reservation"});
  if (!number) return false;
  const auto found = reservations_.find(*number);
  if (found == reservations_.end()) {
    Throw(Env(), {call, 0, "reservation", {}, Reason::kArgument});
    return false;
  }
  taken = found->second;
  reservations_.erase(found);
  return true;
}

Napi::Value UserRing::Submit(const Napi::CallbackInfo& info) {
  if (!RequireOpen(kSubmitCall)) return {};
  const auto bytes = ToBytes(Env(), info[1], {kSubmitCall, "bytes"});
  if (!bytes) return {};
  Reservation reservation = {};
  if (!TakeReservation(info[0], kSubmitCall, reservation)) return {};
  if (bytes->size != reservation.size) {
    user_ring_buffer__discard(ring_.get(), reservation.sample);
    Throw(Env(), {kSubmitCall,
                  0,
                  "bytes",
                  {},
                  Reason::kSize,
                  static_cast<double>(reservation.size),
                  static_cast<double>(bytes->size)});
    return {};
  }
  if (bytes->size > 0) memcpy(reservation.sample, bytes->data, bytes->size);
  user_ring_buffer__submit(ring_.get(), reservation.sample);
  return Env().Undefined();
}

Napi::Value UserRing::Discard(const Napi::CallbackInfo& info) {
  if (!RequireOpen(kDiscardCall)) return {};
  Reservation reservation = {};
  if (!TakeReservation(info[0], kDiscardCall, reservation)) return {};
  user_ring_buffer__discard(ring_.get(), reservation.sample);
  return Env().Undefined();
}

Napi::Value UserRing::Output(const Napi::CallbackInfo& info) {
  if (!RequireOpen(kReserveCall)) return {};
  const auto bytes = ToBytes(Env(), info[0], {kReserveCall, "bytes"});
  if (!bytes) return {};
  if (bytes->size > kMaxRecord) {
    Throw(Env(), {kReserveCall, E2BIG, subject_, {}});
    return {};
  }
  void* sample = ReserveSample(static_cast<uint32_t>(bytes->size));
  if (Env().IsExceptionPending()) return {};
  if (sample == nullptr) return Napi::Boolean::New(Env(), false);
  if (bytes->size > 0) memcpy(sample, bytes->data, bytes->size);
  user_ring_buffer__submit(ring_.get(), sample);
  return Napi::Boolean::New(Env(), true);
}

Napi::Value UserRing::OpenDrains(const Napi::CallbackInfo& info) {
  if (!RequireOpen("epoll_ctl")) return {};
  return bpfnode::OpenDrains(info, map_fd_.get(), subject_);
}

Napi::Value UserRing::Close(const Napi::CallbackInfo& info) {
  Shut();
  return info.Env().Undefined();
}

}  // namespace bpfnode
