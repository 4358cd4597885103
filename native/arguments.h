// Arguments from JavaScript, checked: nothing unchecked reaches libbpf.
//
// Each function leaves an exception pending and answers nullopt (or false) where the argument is wrong.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace bpfnode {

// Bytes of a caller's Uint8Array. Sound for the duration of the call only, and only until JavaScript runs
// again.
struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

// The name of a parameter and the call it belongs to, for the failure.
struct Parameter {
  const char* call;
  const char* name;
};

std::optional<Bytes> ToBytes(Napi::Env env, napi_value value, Parameter parameter);

// As ToBytes, but of exactly `size` bytes.
std::optional<Bytes> ToBytesOfSize(Napi::Env env, napi_value value, size_t size, Parameter parameter);

// An integer from `min` to `max`.
std::optional<uint32_t> ToUint32(Napi::Env env, napi_value value, Parameter parameter, uint32_t min = 0,
                                 uint32_t max = UINT32_MAX);

// A descriptor, or -1 for undefined and null.
std::optional<int> ToOptionalFd(Napi::Env env, napi_value value, Parameter parameter);

std::optional<bool> ToBool(Napi::Env env, napi_value value, Parameter parameter);

// Text without a zero in it: C could not tell where it ends.
std::optional<std::string> ToText(Napi::Env env, napi_value value, Parameter parameter);

bool IsNullish(Napi::Env env, napi_value value);

}  // namespace bpfnode
