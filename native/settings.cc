#include "settings.h"

#include <cmath>

#include "arguments.h"
#include "failure.h"

namespace bpfnode {

Napi::Value Settings::Get(const char* name) {
  const Napi::Value value = object_.Get(name);
  // Empty in an environment that is ending.
  if (value.IsEmpty()) ok_ = false;
  return value.IsEmpty() || value.IsNull() ? object_.Env().Undefined() : value;
}

void Settings::Fail(const char* name) {
  ok_ = false;
  Throw(object_.Env(), {call_, 0, name, {}, Reason::kArgument});
}

bool Settings::Has(const char* name) { return !Get(name).IsUndefined(); }

uint32_t Settings::Number(const char* name, uint32_t max) {
  const Napi::Value value = Get(name);
  if (!ok_ || value.IsUndefined()) return 0;
  const auto number = ToUint32(object_.Env(), value, {call_, name}, 0, max);
  if (!number) ok_ = false;
  return number.value_or(0);
}

int32_t Settings::Signed(const char* name) {
  const Napi::Value value = Get(name);
  if (!ok_ || value.IsUndefined()) return 0;
  double number = 0;
  const bool is_number = napi_get_value_double(object_.Env(), value, &number) == napi_ok;
  if (!is_number || !(number >= INT32_MIN && number <= INT32_MAX) || std::floor(number) != number) {
    Fail(name);
    return 0;
  }
  return static_cast<int32_t>(number);
}

int Settings::Fd(const char* name) {
  const Napi::Value value = Get(name);
  if (!ok_ || value.IsUndefined()) return -1;
  return static_cast<int>(Number(name, INT32_MAX));
}

uint64_t Settings::BigInt(const char* name) {
  const Napi::Value value = Get(name);
  if (!ok_ || value.IsUndefined()) return 0;
  bool lossless = false;
  uint64_t number = 0;
  if (napi_get_value_bigint_uint64(object_.Env(), value, &number, &lossless) != napi_ok || !lossless) {
    Fail(name);
  }
  return ok_ ? number : 0;
}

bool Settings::Flag(const char* name) {
  const Napi::Value value = Get(name);
  if (!ok_ || value.IsUndefined()) return false;
  const auto flag = ToBool(object_.Env(), value, {call_, name});
  if (!flag) ok_ = false;
  return flag.value_or(false);
}

std::string Settings::Text(const char* name) {
  const Napi::Value value = Get(name);
  if (!ok_ || value.IsUndefined()) return {};
  const auto text = ToText(object_.Env(), value, {call_, name});
  if (!text) ok_ = false;
  return text.value_or("");
}

std::vector<std::string> Settings::Texts(const char* name) {
  const Napi::Value value = Get(name);
  if (!ok_ || value.IsUndefined()) return {};
  if (!value.IsArray()) {
    Fail(name);
    return {};
  }
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> texts;
  texts.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::HandleScope scope(object_.Env());
    const Napi::Value item = array.Get(i);
    const auto text = item.IsEmpty() ? std::nullopt : ToText(object_.Env(), item, {call_, name});
    if (!text) {
      ok_ = false;
      return {};
    }
    texts.push_back(*text);
  }
  return texts;
}

std::vector<uint64_t> Settings::BigInts(const char* name) {
  const Napi::Value value = Get(name);
  if (!ok_ || value.IsUndefined()) return {};
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  const napi_status status =
      napi_get_typedarray_info(object_.Env(), value, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok || type != napi_biguint64_array) {
    Fail(name);
    return {};
  }
  const auto* numbers = static_cast<const uint64_t*>(data);
  return length == 0 ? std::vector<uint64_t>{} : std::vector<uint64_t>(numbers, numbers + length);
}

}  // namespace bpfnode
