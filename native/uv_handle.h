// A libuv handle that is closed by going out of scope, and freed when libuv is done with it.
#pragma once

#include <uv.h>

#include <memory>
#include <utility>

namespace bpfnode {

// `T` is uv_poll_t, uv_timer_t, uv_async_t …  What `keep` points to outlives the handle: it is let go in the
// close callback, so that a file descriptor kept there cannot be closed while libuv still watches it.
template <class T>
class UvHandle {
 public:
  UvHandle() = default;
  ~UvHandle() { Close(); }
  UvHandle(const UvHandle&) = delete;
  UvHandle& operator=(const UvHandle&) = delete;
  UvHandle(UvHandle&&) = delete;
  UvHandle& operator=(UvHandle&&) = delete;

  // Calls `init(T*)`, which is to call the uv_*_init function; answers what that answers.
  template <class Init>
  int Open(void* data, std::shared_ptr<void> keep, Init init) {
    auto box = std::make_unique<Box>();
    box->keep = std::move(keep);
    const int status = init(&box->handle);
    // A failed uv_*_init leaves nothing that would have to be closed.
    if (status != 0) return status;
    box->handle.data = data;
    box_ = box.release();
    return 0;
  }

  void Close() {
    if (box_ == nullptr) return;
    Box* box = std::exchange(box_, nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&box->handle), [](uv_handle_t* handle) {
      // The handle is the first member of a standard-layout-compatible Box: see the static_assert.
      delete reinterpret_cast<Box*>(handle);
    });
  }

  [[nodiscard]] T* get() const { return box_ == nullptr ? nullptr : &box_->handle; }
  [[nodiscard]] uv_handle_t* handle() const { return reinterpret_cast<uv_handle_t*>(get()); }

 private:
  struct Box {
    T handle = {};
    std::shared_ptr<void> keep;
  };
  static_assert(std::is_standard_layout_v<Box>, "the handle must be at the start of its box");

  Box* box_ = nullptr;
};

}  // namespace bpfnode
