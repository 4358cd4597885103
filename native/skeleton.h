// An object in libbpf's hands, through libbpf's skeleton calls: opened, loaded and attached as a whole.
#pragma once

#include <bpf/libbpf.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "handles.h"
#include "unique_fd.h"

namespace bpfnode {

// What an object is opened with. Text is empty where libbpf's default is meant.
struct OpenSettings {
  std::string name;
  std::string pin_root_path;
  // Lines CONFIG_NAME=VALUE: they count before what the system says.
  std::string kconfig;
  // Where to find bpffs, to make a BPF token of. Empty: the environment's LIBBPF_BPF_TOKEN_PATH, or none.
  std::optional<std::string> token_path;
  // A BTF blob, or an ELF file with one, in place of the running kernel's for CO-RE; empty: none.
  std::vector<uint8_t> btf;
  uint32_t kernel_log_level = 0;
};

class Skeleton {
 public:
  // nullptr on failure, with a positive errno in `error`. `image` is not needed any more afterwards.
  static std::shared_ptr<Skeleton> Open(const std::vector<uint8_t>& image, const OpenSettings& settings,
                                        int& error);

  Skeleton() = default;
  ~Skeleton();
  Skeleton(const Skeleton&) = delete;
  Skeleton& operator=(const Skeleton&) = delete;
  Skeleton(Skeleton&&) = delete;
  Skeleton& operator=(Skeleton&&) = delete;

  // The object, which lives as long as anybody holds the answer.
  static SharedObject ObjectOf(const std::shared_ptr<Skeleton>& skeleton) {
    return {skeleton, skeleton->object_};
  }

  [[nodiscard]] const std::vector<bpf_map*>& maps() const { return maps_; }
  [[nodiscard]] const std::vector<bpf_program*>& programs() const { return programs_; }

  // Each answers 0 or a positive errno.
  int Load();
  // Attaches every program that is loaded and whose section says where. If one cannot be attached, those
  // before it are detached again.
  int Attach();
  // The link that Attach() made for the program at `index`, if it made one. Whoever takes it owns it.
  UniqueLink TakeLink(size_t index);

  // Keeps a descriptor open that libbpf was given and does not duplicate: until the object is loaded.
  void KeepUntilLoaded(UniqueFd fd) { kept_.push_back(std::move(fd)); }
  // To be called before libbpf is made to read the types of the running kernel, save by Load(), which frees
  // them.
  void WillReadKernelTypes() { holds_kernel_types_ = true; }

 private:
  void FreeKernelTypes();

  bpf_object_skeleton skeleton_ = {};
  bpf_object* object_ = nullptr;
  std::vector<bpf_map*> maps_;
  std::vector<bpf_program*> programs_;
  // Where libbpf's skeleton points to; all of one length, and never resized once it points there.
  std::vector<bpf_prog_skeleton> entries_;
  std::vector<bpf_link*> links_;
  std::vector<UniqueFd> kept_;
  bool holds_kernel_types_ = false;
};

}  // namespace bpfnode
