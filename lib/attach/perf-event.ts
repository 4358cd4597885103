/** The verb for sampled perf events. */
import type { RequestOf } from '../attach-request.js'
import { checkBoolean, checkUint32, checkUint64 } from '../checked-settings.js'
import { BpfError } from '../errors.js'
import type { KernelProgram } from '../kernel.js'
import type { Link } from '../link.js'
import {
  BREAKPOINTS,
  PERF_EVENT_NAMES,
  PERF_TYPE,
  perfEventByName,
  type PerfEventName,
} from '../linux/perf-events.js'
import { didYouMean } from '../nearest.js'
import { linkOf } from './kernel-probes.js'
import {
  checkCookie,
  checkCount,
  checkOneOf,
  checkProcess,
  type CookieOption,
  type ProcessOption,
} from './options.js'
import { checkPathOrFd } from './targets.js'
import { requireVerb } from './verbs.js'

/** An event by numbers: PERF_TYPE_* (of a tracepoint, a PMU of /sys/bus/event_source …) and what that type calls `config`. */
export interface PerfEventNumbers {
  readonly type: number
  readonly config: number | bigint
  /** What some types have to say beside: the format of a PMU in /sys/bus/event_source tells. */
  readonly config1?: number | bigint
  readonly config2?: number | bigint
}

/** A hardware breakpoint: the program runs when the processor gets to an address, or when memory is used. A processor has a few of them. */
export interface PerfBreakpoint {
  readonly breakpoint: 'execute' | 'write' | 'readWrite'
  /** Virtual, of the process that is watched, or of the kernel. */
  readonly address: bigint
  /** Bytes from there: 1, 2, 4 or 8. Default: 8, which x86 wants of `execute`. */
  readonly length?: 1 | 2 | 4 | 8
}

interface PerfEventBase extends CookieOption {
  /** One event on each. Default: every CPU that is on; with `pid`, wherever that process runs. */
  readonly cpus?: readonly number[]
  /** Processes that these start later, too. Default: false. */
  readonly inherit?: boolean
  /** What isn't counted: the kernel, processes, the hypervisor. Default: all is. */
  readonly exclude?: readonly ('kernel' | 'user' | 'hypervisor')[]
  /** How near the sampled instruction must be to the event, from 0 (anywhere) to 3 (exactly there): hardware events. Default: 0. */
  readonly precise?: 0 | 1 | 2 | 3
}

/** Of whom: of one process, or of a cgroup. */
type PerfEventScope =
  | {
      /** Only this process, or this one (`'self'`). Default: every process. */
      readonly pid?: ProcessOption
      readonly cgroup?: never
    }
  | {
      /** Only the processes of this cgroup and of those below: a folder of cgroup2, or the descriptor of one. CONFIG_CGROUP_PERF. */
      readonly cgroup: string | number
      readonly pid?: never
    }

/** How often: so many times a second, or once in so many events. */
export type PerfEventOptions = PerfEventBase &
  PerfEventScope &
  (
    | { readonly frequency: number; readonly period?: never }
    | { readonly period: number | bigint; readonly frequency?: never }
  )

/** An event, each way to name it. */
export type PerfEvent = PerfEventName | PerfEventNumbers | PerfBreakpoint

export function attachPerfEvent(program: KernelProgram, event: PerfEvent, options: PerfEventOptions): Link {
  const what = 'attachPerfEvent()'
  requireVerb(program.info, 'attachPerfEvent')
  const { pid, cgroup, cpus, inherit, exclude, precise, cookie } = options
  if (pid !== undefined && cgroup !== undefined)
    throw new BpfError('BAD_VALUE', `${what} takes a process or a cgroup, not both`)
  return linkOf(program, {
    kind: 'perfEvent',
    ...numbersOf(what, event),
    cpus: cpusOf(what, cpus),
    pid: checkProcess(what, pid),
    cgroup: cgroup === undefined ? undefined : checkPathOrFd(`${what}: cgroup`, cgroup),
    inherit: inherit && checkBoolean(`${what}: inherit`, inherit),
    exclude: excludedBy(what, exclude),
    precise: checkOneOf(`${what}: precise`, precise, [0, 1, 2, 3]),
    sample: sampleOf(what, options),
    cookie: checkCookie(what, cookie),
  })
}

