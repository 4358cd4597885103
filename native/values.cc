#include "values.h"

#include <cstring>

namespace bpfnode {

Napi::Value ToUint8Array(Napi::Env env, const void* bytes, size_t size) {
  Napi::Uint8Array result = Napi::Uint8Array::New(env, size);
  if (!result.IsEmpty() && size > 0) memcpy(result.Data(), bytes, size);
  return result;
}

}  // namespace bpfnode
