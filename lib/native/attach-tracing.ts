/** Requests for probes, tracepoints, trampolines, perf events and iterators, as the addon takes them. */
import { readFileSync } from 'node:fs'
import type { AttachKind, AttachRequest, RequestOf } from '../attach-request.js'
import { BpfError } from '../errors.js'
import type { ProgramInfo } from '../kernel.js'
import { BPF_ATTACH_TYPE } from '../linux/attach-types.js'
import { CGROUP_ORDERS } from '../linux/link-types.js'
import type { AttachSettings } from './addon-types.js'
import { noFunction, resolveBinary, withBinary } from './binaries.js'
import { traceableFunctions } from './kernel-functions.js'
import { fdOf } from './native-handle.js'
import type { OpenTargets } from './network-targets.js'
import { didYouMeanHint, matcher, nearestOfMany } from './suggest.js'

/** What a request is resolved with. */
export interface AttachContext {
  readonly program: ProgramInfo
  /** Keeps descriptors open until the attach is done. */
  readonly targets: OpenTargets
}

/** What a request becomes: settings for one attachment, or for several that make one link. */
export type ToSettings<R extends AttachRequest> = (
  request: R,
  context: AttachContext,
) => AttachSettings | readonly AttachSettings[]

export type SettingsOf<K extends AttachKind> = { readonly [Kind in K]: ToSettings<RequestOf<Kind>> }

export type TracingKind =
  | 'kprobe'
  | 'kprobe.multi'
  | 'ksyscall'
  | 'uprobe'
  | 'uprobe.multi'
  | 'usdt'
  | 'tracepoint'
  | 'rawTracepoint'
  | 'trace'
  | 'lsm'
  | 'freplace'
  | 'perfEvent'
  | 'iter'

/** Of perf_event_open(2): wherever the process runs. */
const ANY_CPU = -1

/** The addon's numbers of ways to make a probe. */
const MODES = { legacy: 1, perf: 2, link: 3 } as const

export const TRACING: SettingsOf<TracingKind> = {
  kprobe: ({ function: name, offset = 0, retprobe, cookie, mode }) => ({
    function: name,
    offset: BigInt(offset),
    retprobe,
    cookie,
    mode: mode && MODES[mode],
  }),
  'kprobe.multi': ({ functions, cookies, retprobe }, { program }) => {
    const names = typeof functions === 'string' ? matchingFunctions(functions) : functions
    checkCount('cookies', cookies, names.length, 'functions')
    const session = program.expectedAttachType === BPF_ATTACH_TYPE.TRACE_KPROBE_SESSION
    return { functions: names, cookies: cookies && BigUint64Array.from(cookies), retprobe, session }
  },
  ksyscall: ({ syscall, retprobe, cookie }) => ({ syscall, retprobe, cookie }),
  uprobe: ({ binary, function: name, offset, retprobe, pid, cookie, refCtrOffset = 0, mode }) => {
    const path = resolveBinary(binary)
    const start = name === undefined ? 0 : (offsetsOf(path, [name])[0] ?? 0)
    return {
      path,
      offset: BigInt(start + offset),
      retprobe,
      pid,
      cookie,
      refCtrOffset: BigInt(refCtrOffset),
      mode: mode && MODES[mode],
    }
  },
  'uprobe.multi': ({ binary, places, refCtrOffsets, cookies, retprobe, pid }, { program }) => {
    const path = resolveBinary(binary)
    const offsets = placesIn(path, places)
    checkCount('refCtrOffsets', refCtrOffsets, offsets.length, 'places')
    checkCount('cookies', cookies, offsets.length, 'places')
    return {
      path,
      offsets: BigUint64Array.from(offsets, BigInt),
      refCtrOffsets: refCtrOffsets && BigUint64Array.from(refCtrOffsets, BigInt),
      cookies: cookies && BigUint64Array.from(cookies),
      retprobe,
      pid,
      session: program.expectedAttachType === BPF_ATTACH_TYPE.TRACE_UPROBE_SESSION,
    }
  },
  usdt: ({ binary, provider, name, pid, cookie }) => ({ path: resolveBinary(binary), provider, name, pid, cookie }),
  tracepoint: ({ category, name, cookie }) => ({ category, name, cookie }),
  rawTracepoint: ({ name, cookie }) => ({ name, cookie }),
  trace: ({ cookie }) => ({ cookie }),
  lsm: () => ({}),
  freplace: ({ target }) =>
    target === undefined
      ? {}
      : { target: fdOf(target.program, 'attachFreplace()'), function: target.function },
  perfEvent: ({ type, config, config1, config2, breakpoint, cpus, pid, cgroup, inherit, exclude, precise, sample, cookie }, { targets }) =>
    (cpus ?? (pid === -1 ? onlineCpus() : [ANY_CPU])).map((cpu) => ({
      type,
      config,
      config1,
      config2,
      breakpoint,
      cpu,
      pid,
      cgroupFd: cgroup === undefined ? undefined : targets.cgroup(cgroup),
      inherit,
      excludeKernel: exclude?.kernel,
      excludeUser: exclude?.user,
      excludeHypervisor: exclude?.hypervisor,
      precise,
      byFrequency: 'frequency' in sample,
      sample: 'frequency' in sample ? BigInt(sample.frequency) : sample.period,
      cookie,
    })),
  iter: ({ map, cgroup, task }, { targets }) => ({
    mapFd: map === undefined ? undefined : fdOf(map, 'attachIterator()'),
    cgroupFd: cgroup && targets.cgroup(cgroup.folder),
    order: cgroup && CGROUP_ORDERS.indexOf(cgroup.order),
    ...task,
  }),
}

