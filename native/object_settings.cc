#include "object_settings.h"

#include <linux/bpf.h>

#include <cstddef>

namespace bpfnode {
namespace {

constexpr NumberSetting<bpf_map> kMapSettings[] = {
    {"maxEntries", "bpf_map__set_max_entries",
     [](bpf_map* map, uint32_t value) { return bpf_map__set_max_entries(map, value); }, true},
    {"type", "bpf_map__set_type",
     [](bpf_map* map, uint32_t value) { return bpf_map__set_type(map, static_cast<bpf_map_type>(value)); },
     true},
    {"keySize", "bpf_map__set_key_size",
     [](bpf_map* map, uint32_t value) { return bpf_map__set_key_size(map, value); }, true},
    {"valueSize", "bpf_map__set_value_size",
     [](bpf_map* map, uint32_t value) { return bpf_map__set_value_size(map, value); }, true},
    {"flags", "bpf_map__set_map_flags",
     [](bpf_map* map, uint32_t value) { return bpf_map__set_map_flags(map, value); }, false},
    {"numaNode", "bpf_map__set_numa_node",
     [](bpf_map* map, uint32_t value) { return bpf_map__set_numa_node(map, value); }, false},
    {"autocreate", "bpf_map__set_autocreate",
     [](bpf_map* map, uint32_t value) { return bpf_map__set_autocreate(map, value != 0); }, false},
};

constexpr NumberSetting<bpf_program> kProgramSettings[] = {
    {"autoload", "bpf_program__set_autoload",
     [](bpf_program* program, uint32_t value) { return bpf_program__set_autoload(program, value != 0); },
     false},
    {"autoattach", "bpf_program__set_autoattach",
     [](bpf_program* program, uint32_t value) {
       bpf_program__set_autoattach(program, value != 0);
       return 0;
     },
     false},
    {"type", "bpf_program__set_type",
     [](bpf_program* program, uint32_t value) {
       return bpf_program__set_type(program, static_cast<bpf_prog_type>(value));
     },
     false},
    {"expectedAttachType", "bpf_program__set_expected_attach_type",
     [](bpf_program* program, uint32_t value) {
       return bpf_program__set_expected_attach_type(program, static_cast<bpf_attach_type>(value));
     },
     false},
    {"flags", "bpf_program__set_flags",
     [](bpf_program* program, uint32_t value) { return bpf_program__set_flags(program, value); }, false},
    {"logLevel", "bpf_program__set_log_level",
     [](bpf_program* program, uint32_t value) { return bpf_program__set_log_level(program, value); }, false},
};

template <class T, size_t N>
const NumberSetting<T>* Find(const NumberSetting<T> (&settings)[N], const std::string& name) {
  for (const NumberSetting<T>& setting : settings) {
    if (name == setting.name) return &setting;
  }
  return nullptr;
}

}  // namespace

const NumberSetting<bpf_map>* FindMapSetting(const std::string& name) { return Find(kMapSettings, name); }

const NumberSetting<bpf_program>* FindProgramSetting(const std::string& name) {
  return Find(kProgramSettings, name);
}

bool IsLaidOutByLibbpf(const bpf_map* map) {
  return bpf_map__is_internal(map) || bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS;
}

}  // namespace bpfnode
