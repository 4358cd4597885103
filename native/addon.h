// What the addon keeps for each environment (the main thread, each worker): there are no mutable globals.
#pragma once

#include <napi.h>

namespace bpfnode {

struct AddonData {
  Napi::FunctionReference failure_factory;
  Napi::FunctionReference object;
  Napi::FunctionReference map;
  Napi::FunctionReference program;
  Napi::FunctionReference link;
  Napi::FunctionReference pump;
  Napi::FunctionReference user_ring;

  static AddonData* Of(Napi::Env env) { return env.GetInstanceData<AddonData>(); }
};

}  // namespace bpfnode
