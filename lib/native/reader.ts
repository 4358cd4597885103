/** Readers in Linux: between the addon's pumps and the seam's sinks. */
import { BpfError } from '../errors.js'
import type {
  KernelMap,
  KernelReader,
  PerfOptions,
  ReaderOptions,
  RecordBatch,
  RecordSink,
} from '../kernel.js'
import type { AddonMap, BatchDelivery } from './addon-types.js'

type Writable<T> = { -readonly [Name in keyof T]: T[Name] }

/** What every open…() of the addon starts with. */
export type PumpArguments = readonly [BatchDelivery, number, number, number, number, number]

export function pumpArguments(sink: RecordSink, options: ReaderOptions): PumpArguments {
  return [
    deliveryTo(sink),
    options.batchBytes,
    options.batchRecords,
    options.floodIntervalMs,
    options.floodWakeups,
    options.floodPeriodMs,
  ]
}

/** One batch object for the life of the reader: nothing is allocated per batch. */
function deliveryTo(sink: RecordSink): BatchDelivery {
  const batch: Writable<RecordBatch> = {
    count: 0,
    bytes: new Uint8Array(0),
    index: new Uint32Array(0),
    origins: undefined,
    times: undefined,
    lost: undefined,
  }
  return (count, bytes, index, origins, times, lost) => {
    if (bytes !== undefined && index !== undefined) {
      batch.bytes = bytes
      batch.index = index
      batch.origins = origins
      batch.times = times
      batch.lost = lost
    }
    batch.count = count
    sink(batch)
  }
}

export function openRing(
  map: AddonMap,
  sink: RecordSink,
  options: ReaderOptions,
  others: readonly KernelMap[],
): KernelReader {
  const fds = others.map(({ fd, info }) => {
    if (fd !== undefined) return fd
    throw new BpfError('BAD_VALUE', `map '${info.name}' is of another kernel: one reader has rings of one kernel`)
  })
  return map.openRing(...pumpArguments(sink, options), fds)
}

export function openPerf(map: AddonMap, sink: RecordSink, options: PerfOptions): KernelReader {
  const { pages, wakeupEvents, wakeupBytes, timestamps, overwritable } = options
  const open = overwritable ? map.openOverwritable.bind(map) : map.openPerf.bind(map)
  return open(...pumpArguments(sink, options), pages, wakeupEvents, wakeupBytes, timestamps)
}
