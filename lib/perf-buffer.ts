/** Perf buffers: what programs send with bpf_perf_event_output(). */
import { BpfError } from './errors.js'
import { EventReader } from './event-reader.js'
import { integer, type EventReaderOptions } from './reader-options.js'
import type { KernelMap } from './kernel.js'
import { BPF_MAP_TYPE, mapTypeName } from './linux/map-types.js'
import type { ObjectFile } from './object-file/types.js'
import { decoderFor, type DecoderOptions } from './record-decoder.js'

export interface PerfBufferOptions<T> extends EventReaderOptions, DecoderOptions<T> {
  /** Size of each CPU's buffer, in pages; a power of two. Default 64 (256 KiB with pages of 4 KiB). */
  readonly pages?: number
  /** Wake up when so many records came, on one CPU. Default 1. Fewer wait until there are more, or `flush()`. */
  readonly wakeupEvents?: number
  /** Wake up when so many bytes came, on one CPU, instead. */
  readonly wakeupBytes?: number
  /** Has the kernel stamp each record: `times` in batches, nanoseconds of CLOCK_MONOTONIC. Linux 4.1. */
  readonly sampleTimestamps?: boolean
  /**
   * A flight recorder: new records overwrite old ones, nothing wakes up, and `consume()` or `flush()` takes what came since the last
   * time and is still there; by CPU, the oldest first. Linux 4.7.
   */
  readonly overwritable?: boolean
}

/** struct perf_event_header, and the length of the raw data. */
const HEADER_BYTES = 12

/**
 * A reader of a perf event array: an `EventEmitter` and an async iterable, as a ring buffer's is, of a buffer for each CPU. Listeners of
 * `'event'` get the CPU as their second argument; batches have it in `origins`.
 *
 * What finds no room the kernel counts: `'drop'` gives the number, and numbers by CPU. It tells with the next record that finds room on that
 * CPU, so the count comes late, and the last losses may never be told.
 *
 * The kernel pads records: one of 16 bytes comes with 20. Records of different CPUs keep no order.
 *
 * Lifetime: as a ring buffer's. A second perf buffer of the same map takes the first one's place.
 *
 * Needs `CAP_PERFMON` (Linux 5.8; before that `CAP_SYS_ADMIN`), or a low enough kernel.perf_event_paranoid. New programs are
 * better off with a ring buffer (Linux 5.8).
 */
export class PerfBuffer<T = unknown> extends EventReader<T> {}

/** @internal */
export function openPerfBuffer<T>(
  map: KernelMap,
  file: ObjectFile,
  options: PerfBufferOptions<T>,
): PerfBuffer<T> {
  const { name, type } = map.info
  if (type !== BPF_MAP_TYPE.PERF_EVENT_ARRAY) {
    throw new BpfError('BAD_VALUE', `map '${name}' is no perf event array, its type is ${mapTypeName(type)}`)
  }
  const subject = `perf buffer '${name}'`
  const { wakeupEvents, wakeupBytes } = options
  if (wakeupEvents !== undefined && wakeupBytes !== undefined) {
    throw new BpfError('BAD_VALUE', `${subject}: give wakeupEvents or wakeupBytes, not both`)
  }
  const perf = {
    pages: powerOfTwo('pages', integer('pages', options.pages ?? 64, 1)),
    wakeupEvents: wakeupBytes === undefined ? integer('wakeupEvents', wakeupEvents ?? 1, 1) : 0,
    wakeupBytes: wakeupBytes === undefined ? 0 : integer('wakeupBytes', wakeupBytes, 1),
    timestamps: options.sampleTimestamps ?? false,
    overwritable: options.overwritable ?? false,
  }
  return new PerfBuffer<T>({
    subject,
    options,
    decode: decoderFor(subject, file, options),
    headerBytes: HEADER_BYTES,
    open: (sink, readerOptions) => map.openPerf(sink, { ...readerOptions, ...perf }),
  })
}

function powerOfTwo(option: string, value: number): number {
  if (Number.isInteger(Math.log2(value))) return value
  throw new BpfError('BAD_VALUE', `option ${option} must be a power of two, not ${value}`)
}
