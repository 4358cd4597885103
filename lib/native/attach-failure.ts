/** Why a program could not be attached where it was told to: what is wrong with the target, and which one was probably meant. */
import { existsSync, readdirSync } from 'node:fs'
import type { RequestOf } from '../attach-request.js'
import { BpfError, unsupported } from '../errors.js'
import { isHardwareEvent, PERF_TYPE } from '../linux/perf-events.js'
import { noFunction, resolveBinary, withBinary } from './binaries.js'
import type { TracingKind } from './attach-tracing.js'
import { conditionsOf } from './conditions.js'
import { readHost } from './host-facts.js'
import { kernelFunctions, rawTracepoints, traceableFunctions, tracefs } from './kernel-functions.js'
import { didYouMeanHint, nearestOfMany } from './suggest.js'

type Explain<K extends TracingKind> = (request: RequestOf<K>, error: BpfError) => BpfError | undefined

const EVENT_SOURCES = '/sys/bus/event_source/devices'
const KPROBES = `${EVENT_SOURCES}/kprobe`
const UPROBES = `${EVENT_SOURCES}/uprobe`

/** The better error, by kind; undefined where the target is not to blame. */
const EXPLAIN: { readonly [K in TracingKind]?: Explain<K> } = {
  kprobe: ({ function: name }, error) => noKprobes() ?? noKernelFunction(name, error, kernelFunctions()),
  'kprobe.multi': ({ functions }, error) => {
    if (error.code === 'EINVAL' || error.code === 'EOPNOTSUPP') {
      return withHint(error, 'It takes Linux 5.18 (sessions: 6.10) with CONFIG_FPROBE, and a program whose SEC() says kprobe.multi or kprobe.session')
    }
    const traceable = traceableFunctions()
    const missing = typeof functions === 'string' ? undefined : functions.find((name) => !traceable.has(name))
    return missing === undefined ? undefined : noKernelFunction(missing, error, traceable)
  },
  ksyscall: ({ syscall }, error) => noKprobes() ?? noSyscall(syscall, error),
  uprobe: (request, error) => noUprobes() ?? noUserFunction(request, error) ?? perhapsOffset(error),
  'uprobe.multi': (_, error) =>
    error.code === 'EINVAL' || error.code === 'EOPNOTSUPP'
      ? withHint(error, 'It takes Linux 6.6 (sessions: 6.13), offsets that lie in the code of the file, and a program whose SEC() says uprobe.multi or uprobe.session')
      : undefined,
  usdt: noUsdt,
  tracepoint: noTracepoint,
  rawTracepoint: noRawTracepoint,
  perfEvent: noPerfEvent,
  iter: (request, error) => iteratorHint(request, error),
}

/** The error to throw for a failed attach: with the nearest names where the target doesn't exist. */
export function explainAttach(request: RequestOf<TracingKind>, error: unknown): unknown {
  if (!(error instanceof BpfError) || error.errno === undefined) return error
  // A refused permission says nothing of the target.
  if (error.code === 'EPERM' || error.code === 'EACCES') return error
  // Each row takes the request of its own kind, which TypeScript can't see through the union.
  const explain = EXPLAIN[request.kind] as Explain<TracingKind> | undefined
  return explain?.(request, error) ?? error
}

function details({ errno, call }: BpfError): { readonly errno?: number; readonly call?: string } {
  return { ...(errno !== undefined && { errno }), ...(call !== undefined && { call }) }
}

function withHint(error: BpfError, hint: string): BpfError {
  const message = error.hint === undefined ? error.message : error.message.replace(`. ${error.hint}`, '')
  return new BpfError(error.code, message, { ...details(error), hint })
}

function noKprobes(): BpfError | undefined {
  return existsSync(KPROBES)
    ? undefined
    : unsupported('kprobes in this kernel', 'It was built without CONFIG_KPROBES; fentry, tracepoints and raw tracepoints do without them')
}

function noUprobes(): BpfError | undefined {
  return existsSync(UPROBES) ? undefined : unsupported('uprobes in this kernel', 'It was built without CONFIG_UPROBES')
}

