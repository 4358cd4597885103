#include "arguments.h"

#include <cmath>

#include "failure.h"

namespace bpfnode {
namespace {

void ThrowType(Napi::Env env, Parameter parameter) {
  Throw(env, {parameter.call, 0, parameter.name, {}, Reason::kArgument});
}

}  // namespace

std::optional<Bytes> ToBytes(Napi::Env env, napi_value value, Parameter parameter) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  const napi_status status = napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok || type != napi_uint8_array) {
    ThrowType(env, parameter);
    return std::nullopt;
  }
  return Bytes{static_cast<uint8_t*>(data), length};
}

std::optional<Bytes> ToBytesOfSize(Napi::Env env, napi_value value, size_t size, Parameter parameter) {
  const std::optional<Bytes> bytes = ToBytes(env, value, parameter);
  if (!bytes) return std::nullopt;
  if (bytes->size != size) {
    Throw(env, {parameter.call,
                0,
                parameter.name,
                {},
                Reason::kSize,
                static_cast<double>(size),
                static_cast<double>(bytes->size)});
    return std::nullopt;
  }
  return bytes;
}

std::optional<uint32_t> ToUint32(Napi::Env env, napi_value value, Parameter parameter, uint32_t min,
                                 uint32_t max) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) {
    ThrowType(env, parameter);
    return std::nullopt;
  }
  // Written so that NaN fails too.
  if (!(number >= min && number <= max) || std::floor(number) != number) {
    const double limit = number < min ? min : max;
    Throw(env, {parameter.call, 0, parameter.name, {}, Reason::kRange, limit, number});
    return std::nullopt;
  }
  return static_cast<uint32_t>(number);
}

std::optional<int> ToOptionalFd(Napi::Env env, napi_value value, Parameter parameter) {
  if (IsNullish(env, value)) return -1;
  const auto fd = ToUint32(env, value, parameter, 0, INT32_MAX);
  if (!fd) return std::nullopt;
  return static_cast<int>(*fd);
}

std::optional<bool> ToBool(Napi::Env env, napi_value value, Parameter parameter) {
  bool result = false;
  if (napi_get_value_bool(env, value, &result) != napi_ok) {
    ThrowType(env, parameter);
    return std::nullopt;
  }
  return result;
}

std::optional<std::string> ToText(Napi::Env env, napi_value value, Parameter parameter) {
  const Napi::Value text(env, value);
  if (!text.IsString()) {
    ThrowType(env, parameter);
    return std::nullopt;
  }
  std::string result = text.As<Napi::String>().Utf8Value();
  if (result.find('\0') != std::string::npos) {
    ThrowType(env, parameter);
    return std::nullopt;
  }
  return result;
}

bool IsNullish(Napi::Env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  return napi_typeof(env, value, &type) == napi_ok && (type == napi_undefined || type == napi_null);
}

}  // namespace bpfnode
