#include "probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "arguments.h"
#include "failure.h"
#include "log.h"
#include "unique_fd.h"

namespace bpfnode {
namespace {

constexpr const char* kLoad = "bpf(BPF_PROG_LOAD)";
// Probes are tiny: what is larger is no probe.
constexpr size_t kMaxInstructions = 64;
constexpr size_t kLogBytes = 16 << 10;

struct FreeBtf {
  void operator()(btf* types) const { btf__free(types); }
};
using UniqueBtf = std::unique_ptr<btf, FreeBtf>;

}  // namespace

Napi::Value ProbeProgram(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject()) {
    Throw(env, {kLoad, 0, "options", {}, Reason::kArgument});
    return {};
  }
  const auto options = info[0].As<Napi::Object>();
  const auto number = [&](const char* name) { return ToUint32(env, options.Get(name), {kLoad, name}); };
  const auto type = number("type");
  if (!type) return {};
  const auto attach_type = number("expectedAttachType");
  if (!attach_type) return {};
  const auto flags = number("flags");
  if (!flags) return {};
  const auto target = number("attachBtfId");
  if (!target) return {};
  const auto license = ToText(env, options.Get("license"), {kLoad, "license"});
  if (!license) return {};
  const auto code = ToBytes(env, options.Get("code"), {kLoad, "code"});
  if (!code) return {};
  if (code->size == 0 || code->size % sizeof(bpf_insn) != 0 ||
      code->size > kMaxInstructions * sizeof(bpf_insn)) {
    Throw(env, {kLoad, 0, "code", {}, Reason::kSize, sizeof(bpf_insn), static_cast<double>(code->size)});
    return {};
  }
  std::array<bpf_insn, kMaxInstructions> instructions = {};
  memcpy(instructions.data(), code->data, code->size);
  std::array<char, kLogBytes> log = {};
  LIBBPF_OPTS(bpf_prog_load_opts, load);
  load.expected_attach_type = static_cast<bpf_attach_type>(*attach_type);
  load.attach_btf_id = *target;
  load.prog_flags = *flags;
  load.log_level = 1;
  load.log_size = log.size();
  load.log_buf = log.data();
  const UniqueFd program(bpf_prog_load(static_cast<bpf_prog_type>(*type), nullptr, license->c_str(),
                                       instructions.data(), code->size / sizeof(bpf_insn), &load));
  const int error = program ? 0 : errno;
  Napi::Object result = Napi::Object::New(env);
  result.Set("errno", error);
  result.Set("log", std::string(log.data(), strnlen(log.data(), log.size())));
  return result;
}

Napi::Value KernelEnum(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto name = ToText(env, info[0], {"btf__load_vmlinux_btf", "name"});
  if (!name) return {};
  const LogCapture quiet;
  const UniqueBtf types(btf__load_vmlinux_btf());
  if (!types) return env.Undefined();
  const int id = btf__find_by_name_kind(types.get(), name->c_str(), BTF_KIND_ENUM);
  if (id < 0) return env.Undefined();
  const btf_type* type = btf__type_by_id(types.get(), static_cast<__u32>(id));
  const struct btf_enum* value = btf_enum(type);
  Napi::Object result = Napi::Object::New(env);
  for (uint32_t i = 0; i < btf_vlen(type); i++, value++) {
    const char* enumerator = btf__name_by_offset(types.get(), value->name_off);
    if (enumerator != nullptr) result.Set(enumerator, value->val);
  }
  return result;
}

Napi::Value KernelTargetId(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "libbpf_find_vmlinux_btf_id";
  const auto name = ToText(info.Env(), info[0], {kCall, "name"});
  if (!name) return {};
  const auto attach_type = ToUint32(info.Env(), info[1], {kCall, "attachType"});
  if (!attach_type) return {};
  const LogCapture quiet;
  const int id = libbpf_find_vmlinux_btf_id(name->c_str(), static_cast<bpf_attach_type>(*attach_type));
  return Napi::Number::New(info.Env(), id > 0 ? id : 0);
}

Napi::Value BtfTypeName(const Napi::CallbackInfo& info) {
  constexpr const char* kCall = "btf__load_from_kernel_by_id";
  const Napi::Env env = info.Env();
  const auto id = ToUint32(env, info[0], {kCall, "btf"});
  if (!id) return {};
  const auto type_id = ToUint32(env, info[1], {kCall, "type"});
  if (!type_id) return {};
  const LogCapture quiet;
  // The types of a module continue the kernel's, which must outlive them.
  UniqueBtf base;
  UniqueBtf types(btf__load_from_kernel_by_id(*id));
  if (!types || btf__type_by_id(types.get(), *type_id) == nullptr) {
    base.reset(btf__load_vmlinux_btf());
    types.reset(base ? btf__load_from_kernel_by_id_split(*id, base.get()) : nullptr);
  }
  const btf_type* type = types ? btf__type_by_id(types.get(), *type_id) : nullptr;
  const char* name = type == nullptr ? nullptr : btf__name_by_offset(types.get(), type->name_off);
  return name == nullptr ? env.Undefined() : Napi::String::New(env, name);
}

}  // namespace bpfnode
