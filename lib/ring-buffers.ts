/** Several ring buffers on one reader. */
import type { EventReaderOptions } from './reader-options.js'
import type { BpfMap } from './map.js'
import { openRingBuffers, type RingBuffer, type RingBufferOptions } from './ring-buffer.js'

/** An event, and the map that it came through. */
export interface RingEvent<T = unknown> {
  readonly map: BpfMap
  readonly event: T
}

/** A ring, and what is its own. */
export interface RingChoice extends Pick<
  RingBufferOptions<unknown>,
  'type' | 'decode' | 'int64' | 'dropped'
> {
  readonly map: BpfMap
}

/**
 * Reads several ring buffers in one: one wake-up, one batch, one stream of events, which tell their map. Each gets its turn, whatever the others
 * send; records of different rings keep no order. In batches, `origins` has the index of each record's map.
 *
 * @param rings maps, or `{ map, type, … }` where each has options of its own
 * @throws BpfError `BAD_VALUE` if a map is no ring buffer, or of another kernel; `EBUSY` if one has a reader, or is given twice
 *
 * @example
 * const reader = ringBuffers([{ map: maps.events, type: 'event' }, { map: maps.logs, type: 'log_line' }])
 * for await (const { map, event } of reader) console.log(map.name, event)
 */
export function ringBuffers<T = unknown>(
  rings: readonly (BpfMap | RingChoice)[],
  options: EventReaderOptions & Omit<RingChoice, 'map'> = {},
): RingBuffer<RingEvent<T>> {
  const choices = rings.map((ring) =>
    'map' in ring && typeof ring.map === 'object' ? ring : { map: ring as BpfMap },
  )
  return openRingBuffers(
    choices.map(({ map, ...own }) => ({ ring: map.ringParts, options: { ...options, ...own } })),
    options,
    // Origins are indices of the rings given.
    (event, i) => ({ map: choices[i]!.map, event: event as T }),
  )
}
