#include "skeleton.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "log.h"

namespace bpfnode {
namespace {

// An anonymous file with these bytes: libbpf takes BTF by path only. Empty with errno set on failure.
UniqueFd FileOf(const std::vector<uint8_t>& bytes) {
  UniqueFd file(memfd_create("libbpf-node-btf", MFD_CLOEXEC));
  size_t written = 0;
  while (file && written < bytes.size()) {
    const ssize_t count = write(file.get(), bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return {};
    written += static_cast<size_t>(count);
  }
  return file;
}

const char* OrNull(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

}  // namespace

std::shared_ptr<Skeleton> Skeleton::Open(const std::vector<uint8_t>& image, const OpenSettings& settings,
                                         int& error) {
  // libbpf takes a null pointer, which an empty vector has, for "open the file of that name instead".
  if (image.empty()) {
    error = EINVAL;
    return nullptr;
  }
  auto self = std::make_shared<Skeleton>();
  LIBBPF_OPTS(bpf_object_open_opts, options);
  options.object_name = settings.name.c_str();
  options.pin_root_path = OrNull(settings.pin_root_path);
  options.kconfig = OrNull(settings.kconfig);
  options.kernel_log_level = settings.kernel_log_level;
#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 4
  if (settings.token_path) options.bpf_token_path = settings.token_path->c_str();
#endif
  // libbpf copies the path, and reads the file when the object is loaded.
  std::string btf_path;
  if (!settings.btf.empty()) {
    UniqueFd file = FileOf(settings.btf);
    if (!file) {
      error = errno;
      return nullptr;
    }
    btf_path = "/proc/self/fd/" + std::to_string(file.get());
    options.btf_custom_path = btf_path.c_str();
    self->KeepUntilLoaded(std::move(file));
  }

  bpf_object_skeleton& skeleton = self->skeleton_;
  skeleton.sz = sizeof(skeleton);
  skeleton.name = settings.name.c_str();
  skeleton.data = image.data();
  skeleton.data_sz = image.size();
  skeleton.obj = &self->object_;
  skeleton.map_skel_sz = sizeof(bpf_map_skeleton);
  skeleton.prog_skel_sz = sizeof(bpf_prog_skeleton);
  // Opened without entries, which would have to be named beforehand: what is in the object is listed
  // afterwards.
  error = -bpf_object__open_skeleton(&skeleton, &options);
  skeleton.name = nullptr;
  skeleton.data = nullptr;
  skeleton.data_sz = 0;
  if (error != 0) return nullptr;

  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, self->object_) self->maps_.push_back(map);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, self->object_) self->programs_.push_back(program);

  const size_t count = self->programs_.size();
  self->links_.resize(count);
  self->entries_.resize(count);
  for (size_t i = 0; i < count; i++) {
    bpf_prog_skeleton& entry = self->entries_[i];
    entry.name = bpf_program__name(self->programs_[i]);
    entry.prog = &self->programs_[i];
    entry.link = &self->links_[i];
  }
  skeleton.prog_cnt = static_cast<int>(count);
  skeleton.progs = self->entries_.data();
  // No maps: libbpf would map the memory of global data into its own life. Map::Memory() maps it into that of
  // the ArrayBuffer. See docs/decisions.
  return self;
}

Skeleton::~Skeleton() {
  if (object_ == nullptr) return;
  bpf_object__detach_skeleton(&skeleton_);
  if (holds_kernel_types_) FreeKernelTypes();
  bpf_object__close(object_);
}

// libbpf frees them (some 5 MB) at the end of a load, and older ones only there: so nothing is loaded.
void Skeleton::FreeKernelTypes() {
  const LogCapture unheard;
  for (bpf_program* program : programs_) bpf_program__set_autoload(program, false);
  for (bpf_map* map : maps_) bpf_map__set_autocreate(map, false);
  bpf_object__load(object_);
}

int Skeleton::Load() {
  holds_kernel_types_ = false;
  const int status = bpf_object__load_skeleton(&skeleton_);
  kept_.clear();
  return -status;
}

int Skeleton::Attach() {
  const int status = bpf_object__attach_skeleton(&skeleton_);
  if (status != 0) bpf_object__detach_skeleton(&skeleton_);
  return -status;
}

UniqueLink Skeleton::TakeLink(size_t index) { return UniqueLink(std::exchange(links_[index], nullptr)); }

}  // namespace bpfnode
