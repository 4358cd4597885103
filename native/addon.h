// What the addon keeps for each environment (the main thread, each worker): there are no mutable globals.
#pragma once

#include <napi.h>

#include <memory>

#include "map_scratch.h"

namespace bpfnode {

struct AddonData {
  Napi::FunctionReference failure_factory;
  Napi::FunctionReference object;
  Napi::FunctionReference map;
  Napi::FunctionReference program;
  Napi::FunctionReference link;
  Napi::FunctionReference pump;
  Napi::FunctionReference user_ring;
  // Maps outlive this at the end of an environment, or not.
  std::shared_ptr<MapScratches> scratches = std::make_shared<MapScratches>();

  static AddonData* Of(Napi::Env env) { return env.GetInstanceData<AddonData>(); }
};

}  // namespace bpfnode
