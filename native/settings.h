// Named settings of a call, read from an object of our own making: it has no getters.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bpfnode {

// The first setting that is wrong leaves an exception pending, and `ok()` false; what is read then is empty.
// So a caller reads all, and asks once. undefined is 0, false or empty, save where a reader says otherwise.
class Settings {
 public:
  Settings(const Napi::Object& object, const char* call) : object_(object), call_(call) {}

  [[nodiscard]] bool ok() const { return ok_; }

  [[nodiscard]] bool Has(const char* name);
  uint32_t Number(const char* name, uint32_t max = UINT32_MAX);
  int32_t Signed(const char* name);
  // -1 for undefined.
  int Fd(const char* name);
  // An unsigned 64-bit bigint.
  uint64_t BigInt(const char* name);
  bool Flag(const char* name);
  std::string Text(const char* name);
  // An array of texts.
  std::vector<std::string> Texts(const char* name);
  // A BigUint64Array: copied.
  std::vector<uint64_t> BigInts(const char* name);

 private:
  Napi::Value Get(const char* name);
  void Fail(const char* name);

  Napi::Object object_;
  const char* call_;
  bool ok_ = true;
};

}  // namespace bpfnode
