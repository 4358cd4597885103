/** libbpf-node: eBPF for Node.js. */
export { BpfError } from './errors.js'
export type { BpfErrorCode, LibraryErrorCode, SourcePosition, VerifierReport } from './errors.js'
export type { Kernel, RecordBatch } from './kernel.js'
export { IteratorLink } from './iterator-link.js'
export { Link, Links } from './link.js'
export type * from './link-info.js'
export { linkById, linkFromFd, openPinnedLink } from './open-link.js'
export type { OpenLinkOptions } from './open-link.js'
export type { CgroupOptions, CgroupProgramOptions } from './attach/cgroup.js'
export type { IteratorOptions } from './attach/iterator.js'
export type { KprobeMultiOptions, KprobeOptions, KsyscallOptions } from './attach/kernel-probes.js'
export type { LwtOptions, NetfilterHook, NetfilterOptions, NetfilterProtocol } from './attach/network.js'
export type { CookieOption, ProcessOption } from './attach/options.js'
export type { PerfEventNumbers, PerfEventOptions } from './attach/perf-event.js'
export type { SocketOptions, SocketReference, SockmapOptions } from './attach/socket.js'
export type {
  AttachedNeighbour,
  AttachOrder,
  InNamespace,
  InOrder,
  InterfaceReference,
} from './attach/targets.js'
export type { ClsactOptions, NetkitOptions, TcOptions, TcxOptions } from './attach/tc.js'
export type { UprobeMultiOptions, UprobeOptions, UsdtOptions } from './attach/user-probes.js'
export type { XdpNetlinkOptions, XdpOptions } from './attach/xdp.js'
export type { PerfEventName } from './linux/perf-events.js'
export type { ProgramLike } from './program-like.js'
export type { SkippedProgram } from './link.js'
export { createMap, mapById, mapFromFd, openPinnedMap } from './create-map.js'
export type { CreateMapOptions, MapTyping, OpenMapOptions } from './create-map.js'
export { BpfMap } from './map.js'
export type { GetOptions, SetOptions } from './map.js'
export type { MapView } from './map-view.js'
export { openPidfd } from './pidfd.js'
export type { Pidfd } from './pidfd.js'
export { maxOf, sumOf } from './per-cpu.js'
export type { StandaloneMap } from './standalone-map.js'
export type { TypeDescriptor } from './type-descriptor.js'
export { BpfObject } from './object.js'
export { MapSettings } from './map-settings.js'
export type { InnerMap } from './map-settings.js'
export { OpenObject } from './open-object.js'
export { ProgramSettings } from './program-settings.js'
export { open } from './open.js'
export type { OpenOptions } from './open.js'
export type { ObjectSource } from './read-object.js'
export { Program } from './program.js'
export type { AsyncRunOptions, RunOptions, RunResult } from './program-run.js'
export { PerfBuffer } from './perf-buffer.js'
export type { PerfBufferOptions } from './perf-buffer.js'
export { EventReader } from './event-reader.js'
export type { ReaderEvents, StreamOptions } from './event-reader.js'
export type { EventReaderOptions } from './reader-options.js'
export type { DropSource } from './drop-counter.js'
export type { RecordDecoder } from './record-decoder.js'
export { RingBuffer } from './ring-buffer.js'
export type { RingBufferEvents, RingBufferOptions } from './ring-buffer.js'
export { ringBuffers } from './ring-buffers.js'
export type { RingChoice, RingEvent } from './ring-buffers.js'
export { TracePipe } from './trace-pipe.js'
export type { TraceMessage, TracePipeOptions } from './trace-pipe.js'
export { UserRing } from './user-ring.js'
export type { UserRingOptions } from './user-ring.js'
export type { KernelChoice } from './select-kernel.js'
export type { Variables } from './variables.js'
export { introspect, Introspection } from './introspection/introspection.js'
export type { MapUsers, RunTimeCounter, StructOpsFacts } from './introspection/introspection.js'
export type { CgroupAttachment, CgroupOptions as CgroupQueryOptions } from './introspection/cgroup.js'
export type {
  ListedFunction,
  ListedInstruction,
  MachineCode,
  ProgramListing,
} from './introspection/listing.js'
export type {
  NetnsAttachment,
  NetworkAttachments,
  NetworkOptions,
  TcAttachment,
  XdpAttachment,
} from './introspection/network.js'
export type { TaskFileInfo } from './introspection/task-file.js'
export type { Holder } from './kernel-introspection.js'
export type { BtfFacts, MapFacts, ProgramFacts } from './linux/object-info.js'
export type { Answer } from './features/answer.js'
export { features, Features } from './features/features.js'
export type { FeatureReport } from './features/features.js'
export type { SystemFeatures } from './features/system-features.js'
export { explainPrivileges } from './explain-privileges.js'
export type { Explanation, Grants, PrivilegeReport } from './explain-privileges.js'
export type { Capability } from './linux/capabilities.js'
