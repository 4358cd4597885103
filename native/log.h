// What libbpf prints, caught where it is printed.
#pragma once

#include <string>

namespace bpfnode {

// Installs the print callback: process-wide, once. It appends to the LogCapture of the printing thread, if
// any, and touches no JavaScript environment.
void InstallLogCapture();

// Catches libbpf's warnings and information of this thread while it lives, and verifier logs of programs that
// were accepted (libbpf prints those where a log level asks for them). Captures nest; the innermost one
// catches.
class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  LogCapture(LogCapture&&) = delete;
  LogCapture& operator=(LogCapture&&) = delete;

  // Moves out what was caught.
  std::string Take();

 private:
  friend struct LogSink;
  std::string text_;
  LogCapture* outer_;
};

}  // namespace bpfnode
