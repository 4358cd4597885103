// Attachments that are older than links.
#pragma once

#include "attachment.h"

namespace bpfnode {

// Lasts in the kernel until it is taken away, whether or not this process lives: the destructor does that, if
// the attachment is still owned.
class OwnedAttachment : public Attachment {
 public:
  void Disown(bool /*pinned*/) override { owned_ = false; }

 protected:
  [[nodiscard]] bool owned() const { return owned_; }

 private:
  bool owned_ = true;
};

}  // namespace bpfnode
