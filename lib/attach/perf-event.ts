/** The verb for sampled perf events. */
import { checkUint32, checkUint64 } from '../checked-settings.js'
import { BpfError } from '../errors.js'
import type { KernelProgram } from '../kernel.js'
import type { Link } from '../link.js'
import { PERF_EVENT_NAMES, perfEventByName, type PerfEventName } from '../linux/perf-events.js'
import { didYouMean } from '../nearest.js'
import { linkOf } from './kernel-probes.js'
import { checkCookie, checkCount, checkProcess, type CookieOption, type ProcessOption } from './options.js'
import { requireVerb } from './verbs.js'

/** An event by numbers: PERF_TYPE_* (of a tracepoint, a PMU of /sys/bus/event_source …) and what that type calls `config`. */
export interface PerfEventNumbers {
  readonly type: number
  readonly config: number | bigint
}

interface PerfEventBase extends CookieOption {
  /** One event on each. Default: every CPU that is on; with `pid`, wherever that process runs. */
  readonly cpus?: readonly number[]
  /** Only this process, or this one (`'self'`). Default: every process. */
  readonly pid?: ProcessOption
}

/** How often: so many times a second, or once in so many events. */
export type PerfEventOptions = PerfEventBase &
  (
    | { readonly frequency: number; readonly period?: never }
    | { readonly period: number | bigint; readonly frequency?: never }
  )

export function attachPerfEvent(
  program: KernelProgram,
  event: PerfEventName | PerfEventNumbers,
  options: PerfEventOptions,
): Link {
  const what = 'attachPerfEvent()'
  requireVerb(program.info, 'attachPerfEvent')
  const pid = checkProcess(what, options.pid)
  return linkOf(program, {
    kind: 'perfEvent',
    ...numbersOf(what, event),
    cpus: cpusOf(what, options.cpus),
    pid,
    sample: sampleOf(what, options),
    cookie: checkCookie(what, options.cookie),
  })
}

function numbersOf(what: string, event: PerfEventName | PerfEventNumbers): { type: number; config: bigint } {
  if (typeof event === 'object' && event !== null) {
    const { type, config } = event
    const number = typeof config === 'number' ? BigInt(checkCount(`${what}: config`, config)) : config
    return { type: checkUint32(`${what}: type`, type), config: checkUint64(`${what}: config`, number) }
  }
  const known = typeof event === 'string' ? perfEventByName(event) : undefined
  if (known !== undefined) return { type: known.type, config: BigInt(known.config) }
  const hint = typeof event === 'string' ? didYouMean(event, PERF_EVENT_NAMES) : undefined
  throw new BpfError(
    'BAD_VALUE',
    `${what}: there is no perf event '${event}'`,
    hint === undefined ? {} : { hint },
  )
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
