// How maps and programs of an opened object are configured: libbpf's setters by the name of what they set.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <string>

namespace bpfnode {

template <class T>
struct NumberSetting {
  // As TypeScript names it.
  const char* name;
  // libbpf's function.
  const char* call;
  // Answers 0 or a negative errno.
  int (*set)(T* item, uint32_t value);
  // Whether it changes the layout of the map's memory or entries.
  bool shapes;
};

// nullptr for an unknown name.
const NumberSetting<bpf_map>* FindMapSetting(const std::string& name);
const NumberSetting<bpf_program>* FindProgramSetting(const std::string& name);

// Whether libbpf itself lays out the values of a map: global data and struct_ops. It trusts the sizes of
// these: other ones would have it read and unmap what it does not own.
bool IsLaidOutByLibbpf(const bpf_map* map);

}  // namespace bpfnode
