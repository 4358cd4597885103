#include "object_spec.h"

#include <cstdint>

#include "arguments.h"
#include "failure.h"

namespace bpfnode {
namespace {

// A property of the settings, or an undefined value.
Napi::Value Option(const Napi::Object& options, const char* name) { return options.Get(name); }

// Text that may be missing: empty then. nullopt with an exception pending where it is no text.
std::optional<std::string> ToOptionalText(Napi::Env env, napi_value value, Parameter parameter) {
  if (IsNullish(env, value)) return std::string{};
  return ToText(env, value, parameter);
}

}  // namespace

Napi::Object MapSpec(Napi::Env env, bpf_map* map) {
  Napi::Object spec = Napi::Object::New(env);
  spec.Set("name", bpf_map__name(map));
  spec.Set("internal", bpf_map__is_internal(map));
  spec.Set("type", static_cast<uint32_t>(bpf_map__type(map)));
  spec.Set("keySize", bpf_map__key_size(map));
  spec.Set("valueSize", bpf_map__value_size(map));
  spec.Set("maxEntries", bpf_map__max_entries(map));
  spec.Set("flags", bpf_map__map_flags(map));
  spec.Set("numaNode", bpf_map__numa_node(map));
  const auto extra = uint64_t{bpf_map__map_extra(map)};
  if (extra != 0) spec.Set("mapExtra", Napi::BigInt::New(env, extra));
  spec.Set("autocreate", bpf_map__autocreate(map));
  const char* pin_path = bpf_map__pin_path(map);
  if (pin_path != nullptr) spec.Set("pinPath", pin_path);
  bpf_map* inner = bpf_map__inner_map(map);
  if (inner != nullptr) spec.Set("inner", MapSpec(env, inner));
  return spec;
}

Napi::Object ProgramSpec(Napi::Env env, const bpf_program* program) {
  Napi::Object spec = Napi::Object::New(env);
  spec.Set("name", bpf_program__name(program));
  spec.Set("section", bpf_program__section_name(program));
  spec.Set("type", static_cast<uint32_t>(bpf_program__type(program)));
  spec.Set("expectedAttachType", static_cast<uint32_t>(bpf_program__expected_attach_type(program)));
  spec.Set("flags", bpf_program__flags(program));
  spec.Set("logLevel", bpf_program__log_level(program));
  spec.Set("autoload", bpf_program__autoload(program));
  spec.Set("autoattach", bpf_program__autoattach(program));
  return spec;
}

std::optional<OpenSettings> ToOpenSettings(Napi::Env env, napi_value value, const char* call) {
  const Napi::Value argument(env, value);
  if (!argument.IsObject()) {
    Throw(env, {call, 0, "settings", {}, Reason::kArgument});
    return std::nullopt;
  }
  const auto options = argument.As<Napi::Object>();
  OpenSettings settings;
  const auto name = ToText(env, Option(options, "name"), {call, "name"});
  if (!name) return std::nullopt;
  settings.name = *name;
  const auto pin_root_path = ToOptionalText(env, Option(options, "pinRootPath"), {call, "pinRootPath"});
  if (!pin_root_path) return std::nullopt;
  settings.pin_root_path = *pin_root_path;
  const auto kconfig = ToOptionalText(env, Option(options, "kconfig"), {call, "kconfig"});
  if (!kconfig) return std::nullopt;
  settings.kconfig = *kconfig;
  const Napi::Value token_path = Option(options, "bpfTokenPath");
  if (!IsNullish(env, token_path)) {
#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 4
    settings.token_path = ToText(env, token_path, {call, "bpfTokenPath"});
    if (!settings.token_path) return std::nullopt;
#else
    Throw(env, {call,
                0,
                "BPF tokens, for which the addon must be built with libbpf 1.4 or newer",
                {},
                Reason::kUnsupported});
    return std::nullopt;
#endif
  }
  const Napi::Value btf = Option(options, "btf");
  if (!IsNullish(env, btf)) {
    const auto bytes = ToBytes(env, btf, {call, "btf"});
    if (!bytes) return std::nullopt;
    settings.btf.assign(bytes->data, bytes->data + bytes->size);
  }
  const Napi::Value log_level = Option(options, "kernelLogLevel");
  if (!IsNullish(env, log_level)) {
    const auto level = ToUint32(env, log_level, {call, "kernelLogLevel"});
    if (!level) return std::nullopt;
    settings.kernel_log_level = *level;
  }
  return settings;
}

std::string Subject(const bpf_map* map) { return std::string("map '") + bpf_map__name(map) + "'"; }
std::string Subject(const bpf_program* program, const char* what) {
  return std::string(what) + " '" + bpf_program__name(program) + "'";
}

}  // namespace bpfnode
