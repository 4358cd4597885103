// A map that exists in the kernel, by a file descriptor of its own.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "map_batch.h"
#include "map_scratch.h"
#include "mapping.h"
#include "unique_fd.h"

namespace bpfnode {

// Of Linux 6.9: Debian 12's headers do not have it yet.
inline constexpr uint32_t kMapTypeArena = 33;

class Map : public Napi::ObjectWrap<Map> {
 public:
  static Napi::Function Define(Napi::Env env);

  // The handle for the map behind `fd`, which is duplicated. Empty with an exception pending on failure.
  //
  // `mapped` is where the map's memory is mapped already, and keeps it so; null if it isn't.
  static Napi::Value Create(Napi::Env env, int fd, const std::string& subject, Mapping mapped = {});

  explicit Map(const Napi::CallbackInfo& info);
  ~Map() override;
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;
  Map(Map&&) = delete;
  Map& operator=(Map&&) = delete;

 private:
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Lookup(const Napi::CallbackInfo& info);
  Napi::Value Update(const Napi::CallbackInfo& info);
  Napi::Value Delete(const Napi::CallbackInfo& info);
  Napi::Value NextKey(const Napi::CallbackInfo& info);
  Napi::Value LookupAndDelete(const Napi::CallbackInfo& info);
  Napi::Value Batch(const Napi::CallbackInfo& info);
  Napi::Value BatchAsync(const Napi::CallbackInfo& info);
  Napi::Value Freeze(const Napi::CallbackInfo& info);
  Napi::Value Pin(const Napi::CallbackInfo& info);
  Napi::Value Details(const Napi::CallbackInfo& info);
  Napi::Value Duplicate(const Napi::CallbackInfo& info);
  Napi::Value Fd(const Napi::CallbackInfo& info);
  Napi::Value Scratch(const Napi::CallbackInfo& info);
  Napi::Value Memory(const Napi::CallbackInfo& info);
  Napi::Value OpenRing(const Napi::CallbackInfo& info);
  Napi::Value OpenPerf(const Napi::CallbackInfo& info);
  Napi::Value OpenOverwritable(const Napi::CallbackInfo& info);
  Napi::Value OpenUserRing(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  bool RequireOpen(const char* call);
  // Throws for the errno of a failed call; answers an empty value.
  Napi::Value Fail(const char* call, int error);
  // True for success, false for ENOENT; throws for every other errno.
  Napi::Value Found(int status, const char* call);
  // The key argument; a map without keys (queue, stack, bloom filter) takes none: the kernel wants NULL
  // there.
  std::optional<const void*> Key(napi_value value, const char* call);
  // The arguments of batch() and batchAsync(), checked: (operation, first, cursor, keys, values, count,
  // flags). The buffers hold `count` entries.
  std::optional<BatchRequest> ToBatch(const Napi::CallbackInfo& info);
  void CloseScratch();
  // Bytes that user space may map; 0: none.
  size_t MappedSize() const;
  [[nodiscard]] void* ArenaAddress() const;

  UniqueFd fd_;
  std::string subject_;
  uint32_t id_ = 0;
  uint32_t type_ = 0;
  uint32_t key_size_ = 0;
  uint32_t value_size_ = 0;
  uint32_t max_entries_ = 0;
  uint32_t flags_ = 0;
  // Bytes that the kernel copies for one look-up.
  size_t buffer_size_ = 0;
  // Where the number that scratch() handed out is known; null without one.
  std::shared_ptr<MapScratches> scratches_;
  uint32_t scratch_ = 0;
  Mapping mapped_;
  // The view that memory() handed out, and the mapping as its ArrayBuffer has it.
  std::shared_ptr<Mapping> lent_;
  Napi::Reference<Napi::Uint8Array> memory_;
};

}  // namespace bpfnode
