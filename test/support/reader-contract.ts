/** What every reader of events does, whatever it reads: events, batches, streams, aborts, back-pressure, losses, its end. */
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import type { EventReader, EventReaderOptions, RecordBatch } from '../../lib/index.js'
import { code } from './errors.js'
import { patience } from './patience.js'

/** Something that sends numbered records, and readers of it. */
export interface NumberSource extends Disposable {
  open(options?: EventReaderOptions): EventReader<unknown>
  /** Sends records with the numbers from `first` on. */
  send(count: number, first?: number): void
  /** The number of an event; undefined for what is none of this source's. */
  numberOf(event: unknown): number | undefined
  /** The number of a record; likewise. */
  numberIn(record: Uint8Array): number | undefined
}

/** One kind of reader. */
export interface ReaderSubject {
  make(): NumberSource
  /** Whether records come in the order in which they were sent. */
  readonly keepsOrder: boolean
  /** Whether `available` knows how much waits. */
  readonly tellsAvailable: boolean
  /**
   * How many records more than find room nobody takes meanwhile, and the source to send them to. undefined: what is read drops nothing,
   * or counts nothing.
   */
  readonly overflow?: { readonly count: number; make(): NumberSource }
}

const range = (count: number, first = 0): number[] => Array.from({ length: count }, (_, i) => first + i)
const ascending = (a: number, b: number): number => a - b

