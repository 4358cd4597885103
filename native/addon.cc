#include "addon.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdint>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "failure.h"
#include "interfaces.h"
#include "introspection.h"
#include "link.h"
#include "log.h"
#include "map.h"
#include "map_create.h"
#include "netlink.h"
#include "object.h"
#include "probe.h"
#include "program.h"
#include "pump.h"
#include "readers.h"
#include "unique_fd.h"
#include "user_ring.h"

namespace bpfnode {
namespace {

constexpr bool AtLeast(int major, int minor) {
  return LIBBPF_MAJOR_VERSION > major || (LIBBPF_MAJOR_VERSION == major && LIBBPF_MINOR_VERSION >= minor);
}

Napi::Object Version(Napi::Env env, uint32_t major, uint32_t minor) {
  Napi::Object version = Napi::Object::New(env);
  version.Set("major", major);
  version.Set("minor", minor);
  return version;
}

// What the addon was built with. A feature is there when the headers had it: the rest is a clear error above.
Napi::Object Facts(Napi::Env env) {
  const Napi::Object features = Napi::Object::New(env);
  features.Set("tcx", AtLeast(1, 3));
  features.Set("netkit", AtLeast(1, 3));
  features.Set("netfilter", AtLeast(1, 3));
  features.Set("uprobeMulti", AtLeast(1, 3));
  features.Set("ringObjects", AtLeast(1, 3));
  features.Set("structOpsLink", AtLeast(1, 2));
  features.Set("token", AtLeast(1, 4));
  features.Set("ringConsumeN", AtLeast(1, 5));
  features.Set("prepare", AtLeast(1, 6));
  features.Set("programStreams", AtLeast(1, 6));

  Napi::Object facts = Napi::Object::New(env);
  facts.Set("compiledWith", Version(env, LIBBPF_MAJOR_VERSION, LIBBPF_MINOR_VERSION));
  facts.Set("runsWith", Version(env, libbpf_major_version(), libbpf_minor_version()));
#ifdef BPFNODE_STATIC_LIBBPF
  facts.Set("staticLibbpf", true);
#else
  facts.Set("staticLibbpf", false);
#endif
  facts.Set("features", features);
  return facts;
}

Napi::Value SetFailureFactory(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) {
    Throw(info.Env(), {"setFailureFactory", 0, "factory", {}, Reason::kArgument});
    return {};
  }
  AddonData::Of(info.Env())->failure_factory = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Value PossibleCpus(const Napi::CallbackInfo& info) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus > 0) return Napi::Number::New(info.Env(), cpus);
  Throw(info.Env(), {"libbpf_num_possible_cpus", -cpus, "/sys/devices/system/cpu/possible", {}});
  return {};
}

// Creates and closes the smallest array map: answers 0 or the errno that stands in the way of every use.
Napi::Value Probe(const Napi::CallbackInfo& info) {
  const UniqueFd map(
      bpf_map_create(BPF_MAP_TYPE_ARRAY, "probe", sizeof(uint32_t), sizeof(uint32_t), 1, nullptr));
  return Napi::Number::New(info.Env(), map ? 0 : errno);
}

#ifdef __SANITIZE_ADDRESS__
// What LeakSanitizer does as a process ends, for one that will be killed.
void FindLeaks(const Napi::CallbackInfo&) { __lsan_do_recoverable_leak_check(); }
#endif

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  InstallLogCapture();
  auto* data = new AddonData;
  env.SetInstanceData(data);
  data->object = Napi::Persistent(Object::Define(env));
  data->map = Napi::Persistent(Map::Define(env));
  data->program = Napi::Persistent(Program::Define(env));
  data->link = Napi::Persistent(Link::Define(env));
  data->pump = Napi::Persistent(Pump::Define(env));
  data->user_ring = Napi::Persistent(UserRing::Define(env));

  exports.Set("facts", Facts(env));
  exports.Set("setFailureFactory", Napi::Function::New<SetFailureFactory>(env, "setFailureFactory"));
  exports.Set("possibleCpus", Napi::Function::New<PossibleCpus>(env, "possibleCpus"));
  exports.Set("probe", Napi::Function::New<Probe>(env, "probe"));
  data->scratches->Define(env, exports);
  exports.Set("createMap", Napi::Function::New<CreateMap>(env, "createMap"));
  exports.Set("openMapById", Napi::Function::New<OpenMapById>(env, "openMapById"));
  exports.Set("openMapByPin", Napi::Function::New<OpenMapByPin>(env, "openMapByPin"));
  exports.Set("openMapByFd", Napi::Function::New<OpenMapByFd>(env, "openMapByFd"));
  exports.Set("openLinkById", Napi::Function::New<OpenLinkById>(env, "openLinkById"));
  exports.Set("openLinkByPin", Napi::Function::New<OpenLinkByPin>(env, "openLinkByPin"));
  exports.Set("openLinkByFd", Napi::Function::New<OpenLinkByFd>(env, "openLinkByFd"));
  exports.Set("openPidfd", Napi::Function::New<OpenPidfd>(env, "openPidfd"));
  exports.Set("interfaces", Napi::Function::New<Interfaces>(env, "interfaces"));
  exports.Set("nextId", Napi::Function::New<NextId>(env, "nextId"));
  exports.Set("openById", Napi::Function::New<OpenById>(env, "openById"));
  exports.Set("objectInfo", Napi::Function::New<ObjectInfo>(env, "objectInfo"));
  exports.Set("programInfo", Napi::Function::New<ProgramInfo>(env, "programInfo"));
  exports.Set("programCode", Napi::Function::New<ProgramCode>(env, "programCode"));
  exports.Set("btfInfo", Napi::Function::New<BtfInfo>(env, "btfInfo"));
  exports.Set("taskFdQuery", Napi::Function::New<TaskFdQuery>(env, "taskFdQuery"));
  exports.Set("queryPrograms", Napi::Function::New<QueryPrograms>(env, "queryPrograms"));
  exports.Set("enableStats", Napi::Function::New<EnableStats>(env, "enableStats"));
  exports.Set("netlinkDump", Napi::Function::New<NetlinkDump>(env, "netlinkDump"));
  exports.Set("probeProgram", Napi::Function::New<ProbeProgram>(env, "probeProgram"));
  exports.Set("kernelEnum", Napi::Function::New<KernelEnum>(env, "kernelEnum"));
  exports.Set("btfTypeName", Napi::Function::New<BtfTypeName>(env, "btfTypeName"));
  exports.Set("kernelTargetId", Napi::Function::New<KernelTargetId>(env, "kernelTargetId"));
  exports.Set("openLines", Napi::Function::New<OpenLines>(env, "openLines"));
  exports.Set("openObject", Napi::Function::New<Object::Open>(env, "openObject"));
#ifdef __SANITIZE_ADDRESS__
  exports.Set("findLeaks", Napi::Function::New<FindLeaks>(env, "findLeaks"));
#endif
  return exports;
}

}  // namespace
}  // namespace bpfnode

using bpfnode::Init;  // NOLINT(misc-unused-using-decls): the macro pastes the name
NODE_API_MODULE(libbpf_node, Init)
