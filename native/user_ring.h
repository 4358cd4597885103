// A user ring buffer: records from JavaScript to a program that drains them.
//
// JavaScript never sees the ring's memory: a view of it could be transferred to another thread and written to
// after it was unmapped. Records are copied in when they are submitted.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <unordered_map>

#include "handles.h"
#include "unique_fd.h"

namespace bpfnode {

class UserRing : public Napi::ObjectWrap<UserRing> {
 public:
  static Napi::Function Define(Napi::Env env);

  // The producer of the map behind `map_fd`, which is duplicated. Empty with an exception pending on failure.
  static Napi::Value Create(Napi::Env env, int map_fd, const std::string& subject);

  explicit UserRing(const Napi::CallbackInfo& info);
  ~UserRing() override;
  UserRing(const UserRing&) = delete;
  UserRing& operator=(const UserRing&) = delete;
  UserRing(UserRing&&) = delete;
  UserRing& operator=(UserRing&&) = delete;

 private:
  struct Reservation {
    void* sample;
    uint32_t size;
  };

  // reserve(size): number of the reservation; 0 where there is no room.
  Napi::Value Reserve(const Napi::CallbackInfo& info);
  // submit(reservation, bytes)
  Napi::Value Submit(const Napi::CallbackInfo& info);
  // discard(reservation)
  Napi::Value Discard(const Napi::CallbackInfo& info);
  // output(bytes): false where there is no room.
  Napi::Value Output(const Napi::CallbackInfo& info);
  // The arguments of Pump::Limits(): a pump with an empty record for each drain.
  Napi::Value OpenDrains(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  bool RequireOpen(const char* call);
  // The memory of a new record; nullptr where there is no room, or with an exception pending.
  void* ReserveSample(uint32_t size);
  // Takes the reservation of that number out; throws where there is none.
  bool TakeReservation(napi_value number, const char* call, Reservation& taken);
  void Shut();

  std::string subject_;
  UniqueFd map_fd_;
  UniqueUserRing ring_;
  std::unordered_map<uint32_t, Reservation> reservations_;
  uint32_t last_number_ = 0;
};

}  // namespace bpfnode
