// Does the kernel take it, does it know it? Programs that are loaded for the answer alone, and the kernel's
// own types.
#pragma once

#include <napi.h>

namespace bpfnode {

// probeProgram(options): { errno, log }; errno 0 where the kernel took the program. Nothing is left of it.
Napi::Value ProbeProgram(const Napi::CallbackInfo& info);

// kernelEnum(name): the enumerators of a type of the kernel, by name; undefined where it has none, or no BTF.
Napi::Value KernelEnum(const Napi::CallbackInfo& info);

// kernelTargetId(name, attachType): the BTF id of a function, hook or tracepoint; 0 where there is none.
Napi::Value KernelTargetId(const Napi::CallbackInfo& info);

// btfTypeName(btf, type): the name of a type in a BTF object of the kernel, by its id; undefined where it
// can't be had.
Napi::Value BtfTypeName(const Napi::CallbackInfo& info);

}  // namespace bpfnode
