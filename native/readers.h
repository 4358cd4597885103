// The ways to open a pump: arguments in, a source chosen.
//
// All start with the arguments that Pump::Limits() names; what follows is said with each.
#pragma once

#include <napi.h>

#include <string>

namespace bpfnode {

// (…, furtherFds?): a ring-buffer map; with further maps, given by their descriptors, all on one reader.
Napi::Value OpenRing(const Napi::CallbackInfo& info, int map_fd, const std::string& subject);

// (…, pages, wakeupEvents, watermark, times): a perf event array.
Napi::Value OpenPerf(const Napi::CallbackInfo& info, int map_fd, const std::string& subject,
                     bool overwritable);

// (…): an empty record for each drain of a user ring buffer.
Napi::Value OpenDrains(const Napi::CallbackInfo& info, int map_fd, const std::string& subject);

// (…, fd, subject): lines of a file, which must not block. The descriptor is duplicated.
Napi::Value OpenLines(const Napi::CallbackInfo& info);

}  // namespace bpfnode
