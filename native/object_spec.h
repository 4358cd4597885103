// What is said of an object before it is loaded: its maps and programs as they are set, and what it is opened
// with.
#pragma once

#include <bpf/libbpf.h>
#include <napi.h>

#include <optional>
#include <string>

#include "skeleton.h"

namespace bpfnode {

Napi::Object MapSpec(Napi::Env env, bpf_map* map);
Napi::Object ProgramSpec(Napi::Env env, const bpf_program* program);

// nullopt with an exception pending where one of the settings is wrong.
std::optional<OpenSettings> ToOpenSettings(Napi::Env env, napi_value value, const char* call);

// What failures call them.
std::string Subject(const bpf_map* map);
std::string Subject(const bpf_program* program, const char* what = "program");

}  // namespace bpfnode
