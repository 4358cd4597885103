/** What Linux tells of a link, read from the bytes of `struct bpf_link_info`. */
import type { LinkInfo, PerfEventInfo } from '../link-info.js'
import { attachTypeName } from '../linux/attach-types.js'
import { CGROUP_ORDERS, LINK_TYPES, MULTI_RETURN, PERF_LINK_EVENTS, type LinkTypeName } from '../linux/link-types.js'
import { structView, type StructView } from '../linux/struct-view.js'
import type { RawLinkInfo } from './addon-types.js'

/** Where the union by link type starts. */
const UNION = 16

interface Base {
  readonly id: number
  readonly programId: number
}

type Reader = (view: StructView, raw: RawLinkInfo, base: Base) => LinkInfo

/** Cookies are 0 where none was given, and where the kernel is too old to tell. */
const cookieAt = (view: StructView, offset: number): bigint | undefined => view.u64(offset) || undefined

const READERS: Readonly<Record<LinkTypeName, Reader>> = {
  unspec: (view, _, base) => ({ type: 'unknown', ...base, number: view.u32(0) }),
  raw_tracepoint: (view, { name }, base) => ({
    type: 'raw_tracepoint',
    ...base,
    name,
    cookie: cookieAt(view, UNION + 16),
  }),
  tracing: (view, _, base) => ({
    type: 'tracing',
    ...base,
    attachType: attachTypeName(view.u32(UNION)),
    targetObjectId: view.u32(UNION + 4),
    targetBtfId: view.u32(UNION + 8),
    cookie: cookieAt(view, UNION + 16),
  }),
  cgroup: (view, _, base) => ({
    type: 'cgroup',
    ...base,
    cgroupId: view.u64(UNION),
    attachType: attachTypeName(view.u32(UNION + 8)),
  }),
  iter: (view, { name }, base) => ({ type: 'iter', ...base, name, ...iteratorTarget(view, name) }),
  netns: (view, _, base) => ({
    type: 'netns',
    ...base,
    netnsInode: view.u32(UNION),
    attachType: attachTypeName(view.u32(UNION + 4)),
  }),
  xdp: (view, _, base) => ({ type: 'xdp', ...base, ifindex: view.u32(UNION) }),
  perf_event: (view, { name }, base) => ({ type: 'perf_event', ...base, event: perfEvent(view, name) }),
  kprobe_multi: (view, { addresses, cookies }, base) => ({
    type: 'kprobe_multi',
    ...base,
    addresses,
    cookies: cookies.some((cookie) => cookie !== 0n) ? cookies : [],
    retprobe: (view.u32(UNION + 12) & MULTI_RETURN) !== 0,
    missed: view.u64(UNION + 16),
  }),
  struct_ops: (view, _, base) => ({ type: 'struct_ops', ...base, mapId: view.u32(UNION) }),
  netfilter: (view, _, base) => ({
    type: 'netfilter',
    ...base,
    protocolFamily: view.u32(UNION),
    hook: view.u32(UNION + 4),
    priority: view.i32(UNION + 8),
    flags: view.u32(UNION + 12),
  }),
  tcx: interfaceReader('tcx'),
  uprobe_multi: (view, { name, offsets, refCtrOffsets, cookies }, base) => ({
    type: 'uprobe_multi',
    ...base,
    path: name,
    offsets,
    refCtrOffsets,
    cookies: cookies.some((cookie) => cookie !== 0n) ? cookies : [],
    retprobe: (view.u32(UNION + 40) & MULTI_RETURN) !== 0,
    pid: view.u32(UNION + 44),
  }),
  netkit: interfaceReader('netkit'),
  sockmap: (view, _, base) => ({
    type: 'sockmap',
    ...base,
    mapId: view.u32(UNION),
    attachType: attachTypeName(view.u32(UNION + 4)),
  }),
}

/** What the kernel says. */
export function readLinkInfo(raw: RawLinkInfo): LinkInfo {
  const view = structView(raw.info)
  const base = { id: view.u32(4), programId: view.u32(8) }
  return READERS[LINK_TYPES[view.u32(0)] ?? 'unspec'](view, raw, base)
}

function interfaceReader(type: 'tcx' | 'netkit'): Reader {
  return (view, _, base) => ({
    type,
    ...base,
    ifindex: view.u32(UNION),
    attachType: attachTypeName(view.u32(UNION + 4)),
  })
}

type IteratorTarget = Pick<Extract<LinkInfo, { type: 'iter' }>, 'mapId' | 'cgroup' | 'task'>

function iteratorTarget(view: StructView, name: string): IteratorTarget {
  const none: IteratorTarget = { mapId: undefined, cgroup: undefined, task: undefined }
  if (name === 'bpf_map_elem' || name === 'bpf_sk_storage_map') return { ...none, mapId: view.u32(UNION + 12) }
  if (name === 'cgroup') {
    const order = CGROUP_ORDERS[view.u32(UNION + 24)] ?? 'unspec'
    return { ...none, cgroup: { id: view.u64(UNION + 16), order } }
  }
  if (name.startsWith('task')) {
    return { ...none, task: { tid: view.u32(UNION + 16), pid: view.u32(UNION + 20) } }
  }
  return none
}

function perfEvent(view: StructView, name: string): PerfEventInfo | undefined {
  const kind = PERF_LINK_EVENTS[view.u32(UNION)] ?? 'unspec'
  const cookie = cookieAt(view, UNION + (kind.startsWith('k') ? 40 : 24))
  switch (kind) {
    case 'uprobe':
    case 'uretprobe':
      return { kind, path: name, offset: view.u32(UNION + 20), cookie, refCtrOffset: cookieAt(view, UNION + 32) }
    case 'kprobe':
    case 'kretprobe':
      return {
        kind,
        function: name,
        offset: view.u32(UNION + 20),
        address: view.u64(UNION + 24),
        missed: view.u64(UNION + 32),
        cookie,
      }
    case 'tracepoint':
      return { kind, name, cookie }
    case 'event':
      return { kind, eventType: view.u32(UNION + 16), config: view.u64(UNION + 8), cookie }
    case 'unspec':
      return undefined
  }
}
