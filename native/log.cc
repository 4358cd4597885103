#include "log.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>

namespace bpfnode {
namespace {

thread_local LogCapture* innermost = nullptr;

// A verifier log may have 16 MiB; more than this is of no use to anybody.
constexpr size_t kMaxLog = size_t{32} << 20;

// Of libbpf's debug messages, one kind is of use: the verifier's log of a program that was accepted.
bool IsWanted(enum libbpf_print_level level, const char* format) {
  return level != LIBBPF_DEBUG || strstr(format, "BEGIN PROG LOAD LOG") != nullptr;
}

}  // namespace

struct LogSink {
  static int Print(enum libbpf_print_level level, const char* format, va_list args) {
    if (innermost == nullptr || !IsWanted(level, format)) return 0;
    std::string& text = innermost->text_;

    va_list measuring;
    va_copy(measuring, args);
    const int length = vsnprintf(nullptr, 0, format, measuring);
    va_end(measuring);
    if (length <= 0 || text.size() + static_cast<size_t>(length) > kMaxLog) return 0;

    const size_t start = text.size();
    // vsnprintf ends with a zero, for which there is room until the resize below.
    text.resize(start + static_cast<size_t>(length) + 1);
    vsnprintf(&text[start], static_cast<size_t>(length) + 1, format, args);
    text.resize(start + static_cast<size_t>(length));
    return length;
  }
};

void InstallLogCapture() {
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(LogSink::Print); });
}

LogCapture::LogCapture() : outer_(innermost) { innermost = this; }

LogCapture::~LogCapture() { innermost = outer_; }

std::string LogCapture::Take() { return std::exchange(text_, {}); }

}  // namespace bpfnode