function noKernelFunction(name: string, error: BpfError, known: ReadonlySet<string>): BpfError | undefined {
  if (known.size === 0 || known.has(name)) {
    return known.has(name)
      ? withHint(error, `'${name}' is there, but can't be probed (at that offset): it is inlined, marked notrace, or listed in /sys/kernel/debug/kprobes/blacklist`)
      : undefined
  }
  return new BpfError('ENOENT', `This kernel has no function '${name}' that can be probed`, {
    ...details(error),
    hint: didYouMeanHint(nearestOfMany(name, known)) ?? 'Functions are listed in /proc/kallsyms; one that was inlined everywhere is not there',
  })
}

/** What system calls are called in kallsyms, by architecture: `__x64_sys_openat`. */
const SYSCALL_FUNCTION = /^__(?:x64|arm64|s390x|riscv|se|do)_sys_(.+)$/

function noSyscall(name: string, error: BpfError): BpfError | undefined {
  const known = new Set<string>()
  for (const symbol of kernelFunctions()) {
    const call = SYSCALL_FUNCTION.exec(symbol)?.[1]
    if (call !== undefined) known.add(call)
  }
  if (known.size === 0 || known.has(name)) return undefined
  return new BpfError('ENOENT', `This kernel has no system call '${name}'`, {
    ...details(error),
    hint: didYouMeanHint(nearestOfMany(name, known)) ?? 'Name it as in its man page: openat, execve',
  })
}

/** By the name of a section, libbpf has looked for it. */
function noUserFunction({ binary, function: name }: RequestOf<'uprobe'>, error: BpfError): BpfError | undefined {
  if (error.code !== 'ENOENT' || name === undefined) return undefined
  const path = resolveBinary(binary)
  return withBinary(path, (file) => {
    const known = file.functions()
    return known.has(name) ? undefined : noFunction(path, name, known.keys())
  })
}

function perhapsOffset(error: BpfError): BpfError | undefined {
  return error.code === 'EINVAL'
    ? withHint(error, 'The offset must lie in the code of the file, at the start of an instruction that the kernel can put a probe on')
    : undefined
}

function noUsdt({ binary, provider, name }: RequestOf<'usdt'>, error: BpfError): BpfError | undefined {
  if (error.code !== 'ENOENT') return undefined
  const path = resolveBinary(binary)
  const probes = withBinary(path, (file) => file.usdtProbes())
  if (probes.some((probe) => probe.provider === provider && probe.name === name)) return undefined
  const providers = new Set(probes.map((probe) => probe.provider))
  const isProvider = providers.has(provider)
  const what = isProvider ? `provider '${provider}' has no USDT probe '${name}'` : `there is no USDT provider '${provider}'`
  const near = isProvider
    ? nearestOfMany(name, probes.filter((probe) => probe.provider === provider).map((probe) => probe.name))
    : nearestOfMany(provider, providers)
  const all = probes.slice(0, 8).map((probe) => `${probe.provider}:${probe.name}`)
  const listed = all.length === 0 ? 'It was compiled without USDT probes' : `It has ${all.join(', ')}${probes.length > all.length ? ` and ${probes.length - all.length} more` : ''}`
  return new BpfError('ENOENT', `In '${path}' ${what}`, { ...details(error), hint: didYouMeanHint(near) ?? listed })
}

function noTracepoint({ category, name }: RequestOf<'tracepoint'>, error: BpfError): BpfError | undefined {
  if (error.code !== 'ENOENT') return undefined
  const folder = tracefs()
  if (folder === undefined) {
    const [{ because, remedy } = { because: 'there is no tracefs', remedy: '' }] = conditionsOf(['tracefs'], readHost())
    return unsupported(`tracepoints, for ${because}`, remedy)
  }
  const categories = foldersOf(`${folder}/events`)
  const isCategory = categories.includes(category)
  const known = isCategory ? foldersOf(`${folder}/events/${category}`) : categories
  const what = isCategory ? `category '${category}' has no tracepoint '${name}'` : `there is no category of tracepoints '${category}'`
  // The right name in the wrong category is the commonest mistake.
  const elsewhere = categories
    .filter((other) => existsSync(`${folder}/events/${other}/${name}`))
    .map((other) => `${other}/${name}`)
  const near = elsewhere.length > 0 ? elsewhere : nearestOfMany(isCategory ? name : category, known)
  return new BpfError('ENOENT', `In this kernel ${what}`, {
    ...details(error),
    hint: didYouMeanHint(near) ?? `They are listed in ${folder}/available_events`,
  })
}