type EventNumbers = Pick<RequestOf<'perfEvent'>, 'type' | 'config' | 'config1' | 'config2' | 'breakpoint'>

function numbersOf(what: string, event: PerfEvent): EventNumbers {
  if (typeof event === 'object' && event !== null)
    return 'breakpoint' in event ? breakpointOf(what, event) : plainNumbers(what, event)
  const known = typeof event === 'string' ? perfEventByName(event) : undefined
  if (known !== undefined) return { type: known.type, config: BigInt(known.config) }
  const hint = typeof event === 'string' ? didYouMean(event, PERF_EVENT_NAMES) : undefined
  throw new BpfError(
    'BAD_VALUE',
    `${what}: there is no perf event '${event}'`,
    hint === undefined ? {} : { hint },
  )
}

function plainNumbers(what: string, { type, config, config1, config2 }: PerfEventNumbers): EventNumbers {
  return {
    type: checkUint32(`${what}: type`, type),
    config: uint64(`${what}: config`, config),
    config1: config1 === undefined ? undefined : uint64(`${what}: config1`, config1),
    config2: config2 === undefined ? undefined : uint64(`${what}: config2`, config2),
  }
}

function breakpointOf(what: string, { breakpoint, address, length = 8 }: PerfBreakpoint): EventNumbers {
  const kinds = Object.keys(BREAKPOINTS) as (keyof typeof BREAKPOINTS)[]
  const kind = checkOneOf(`${what}: breakpoint`, breakpoint, kinds) ?? 'execute'
  return {
    type: PERF_TYPE.breakpoint,
    config: 0n,
    breakpoint: BREAKPOINTS[kind],
    config1: uint64(`${what}: address`, address),
    config2: BigInt(checkOneOf(`${what}: length`, length, [1, 2, 4, 8]) ?? 8),
  }
}

function uint64(what: string, value: number | bigint): bigint {
  return typeof value === 'number' ? BigInt(checkCount(what, value)) : checkUint64(what, value)
}

function excludedBy(what: string, exclude: PerfEventBase['exclude']): RequestOf<'perfEvent'>['exclude'] {
  if (exclude === undefined) return undefined
  if (!Array.isArray(exclude)) throw new BpfError('BAD_VALUE', `${what}: exclude is a list: ['kernel']`)
  for (const one of exclude) checkOneOf(`${what}: exclude`, one as 'user', ['kernel', 'user', 'hypervisor'])
  const has = (one: string): boolean => (exclude as readonly string[]).includes(one)
  return { kernel: has('kernel'), user: has('user'), hypervisor: has('hypervisor') }
}

function cpusOf(what: string, cpus: readonly number[] | undefined): readonly number[] | undefined {
  if (cpus === undefined) return undefined
  if (!Array.isArray(cpus) || cpus.length === 0)
    throw new BpfError('BAD_VALUE', `${what}: cpus is a list of CPUs: [0, 1]`)
  return (cpus as readonly number[]).map((cpu) => checkUint32(`${what}: a CPU`, cpu))
}

function sampleOf(
  what: string,
  { frequency, period }: PerfEventOptions,
): { frequency: number } | { period: bigint } {
  if ((frequency === undefined) === (period === undefined))
    throw new BpfError('BAD_VALUE', `${what} takes a frequency or a period: { frequency: 99 }`)
  if (frequency !== undefined) {
    if (checkUint32(`${what}: frequency`, frequency) > 0) return { frequency }
  } else if (period !== undefined) {
    const number = typeof period === 'number' ? BigInt(checkCount(`${what}: period`, period)) : period
    if (checkUint64(`${what}: period`, number) > 0n) return { period: number }
  }
  throw new BpfError('BAD_VALUE', `${what}: frequency and period are greater than 0`)
}
