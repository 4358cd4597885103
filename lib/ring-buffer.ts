/** Ring buffers as events, iterables and batches. */
import { dropCounter, sumOf, type DropCounter, type DropSource, type SiblingMap } from './drop-counter.js'
import { BpfError } from './errors.js'
import { EventReader, type ReaderEvents, type ReaderParts } from './event-reader.js'
import type { EventReaderOptions } from './reader-options.js'
import type { KernelMap } from './kernel.js'
import { BPF_MAP_TYPE, mapTypeName } from './linux/map-types.js'
import type { ObjectFile } from './object-file/types.js'
import { decoderFor, type DecoderOptions } from './record-decoder.js'
import { claimRings } from './ring-claims.js'

export interface RingBufferOptions<T> extends EventReaderOptions, DecoderOptions<T> {
  /**
   * The program's own count of events that found no room; each rise becomes a `'drop'` event. `true`: the counter that
   * `LIBBPF_NODE_DROPS(ring)` of libbpf_node/drops.h defines; a name: another such map; or a function that reads a count.
   */
  readonly dropped?: DropSource
}

export type RingBufferEvents<T> = ReaderEvents<T>

/** The header that Linux puts in front of each record. */
const HEADER_BYTES = 8

/**
 * A reader of a ring buffer, or of several at once (see {@link ringBuffers}): an `EventEmitter`, and an async iterable of events.
 *
 * It takes nothing until somebody listens to `'event'` or `'batch'`, or iterates. Records stay in the kernel's ring meanwhile; when that
 * is full, the program's reservations fail: count them there, and give `dropped` to have them reported. Memory is bounded: an
 * iteration holds one batch at a time.
 *
 * Lifetime: open until `close()`, the end of a `using` block, an abort, or the end of a `for await` over it. While open it keeps the
 * event loop alive, unless `unref()`ed. Reading needs no capability once the map is open.
 *
 * A ring has one reader: opening a second one, in a worker thread too, throws `EBUSY` until the first is closed. Other processes must see
 * to it themselves.
 */
export class RingBuffer<T = unknown> extends EventReader<T> {}

/** What a map gives for its ring to be read. */
export interface RingParts {
  readonly map: KernelMap
  readonly file: ObjectFile
  readonly sibling: SiblingMap
}

/** @internal */
export function openRingBuffer<T>(ring: RingParts, options: RingBufferOptions<T>): RingBuffer<T> {
  const { map } = ring
  const { decode, dropped } = readerOf(ring, options)
  return new RingBuffer<T>({
    subject: subjectOf(map),
    options,
    decode,
    dropped,
    headerBytes: HEADER_BYTES,
    ...claimed([map], dropped, (sink, readerOptions) => map.openRing(sink, readerOptions)),
  })
}

/**
 * @internal
 * @param rings at least one, of one kernel, with the options that are each one's own
 * @param label what becomes of an event of ring `i`
 */
export function openRingBuffers<T>(
  rings: readonly { readonly ring: RingParts; readonly options: RingBufferOptions<unknown> }[],
  options: EventReaderOptions,
  label: (event: unknown, i: number) => T,
): RingBuffer<T> {
  const readers = rings.map(({ ring, options: own }) => readerOf(ring, own))
  const dropped = sumOf(readers.map((reader) => reader.dropped))
  const [first, ...others] = rings.map(({ ring }) => ring.map)
  if (first === undefined) throw new BpfError('BAD_VALUE', 'ringBuffers() takes one map or more')
  return new RingBuffer<T>({
    subject: `ring buffers ${rings.map(({ ring }) => `'${ring.map.info.name}'`).join(', ')}`,
    options,
    decode: (bytes, offset, length, origin) => {
      const event = readers[origin]?.decode(bytes, offset, length)
      return event === undefined ? undefined : label(event, origin)
    },
    dropped,
    headerBytes: HEADER_BYTES,
    ...claimed([first, ...others], dropped, (sink, readerOptions) =>
      first.openRing(sink, readerOptions, others),
    ),
  })
}

function readerOf<T>({ map, file, sibling }: RingParts, options: RingBufferOptions<T>) {
  const { name, type } = map.info
  if (type !== BPF_MAP_TYPE.RINGBUF) {
    throw new BpfError('BAD_VALUE', `map '${name}' is no ring buffer, its type is ${mapTypeName(type)}`)
  }
  return {
    decode: decoderFor(subjectOf(map), file, options),
    dropped: dropCounter(options.dropped, name, sibling),
  }
}

/** The rings are claimed, and their counter is held, for as long as their reader is open. */
function claimed(
  maps: readonly KernelMap[],
  dropped: DropCounter | undefined,
  open: ReaderParts<unknown>['open'],
): Required<Pick<ReaderParts<unknown>, 'open' | 'release'>> {
  let release = (): void => {}
  return {
    open(sink, options) {
      release = claimRings(maps)
      try {
        const reader = open(sink, options)
        dropped?.open()
        return reader
      } catch (error) {
        release()
        throw error
      }
    },
    release() {
      release()
      dropped?.close()
    },
  }
}

function subjectOf(map: KernelMap): string {
  return `ring buffer '${map.info.name}'`
}