function matchingFunctions(pattern: string): readonly string[] {
  const all = traceableFunctions()
  const matching = [...all].filter(matcher(pattern))
  if (matching.length > 0) return matching
  const near = nearestOfMany(pattern.replaceAll(/[*?]/g, ''), all)
  throw new BpfError('ENOENT', `No function of this kernel that can be traced matches '${pattern}'`, {
    hint: didYouMeanHint(near) ?? 'Functions are listed in /sys/kernel/tracing/available_filter_functions',
  })
}

function placesIn(path: string, places: RequestOf<'uprobe.multi'>['places']): readonly number[] {
  if (typeof places !== 'string') {
    const [names, offsets] = [places.filter(isText), places.filter((place) => typeof place === 'number')]
    return names.length > 0 ? offsetsOf(path, names) : offsets
  }
  return withBinary(path, (binary) => {
    const all = binary.functions()
    const matches = matcher(places)
    // Aliases of one function are one place.
    const offsets = new Set([...all].filter(([name]) => matches(name)).map(([, offset]) => offset))
    if (offsets.size > 0) return [...offsets]
    throw noFunction(path, places, all.keys())
  })
}

const isText = (value: unknown): value is string => typeof value === 'string'

/** @throws BpfError `ENOENT` with the nearest names */
function offsetsOf(path: string, names: readonly string[]): readonly number[] {
  return withBinary(path, (binary) => {
    const all = binary.functions()
    return names.map((name) => {
      const offset = all.get(name)
      if (offset === undefined) throw noFunction(path, name, all.keys())
      return offset
    })
  })
}

function checkCount(what: string, list: readonly unknown[] | undefined, count: number, of: string): void {
  if (list === undefined || list.length === count) return
  throw new BpfError('BAD_VALUE', `${what} must be as many as ${of}: ${count}, not ${list.length}`)
}

/** Ranges such as `0-3,5`. Source: Documentation/admin-guide/cputopology.rst. */
function onlineCpus(): readonly number[] {
  const text = readFileSync('/sys/devices/system/cpu/online', 'utf8').trim()
  return text.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}
