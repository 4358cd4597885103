/** Attaching a program of Linux where a request says. */
import type { AttachRequest, RequestOf } from '../attach-request.js'
import { BpfError } from '../errors.js'
import type { KernelLink, ProgramInfo } from '../kernel.js'
import { ATTACHMENTS, sectionRequirement } from '../linux/requirements.js'
import { resolveSection } from '../linux/sections.js'
import type { Addon, AddonProgram, AttachSettings } from './addon-types.js'
import { explainAttach } from './attach-failure.js'
import { attachNetwork } from './attach-network.js'
import { TRACING, type ToSettings, type TracingKind } from './attach-tracing.js'
import { NativeLink } from './link.js'
import { grouped } from './link-group.js'
import { OpenTargets } from './network-targets.js'
import { withRequirement } from './refusal.js'

/** @throws BpfError that names the target, and the nearest one where it doesn't exist */
export function attachProgram(
  addon: Addon,
  handle: AddonProgram,
  program: ProgramInfo,
  request: AttachRequest,
): KernelLink {
  return isTracing(request)
    ? attachTracing(handle, program, request)
    : attachNetwork(addon, handle, program, request)
}

function isTracing(request: AttachRequest): request is RequestOf<TracingKind> {
  return Object.hasOwn(TRACING, request.kind)
}

function attachTracing(handle: AddonProgram, program: ProgramInfo, request: RequestOf<TracingKind>): KernelLink {
  const target = describeTracing(request, program)
  using targets = new OpenTargets()
  // Each row takes the request of its own kind, which TypeScript can't see through the union.
  const toSettings = TRACING[request.kind] as ToSettings<RequestOf<TracingKind>>
  const attach = (settings: AttachSettings): KernelLink =>
    new NativeLink(handle.attachTo(request.kind, settings, `link of program '${program.name}' (${target})`), target)
  const settings = toSettings(request, { program, targets })
  try {
    const link = Array.isArray(settings)
      ? grouped(settings as readonly AttachSettings[], attach, target)
      : attach(settings as AttachSettings)
    if (request.kind === 'iter') checkIterator(link, request)
    return link
  } catch (error) {
    const explained = explainAttach(request, error)
    // Where the target is not to blame, it is the process or the kernel.
    throw explained === error ? withAttachRequirement(error, request, program) : explained
  }
}

/** Linux takes the descriptor of a map for the number of a thread, where the iterator walks over tasks: the options share their bytes. */
function checkIterator(link: KernelLink, { map, cgroup, task }: RequestOf<'iter'>): void {
  const info = link.info()
  if (info.type !== 'iter' || info.name === '') return
  const fits =
    (map === undefined || info.mapId !== undefined) &&
    (cgroup === undefined || info.name === 'cgroup') &&
    (task === undefined || info.name.startsWith('task'))
  if (fits) return
  link.close()
  const given = map !== undefined ? 'a map' : cgroup !== undefined ? 'a cgroup' : 'a task'
  throw new BpfError('BAD_VALUE', `${link.target} does not walk over ${given}`, {
    hint: 'iter/bpf_map_elem and iter/bpf_sk_storage_map take a map, iter/cgroup a cgroup, iter/task… a task',
  })
}

/** What of it is missing here: a trace request can be any of several, which the SEC() name tells apart. */
function withAttachRequirement(error: unknown, { kind }: RequestOf<TracingKind>, { section }: ProgramInfo): unknown {
  if (!(error instanceof BpfError)) return error
  const bySection = kind === 'trace' ? sectionRequirement(resolveSection(section)?.prefix ?? '') : undefined
  return withRequirement(error, kind, bySection ?? ATTACHMENTS[kind])
}

/** As a SEC() name would have it. */
function describeTracing(request: RequestOf<TracingKind>, { section }: ProgramInfo): string {
  const ret = 'retprobe' in request && request.retprobe === true
  switch (request.kind) {
    case 'kprobe':
      return `${ret ? 'kretprobe' : 'kprobe'}/${request.function}${request.offset ? `+${request.offset}` : ''}`
    case 'kprobe.multi':
      return `${ret ? 'kretprobe' : 'kprobe'}.multi/${listed(request.functions, 'functions')}`
    case 'ksyscall':
      return `${ret ? 'kretsyscall' : 'ksyscall'}/${request.syscall}`
    case 'uprobe':
      return `${ret ? 'uretprobe' : 'uprobe'}/${request.binary}:${place(request.function, request.offset)}`
    case 'uprobe.multi':
      return `${ret ? 'uretprobe' : 'uprobe'}.multi/${request.binary}:${listed(request.places, 'places')}`
    case 'usdt':
      return `usdt/${request.binary}:${request.provider}:${request.name}`
    case 'tracepoint':
      return `tracepoint/${request.category}/${request.name}`
    case 'rawTracepoint':
      return `raw_tp/${request.name}`
    case 'freplace':
      return request.target === undefined ? section : `freplace/${request.target.function}`
    case 'perfEvent':
      return request.breakpoint === undefined
        ? `perf_event type ${request.type}, config ${request.config}`
        : `perf_event breakpoint at 0x${(request.config1 ?? 0n).toString(16)}`
    case 'trace':
    case 'lsm':
    case 'iter':
      return section
  }
}

function listed(places: string | readonly (string | number)[], noun: string): string {
  if (typeof places === 'string') return places
  return places.length === 1 ? String(places[0]) : `${places.length} ${noun}`
}

function place(name: string | undefined, offset: number): string {
  if (name === undefined) return `0x${offset.toString(16)}`
  return offset === 0 ? name : `${name}+${offset}`
}
