/** What SEC() names say of where a program is attached, as the requests that say the same. */
import type { RequestOf } from '../attach-request.js'
import type { ProgramSpec } from '../kernel.js'
import { resolveSection } from '../linux/sections.js'
import { explainAttach } from './attach-failure.js'
import type { TracingKind } from './attach-tracing.js'
import { isPattern } from './suggest.js'

type TracingRequest = RequestOf<TracingKind>

/** By the name in front of the target, without `.s`; undefined for a target that is malformed. */
const REQUESTS: Readonly<Record<string, (target: string) => TracingRequest | undefined>> = {
  kprobe: (target) => ({ kind: 'kprobe', function: target.replace(/\+.*$/, '') }),
  kretprobe: (target) => ({ kind: 'kprobe', function: target, retprobe: true }),
  'kprobe.multi': (target) => ({ kind: 'kprobe.multi', functions: places(target) }),
  'kretprobe.multi': (target) => ({ kind: 'kprobe.multi', functions: places(target), retprobe: true }),
  'kprobe.session': (target) => ({ kind: 'kprobe.multi', functions: places(target) }),
  ksyscall: (syscall) => ({ kind: 'ksyscall', syscall }),
  kretsyscall: (syscall) => ({ kind: 'ksyscall', syscall, retprobe: true }),
  uprobe: (target) => uprobe(target, false),
  uretprobe: (target) => uprobe(target, true),
  'uprobe.multi': (target) => uprobeMulti(target, false),
  'uretprobe.multi': (target) => uprobeMulti(target, true),
  'uprobe.session': (target) => uprobeMulti(target, false),
  usdt(target) {
    const [, binary, provider, name] = /^(.+):([^:]+):([^:]+)$/.exec(target) ?? []
    if (binary === undefined || provider === undefined || name === undefined) return undefined
    return { kind: 'usdt', binary, provider, name, pid: EVERY_PROCESS }
  },
  tracepoint,
  tp: tracepoint,
  raw_tracepoint: (name) => ({ kind: 'rawTracepoint', name }),
  raw_tp: (name) => ({ kind: 'rawTracepoint', name }),
  // The place is known since the program was loaded.
  fsession: () => ({ kind: 'trace' }),
}

const EVERY_PROCESS = -1

/** Where a section's name says that its program is attached; undefined for those that say no place, or one that is known since the program was loaded. */
export function requestOfSection(section: string): TracingRequest | undefined {
  const { prefix = '', target = '' } = resolveSection(section) ?? {}
  return target === '' ? undefined : REQUESTS[prefix.replace(/\.s$/, '')]?.(target)
}

/** Whether the name of its section, and its settings, say that it is attached with its object. */
export function attachesItself({ section, autoload, autoattach }: ProgramSpec): boolean {
  return autoload && autoattach && requestOfSection(section) !== undefined
}

/** The better error for a program that libbpf couldn't attach by its section: with the nearest names where the target doesn't exist. */
export function explainSection(section: string, error: unknown): unknown {
  const request = requestOfSection(section)
  if (request === undefined) return error
  try {
    return explainAttach(request, error)
  } catch (better) {
    // There is no such binary.
    return better
  }
}

/** As `attachAll()` reports it: the failure names the program that is to blame. */
export function explainAttachAll(error: unknown): unknown {
  const section = error instanceof Error ? /SEC\("([^"]*)"\)/.exec(error.message)?.[1] : undefined
  return section === undefined ? error : explainSection(section, error)
}

function places(target: string): string | readonly string[] {
  return isPattern(target) ? target : [target]
}

function uprobe(target: string, retprobe: boolean): TracingRequest | undefined {
  const [, binary, name] = /^(.+):([^:+]+)(?:\+.*)?$/.exec(target) ?? []
  if (binary === undefined || name === undefined) return undefined
  return { kind: 'uprobe', binary, function: name, offset: 0, retprobe, pid: EVERY_PROCESS }
}

function uprobeMulti(target: string, retprobe: boolean): TracingRequest | undefined {
  const [, binary, pattern] = /^(.+):([^:]+)$/.exec(target) ?? []
  if (binary === undefined || pattern === undefined) return undefined
  // Here it is 0.
  return { kind: 'uprobe.multi', binary, places: places(pattern), retprobe, pid: 0 }
}

function tracepoint(target: string): TracingRequest | undefined {
  const [, category, name] = /^([^/]+)\/([^/]+)$/.exec(target) ?? []
  return category === undefined || name === undefined ? undefined : { kind: 'tracepoint', category, name }
}