function noRawTracepoint({ name }: RequestOf<'rawTracepoint'>, error: BpfError): BpfError | undefined {
  if (error.code === 'EINVAL') return withHint(error, 'The program reads more arguments than the tracepoint has; or this kernel takes no cookie for raw tracepoints (Linux 6.10)')
  if (error.code !== 'ENOENT') return undefined
  const near = nearestOfMany(name.replace(/^.*[/:]/, ''), rawTracepoints())
  return new BpfError('ENOENT', `This kernel has no raw tracepoint '${name}'`, {
    ...details(error),
    hint: didYouMeanHint(near) ?? 'It goes by the name of the tracepoint without its category: sched_switch',
  })
}

/** PMUs of processors, by their names in sysfs: of one kind of cores, of several, of ARM. */
const PROCESSOR_PMU = /^(?:cpu|cpu_core|cpu_atom|armv\d+_.*)$/

function noPerfEvent(request: RequestOf<'perfEvent'>, error: BpfError): BpfError | undefined {
  const { type, config, cpus, pid } = request
  const isMissing = ['ENOENT', 'EOPNOTSUPP', 'ENODEV', 'EINVAL'].includes(error.code)
  if (isMissing && isHardwareEvent(type) && !readdirSync(EVENT_SOURCES).some((name) => PROCESSOR_PMU.test(name))) {
    return withHint(error, 'There are no hardware counters on this machine, as on most virtual ones (no cpu in /sys/bus/event_source/devices); software events (cpu-clock) are everywhere')
  }
  if (request.cgroup !== undefined && error.code === 'ENOENT' && type === PERF_TYPE.software) {
    return withHint(error, 'The cgroup may have no state for perf events: Linux makes it when a controller is enabled above it (echo +pids > …/cgroup.subtree_control), or the controller perf_event belongs to a cgroup of version 1')
  }
  if (type === PERF_TYPE.breakpoint) return breakpointHint(request, error)
  const hints: Readonly<Record<string, string>> = {
    ENOENT: `This machine has no perf event of type ${type} and config ${config}: types are listed in /sys/bus/event_source/devices, software events (cpu-clock) are everywhere`,
    EOPNOTSUPP: `This machine can't sample perf events of type ${type} and config ${config}, or not with these options`,
    EBUSY: 'The counters are taken: by the watchdog for NMIs (kernel.nmi_watchdog), or by other events that must not be moved',
    ENODEV: `There is no CPU of that number that is on: ${cpus?.join(', ') ?? 'any'}; see /sys/devices/system/cpu/online`,
    EINVAL: 'A frequency above kernel.perf_event_max_sample_rate, a CPU that does not exist, or pid -1 with cpu -1 is refused',
    ESRCH: `There is no process ${pid}`,
  }
  const hint = hints[error.code]
  return hint === undefined ? undefined : withHint(error, hint)
}

function breakpointHint({ config1 = 0n, config2 = 0n }: RequestOf<'perfEvent'>, error: BpfError): BpfError | undefined {
  const hints: Readonly<Record<string, string>> = {
    ENOSPC: 'All hardware breakpoints of the processor are taken: x86 has four for each thread, debuggers take them too',
    EINVAL: `The address must be a multiple of the length: 0x${config1.toString(16)}, ${config2} bytes. x86 breaks on execution with 8 bytes only, and can't watch reads alone`,
    EOPNOTSUPP: 'This machine has no hardware breakpoints, or not of this kind',
    ENOENT: 'This kernel was built without CONFIG_HAVE_HW_BREAKPOINT',
  }
  const hint = hints[error.code]
  return hint === undefined ? undefined : withHint(error, hint)
}

function iteratorHint({ map, cgroup, task }: RequestOf<'iter'>, error: BpfError): BpfError | undefined {
  if (error.code !== 'EINVAL' && error.code !== 'EBADF') return undefined
  if (cgroup !== undefined || task !== undefined) {
    return withHint(error, `iter/${cgroup === undefined ? 'task, task_file and task_vma' : 'cgroup'} takes that, from Linux 6.1 on`)
  }
  return withHint(
    error,
    map === undefined
      ? 'An iterator over the elements of a map needs the map, one over cgroups a cgroup'
      : "The map must be of a type that the program's iterator walks over, with keys and values of at least the size that the program reads",
  )
}

function foldersOf(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  } catch {
    return []
  }
}
