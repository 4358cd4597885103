/** Options that all readers of events take, and their limits. */
import { BpfError } from './errors.js'
import type { ReaderOptions } from './kernel.js'

export interface EventReaderOptions {
  /** Closes the reader when aborted. */
  readonly signal?: AbortSignal
  /** Most bytes of records in a batch (one turn of the event loop). Default 256 KiB. */
  readonly batchBytes?: number
  /** Most records in a batch. Default 16,384. */
  readonly batchRecords?: number
  /** Under flood: wake-ups closer than this count as a row. Milliseconds, default 1. */
  readonly floodIntervalMs?: number
  /** Under flood: after so many wake-ups in a row, poll by timer until nothing is left. Default 8; 0: never. */
  readonly floodWakeups?: number
  /** Period of that timer. Milliseconds, default 1. */
  readonly floodPeriodMs?: number
}

/** Default, least and most of each; the same on every kernel. */
const LIMITS = {
  batchBytes: [256 << 10, 8, 256 << 20],
  batchRecords: [16 << 10, 1, 16 << 20],
  floodIntervalMs: [1, 0, 60_000],
  floodWakeups: [8, 0, 0x7fffffff],
  floodPeriodMs: [1, 0, 60_000],
} as const satisfies Readonly<Record<keyof ReaderOptions, readonly [number, number, number]>>

/** @throws BpfError `BAD_VALUE` naming the option */
export function readerOptions(options: EventReaderOptions): ReaderOptions {
  const checked = (name: keyof typeof LIMITS): number => {
    const [otherwise, least, most] = LIMITS[name]
    return integer(name, options[name] ?? otherwise, least, most)
  }
  return {
    batchBytes: checked('batchBytes'),
    batchRecords: checked('batchRecords'),
    floodIntervalMs: checked('floodIntervalMs'),
    floodWakeups: checked('floodWakeups'),
    floodPeriodMs: checked('floodPeriodMs'),
  }
}

/** @throws BpfError `BAD_VALUE` for what is no AbortSignal */
export function abortSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw new BpfError('BAD_VALUE', `option signal must be an AbortSignal, not ${typeof signal}`)
}

/** @throws BpfError `BAD_VALUE` naming the option */
export function integer(option: string, value: number, least: number, most = 0x7fffffff): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new BpfError(
    'BAD_VALUE',
    `option ${option} must be an integer from ${least} to ${most}, not ${String(value)}`,
  )
}
