// Maps without an object: created, or found by id, pin or file descriptor.
#pragma once

#include <napi.h>

namespace bpfnode {

// createMap(attributes, subject)
Napi::Value CreateMap(const Napi::CallbackInfo& info);

// openMapById(id, subject), openMapByPin(path, subject), openMapByFd(fd, subject)
Napi::Value OpenMapById(const Napi::CallbackInfo& info);
Napi::Value OpenMapByPin(const Napi::CallbackInfo& info);
Napi::Value OpenMapByFd(const Napi::CallbackInfo& info);

// openPidfd(pid, subject): a descriptor that the caller closes.
Napi::Value OpenPidfd(const Napi::CallbackInfo& info);

}  // namespace bpfnode