export function readerContract({ make, keepsOrder, tellsAvailable, overflow }: ReaderSubject): void {
  const asSent = (numbers: readonly number[]): readonly number[] =>
    keepsOrder ? numbers : numbers.toSorted(ascending)

  /** Where the numbers of a source's events go. */
  function collect(source: NumberSource): { readonly numbers: number[]; add(event: unknown): void } {
    const numbers: number[] = []
    return {
      numbers,
      add(event) {
        const number = source.numberOf(event)
        if (number !== undefined) numbers.push(number)
      },
    }
  }

  function numbersOf(source: NumberSource, { bytes, index, count }: RecordBatch): number[] {
    return range(count).flatMap((i) => {
      const [offset = 0, length = 0] = index.subarray(2 * i, 2 * i + 2)
      return source.numberIn(bytes.subarray(offset, offset + length)) ?? []
    })
  }

  describe('tells listeners', () => {
    it('of events, in batches of the size asked for', async () => {
      using source = make()
      using reader = source.open({ batchRecords: 4 })
      const { numbers, add } = collect(source)
      const sizes: number[] = []
      reader.on('batch', ({ count }) => sizes.push(count)).on('event', add)
      source.send(30)
      await vi.waitFor(() => expect(asSent(numbers)).toEqual(range(30)))
      expect(Math.max(...sizes)).toBeLessThanOrEqual(4)
    })

    it('of events that wait since before they came', async () => {
      using source = make()
      using reader = source.open()
      source.send(3)
      await sleep(patience(10))
      const { numbers, add } = collect(source)
      reader.on('event', add)
      await vi.waitFor(() => expect(asSent(numbers)).toEqual(range(3)))
    })

    it('of nothing between pause() and resume()', async () => {
      using source = make()
      using reader = source.open()
      const { numbers, add } = collect(source)
      reader.on('event', add).pause()
      source.send(5)
      await sleep(patience(20))
      expect(numbers).toEqual([])
      reader.resume()
      await vi.waitFor(() => expect(asSent(numbers)).toEqual(range(5)))
    })

    it('at once, in consume() and flush()', () => {
      using source = make()
      using reader = source.open({ batchRecords: 4 })
      expect(reader.consume()).toBe(0)
      const { numbers, add } = collect(source)
      reader.on('event', add)
      reader.pause()
      source.send(10)
      expect(reader.consume()).toBeLessThanOrEqual(4)
      reader.flush()
      expect(asSent(numbers)).toEqual(range(10))
    })

    it('what waits, where anybody can tell', () => {
      using source = make()
      using reader = source.open()
      const before = reader.available
      source.send(10)
      const after = reader.available
      expect([before, after].map((bytes) => bytes !== undefined)).toEqual([tellsAvailable, tellsAvailable])
      expect((after ?? 0) > (before ?? 0)).toBe(tellsAvailable)
    })
  })

  describe('is iterated', () => {
    it('event by event, and closed at the loop’s end', async () => {
      using source = make()
      const reader = source.open({ batchRecords: 7 })
      source.send(50)
      const { numbers, add } = collect(source)
      for await (const event of reader) {
        add(event)
        if (numbers.length === 50) break
      }
      expect(asSent(numbers)).toEqual(range(50))
      expect(reader.closed).toBe(true)
    })

    it('by batches, in the same memory each time', async () => {
      using source = make()
      source.send(1)
      const reader = source.open({ batchRecords: 8 })
      source.send(40, 1)
      const numbers = new Set<number>()
      const memory = new Set<ArrayBufferLike>()
      for await (const batch of reader.batches()) {
        expect(batch.count).toBeLessThanOrEqual(8)
        memory.add(batch.bytes.buffer)
        for (const number of numbersOf(source, batch)) numbers.add(number)
        if (numbers.has(40) && numbers.size >= 40) break
      }
      expect(memory.size).toBe(1)
    })

    it('once, and by nobody beside listeners', async () => {
      using source = make()
      using reader = source.open()
      const listener = (): void => {}
      reader.on('event', listener)
      expect(code(() => reader.batches())).toBe('BAD_PHASE')
      reader.off('event', listener)
      const iterator = reader[Symbol.asyncIterator]()
      expect(code(() => reader.batches())).toBe('BAD_PHASE')
      expect(code(() => reader.on('event', listener))).toBe('BAD_PHASE')
      expect(code(() => reader.flush())).toBe('BAD_PHASE')
      await iterator.return?.()
      expect(reader.closed).toBe(true)
    })

    it('slowly: a batch at most is held', async () => {
      using source = make()
      const reader = source.open({ batchRecords: 4 })
      source.send(40)
      const { numbers, add } = collect(source)
      let left: number | undefined
      for await (const event of reader) {
        add(event)
        if (numbers.length === 1) {
          await sleep(patience(20))
          left = reader.available
        }
        if (numbers.length === 40) break
      }
      expect(asSent(numbers)).toEqual(range(40))
      // The others were where they had been sent to.
      expect((left ?? 0) > 0).toBe(tellsAvailable)
    })
  })

  describe('is a stream', () => {
    it('of events, no more of them at a time than it was given room for', async () => {
      using source = make()
      const reader = source.open({ batchRecords: 4 })
      const stream = reader.readable({ highWaterMark: 3 })
      source.send(40)
      stream.once('readable', () => {})
      await vi.waitFor(() => expect(stream.readableLength).toBeGreaterThan(0))
      await sleep(patience(10))
      expect(stream.readableLength).toBeLessThanOrEqual(3)
      const { numbers, add } = collect(source)
      for await (const event of stream) {
        add(event)
        if (numbers.length === 40) break
      }
      expect(asSent(numbers)).toEqual(range(40))
      await vi.waitFor(() => expect(reader.closed).toBe(true))
    })

    it('of bytes, which are copies', async () => {
      using source = make()
      const reader = source.open({ batchRecords: 2 })
      source.send(10)
      const numbers: number[] = []
      const chunks: Buffer[] = []
      for await (const chunk of reader.readable({ raw: true })) {
        if (source.numberIn(chunk as Buffer) === undefined) continue
        chunks.push(chunk as Buffer)
        if (chunks.length === 10) break
      }
      for (const chunk of chunks) numbers.push(source.numberIn(chunk) ?? -1)
      expect(asSent(numbers)).toEqual(range(10))
    })

    it('that ends with the reader', async () => {
      using source = make()
      const reader = source.open()
      const stream = reader.readable()
      stream.resume()
      setTimeout(() => reader.close(), 5)
      await finished(stream)
      expect(stream.readableEnded).toBe(true)
    })
  })

  describe('ends', () => {
    it('by a signal, while an iteration waits', async () => {
      using source = make()
      const abort = new AbortController()
      const reader = source.open({ signal: abort.signal })
      setTimeout(() => abort.abort(), 5)
      for await (const event of reader) expect(source.numberOf(event)).toBeUndefined()
      expect(reader.closed).toBe(true)
    })

    it('before it begins, by a signal that was given already', () => {
      using source = make()
      const reader = source.open({ signal: AbortSignal.abort() })
      expect(reader.closed).toBe(true)
      expect(code(() => reader.batches())).toBe('CLOSED')
    })

    it('with its block, once, and tells so', async () => {
      using source = make()
      let closed = 0
      let kept: EventReader<unknown>
      {
        using reader = source.open()
        kept = reader.on('close', () => closed++).on('event', () => {})
      }
      kept.close()
      kept[Symbol.dispose]()
      expect([kept.closed, closed]).toEqual([true, 1])
      expect(kept.ref().unref()).toBe(kept)
      expect(code(() => kept.consume())).toBe('CLOSED')
      expect(code(() => kept.available)).toBe('CLOSED')
      // Nothing is told of what comes afterwards.
      source.send(3)
      await sleep(patience(5))
      using again = source.open()
      expect(again.closed).toBe(false)
    })

    it('in one of its listeners, with the rest of the batch untold', async () => {
      using source = make()
      const reader = source.open()
      let events = 0
      reader.on('event', () => {
        events++
        reader.close()
      })
      const closed = once(reader, 'close')
      source.send(10)
      await closed
      expect(events).toBe(1)
    })
  })

  it('is let go of by the event loop, and held again', () => {
    using source = make()
    using reader = source.open()
    expect(reader.unref()).toBe(reader)
    expect(reader.ref()).toBe(reader)
  })

  if (overflow === undefined) return
  it('counts what nobody took in time', { timeout: patience(30_000) }, async () => {
    const { count, make: makeSmall } = overflow
    using source = makeSmall()
    using reader = source.open()
    const { numbers, add } = collect(source)
    let told = 0
    reader.on('drop', (lost) => (told += lost)).on('event', add)
    reader.pause()
    source.send(count)
    // Where Linux tells with the next record that finds room: of each CPU that a record was sent from.
    let sent = count
    for (let i = 0; i < 500 && reader.drops + numbers.length < sent; i++) {
      reader.flush()
      if (reader.drops + numbers.length >= sent) break
      source.send(1, sent++)
      await sleep(1)
    }
    reader.flush()
    expect(numbers.length).toBeLessThan(count)
    expect(told).toBe(reader.drops)
    // No less than what is missing; more only where others are heard too.
    expect(reader.drops + numbers.length).toBeGreaterThanOrEqual(sent)
  })
}
