// What the kernel knows of programs, maps, links and BTF, and of what is attached where.
//
// Structs of the kernel go up as bytes: lib/linux/ knows their members, also those that are newer than the
// headers here.
#pragma once

#include <napi.h>

namespace bpfnode {

// nextId(kind, after): the id of the next program (0), map (1), BTF (2) or link (3); undefined at the end.
Napi::Value NextId(const Napi::CallbackInfo& info);

// openById(kind, id, subject): a descriptor, which the caller closes.
Napi::Value OpenById(const Napi::CallbackInfo& info);

// objectInfo(fd, subject): the kernel's info struct, without what its pointers would point to.
Napi::Value ObjectInfo(const Napi::CallbackInfo& info);

// programInfo(fd, subject): { info, mapIds }.
Napi::Value ProgramInfo(const Napi::CallbackInfo& info);

// programCode(fd, subject): instructions and what belongs to them.
Napi::Value ProgramCode(const Napi::CallbackInfo& info);

// btfInfo(fd, bytes, subject): { info, name, bytes? }; the blob only where `bytes` is true.
Napi::Value BtfInfo(const Napi::CallbackInfo& info);

// taskFdQuery(pid, fd, subject): what a perf event or raw tracepoint of a process runs; undefined: nothing.
Napi::Value TaskFdQuery(const Napi::CallbackInfo& info);

// queryPrograms(target, attachType, queryFlags, details, netnsFd | undefined, subject): the programs that are
// attached to a cgroup, namespace or interface.
Napi::Value QueryPrograms(const Napi::CallbackInfo& info);

// enableStats(): a descriptor; run-time statistics are on until it is closed.
Napi::Value EnableStats(const Napi::CallbackInfo& info);

}  // namespace bpfnode
