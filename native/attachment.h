// What holds a program in its place: a link of libbpf, a descriptor of a BPF link, or something older than
// links.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "handles.h"
#include "unique_fd.h"

namespace bpfnode {

// Whether a descriptor is that of a BPF link: any BPF descriptor answers BPF_OBJ_GET_INFO_BY_FD, each with a
// struct of its own.
bool IsLink(int fd);

// Numbers that Linux chose for an attachment which is no BPF link.
using AttachmentFacts = std::vector<std::pair<const char*, uint32_t>>;

// Detaches when it is destroyed, unless it was disowned.
class Attachment {
 public:
  Attachment() = default;
  virtual ~Attachment() = default;
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;
  Attachment(Attachment&&) = delete;
  Attachment& operator=(Attachment&&) = delete;

  // The descriptor of a BPF link, which stays the attachment's; negative if it is none.
  [[nodiscard]] virtual int LinkFd() const { return -1; }

  [[nodiscard]] virtual AttachmentFacts Facts() const { return {}; }

  // libbpf's link; null if it isn't one of libbpf's.
  [[nodiscard]] virtual bpf_link* LibbpfLink() const { return nullptr; }

  // Destroying it doesn't detach any more. `pinned`: a name in a BPF file system holds it; else the
  // descriptors that hold it are left open until the process ends.
  virtual void Disown(bool pinned) = 0;
};

using UniqueAttachment = std::unique_ptr<Attachment>;

// A link that libbpf made. Shares the ownership of `object`: some of them (USDT, struct_ops) point into it.
class LibbpfAttachment : public Attachment {
 public:
  LibbpfAttachment(SharedObject object, UniqueLink link)
      : object_(std::move(object)), link_(std::move(link)) {}

  [[nodiscard]] int LinkFd() const override;
  [[nodiscard]] bpf_link* LibbpfLink() const override { return link_.get(); }
  void Disown(bool pinned) override;

 private:
  // Declared first, so destroyed last: the link points into it.
  SharedObject object_;
  UniqueLink link_;
};

// A BPF link by its descriptor.
class FdAttachment : public Attachment {
 public:
  explicit FdAttachment(UniqueFd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] int LinkFd() const override { return fd_.get(); }
  void Disown(bool pinned) override;

 private:
  UniqueFd fd_;
};

}  // namespace bpfnode
