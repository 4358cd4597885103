// The quickest way to one entry: a key and a value at fixed places, and functions without arguments.
//
// Reading two typed arrays and a number costs more than a fifth of the system call; here nothing is read, and
// what the kernel wants to know is filled in once. Which map is meant stands in memory. The functions are the
// same for all maps, because V8 calls directly only what a place in the code sees one of. All memory is
// C++'s: whatever JavaScript does to the ArrayBuffers, it stays valid as long as anything uses it.
#pragma once

#include <linux/bpf.h>
#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace bpfnode {

// The key from 0 on, the value from `value_offset` on.
class MapScratch {
 public:
  MapScratch(int fd, const std::string& subject, size_t key_size, size_t value_size);

  // 0, or the errno.
  int Lookup();
  int Update();
  int Delete();

  const std::string& subject() const { return subject_; }
  uint8_t* bytes() { return bytes_.get(); }
  size_t value_offset() const { return value_offset_; }
  size_t size() const { return size_; }

 private:
  std::string subject_;
  size_t value_offset_;
  size_t size_;
  std::unique_ptr<uint8_t[]> bytes_;  // NOLINT(modernize-avoid-c-arrays)
  bpf_attr attributes_;
};

// The open maps of an environment, by number. 0 is none.
class MapScratches {
 public:
  // Adds chosenScratch, a Uint32Array of one number, and the functions lookupScratch(), updateScratch() and
  // deleteScratch() to the addon. Look-up and delete answer undefined if the key is there, false if not.
  // `this` outlives them.
  void Define(Napi::Env env, Napi::Object& exports);

  uint32_t Add(std::shared_ptr<MapScratch> scratch);
  void Remove(uint32_t number);

  // Null if the chosen number stands for no open map.
  MapScratch* Chosen() const { return chosen_ < scratches_.size() ? scratches_[chosen_].get() : nullptr; }

 private:
  std::vector<std::shared_ptr<MapScratch>> scratches_ = {nullptr};
  std::vector<uint32_t> free_;
  // Written by JavaScript.
  uint32_t chosen_ = 0;
};

// The memory as JavaScript sees it. Empty where the runtime has no external buffers.
Napi::Value ScratchBytes(Napi::Env env, const std::shared_ptr<MapScratch>& scratch);

}  // namespace bpfnode
