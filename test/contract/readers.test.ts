import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'
import { open, ringBuffers, type BpfObject } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath, type TestedKernel } from '../support/kernels.js'

interface Event {
  readonly number: bigint
  readonly square: bigint
}

interface LogLine {
  readonly level: number
  readonly text: string
}

/** Bytes that either record takes in its ring of 4,096: a header of 8, and 16 of its own. */
const RECORD_BYTES = 24
const CAPACITY = Math.floor(4095 / RECORD_BYTES)

const load = (tested: TestedKernel): BpfObject =>
  open(objectPath('test/readers'), { kernel: tested.make().choice }).load()

function send(object: BpfObject, what: 'events' | 'logs', count: number, first = 0): void {
  object.program(`send_${what}`).run({ ctx: new Uint8Array(Uint32Array.of(first, count).buffer) })
}

const range = (count: number, first = 0): number[] => Array.from({ length: count }, (_, i) => first + i)

/** bpf_loop(), which fills the rings, is in Linux since 5.17; `syscall` programs since 5.14. */
const describeReaders: typeof describeContract = (title, tests) => describeContract(title, tests, '5.17')

describeReaders('several rings on one reader', (tested) => {
  it('give events that tell their map', async () => {
    using object = load(tested)
    const { events, logs } = object.maps
    if (events === undefined || logs === undefined) throw new Error('no rings')
    using reader = ringBuffers([
      { map: events, type: 'event', int64: 'number' },
      { map: logs, type: 'log_line' },
    ])
    const seen: string[] = []
    reader.on('event', ({ map, event }) => seen.push(`${map.name} ${JSON.stringify(event)}`))
    send(object, 'logs', 1, 7)
    send(object, 'events', 2, 3)
    await vi.waitFor(() => expect(seen.length).toBe(3))
    expect(seen.toSorted()).toEqual([
      'events {"number":3,"square":9}',
      'events {"number":4,"square":16}',
      'logs {"level":7,"text":"hello"}',
    ])
  })

  it('have the index of the map in batches', async () => {
    using object = load(tested)
    send(object, 'events', 3)
    send(object, 'logs', 2)
    const counts = [0, 0]
    for await (const { count, origins } of ringBuffers([
      object.map('events'),
      object.map('logs'),
    ]).batches()) {
      for (let i = 0; i < count; i++) counts[origins?.[i] ?? 9]! += 1 // 9: fails the test below
      if (counts[0]! + counts[1]! >= 5) break // two elements
    }
    expect(counts).toEqual([3, 2])
  })

  it('get their turns, however full another one is', () => {
    using object = load(tested)
    using reader = ringBuffers([object.map('events'), object.map('logs')], { batchRecords: 4 })
    send(object, 'events', 100)
    send(object, 'logs', 4)
    const origins: number[] = []
    reader.on('event', ({ map }) => origins.push(map.name === 'logs' ? 1 : 0))
    reader.consume()
    reader.consume()
    reader.consume()
    expect(origins.filter((origin) => origin === 1).length).toBeGreaterThanOrEqual(3)
  })

  it('add up what was dropped', () => {
    using object = load(tested)
    using reader = ringBuffers([object.map('events'), object.map('logs')], { dropped: true })
    send(object, 'events', CAPACITY + 5)
    send(object, 'logs', CAPACITY + 7)
    reader.on('event', () => {})
    reader.flush()
    expect(reader.drops).toBe(12)
  })

  it('must be rings, and at least one', () => {
    using object = load(tested)
    expect(code(() => ringBuffers([]))).toBe('BAD_VALUE')
    expect(code(() => ringBuffers([object.map('events'), object.map('pairs')]))).toBe('BAD_VALUE')
  })
})

describeReaders('available and flush()', (tested) => {
  it('tell and take what waits', () => {
    using object = load(tested)
    using reader = object.map('events').ringBuffer<Event>({ type: 'event', batchRecords: 16 })
    expect(reader.available).toBe(0)
    send(object, 'events', 50)
    expect(reader.available).toBe(50 * RECORD_BYTES)
    const seen: number[] = []
    reader.on('event', ({ number }) => seen.push(Number(number)))
    reader.consume()
    // One record may wait outside of the ring, without its header.
    expect(reader.available).toBeGreaterThanOrEqual(34 * RECORD_BYTES - 8)
    expect(reader.flush()).toBe(34)
    expect(seen).toEqual(range(50))
    expect(reader.available).toBe(0)
    expect(reader.flush()).toBe(0)
  })

  it('end although a listener makes the program send more', () => {
    using object = load(tested)
    using reader = object.map('events').ringBuffer({ batchRecords: 8 })
    let taken = 0
    reader.on('batch', ({ count }) => {
      taken += count
      send(object, 'events', count)
    })
    send(object, 'events', 64)
    expect(reader.flush()).toBeGreaterThanOrEqual(64)
    expect(taken).toBeLessThanOrEqual(64 + 2 * 8)
  })

  it('are for listeners: an iteration has its own way', async () => {
    using object = load(tested)
    const reader = object.map('events').ringBuffer()
    send(object, 'events', 1)
    for await (const _ of reader.batches()) {
      expect(code(() => reader.flush())).toBe('BAD_PHASE')
      expect(code(() => reader.consume())).toBe('BAD_PHASE')
      break
    }
    expect(code(() => reader.flush())).toBe('CLOSED')
  })
})

describeReaders('a stream of a ring buffer', (tested) => {
  it('gives events', async () => {
    using object = load(tested)
    const reader = object.map('events').ringBuffer<Event>({ type: 'event' })
    send(object, 'events', 100)
    const seen: number[] = []
    for await (const { number } of reader.readable()) {
      seen.push(Number((number as unknown) ?? -1))
      if (seen.length === 100) break
    }
    expect(seen).toEqual(range(100))
    await vi.waitFor(() => expect(reader.closed).toBe(true))
  })

  it('gives copies of the bytes where asked', async () => {
    using object = load(tested)
    send(object, 'logs', 3, 5)
    const chunks: Buffer[] = []
    for await (const chunk of object.map('logs').ringBuffer().readable({ raw: true })) {
      chunks.push(chunk as Buffer)
      if (chunks.length === 3) break
    }
    expect(
      chunks.map((chunk) => [chunk.length, chunk.readUInt32LE(0), chunk.toString('latin1', 4, 9)]),
    ).toEqual([
      [16, 5, 'hello'],
      [16, 6, 'hello'],
      [16, 7, 'hello'],
    ])
  })

  it('leaves in the ring what the stream has no room for', async () => {
    using object = load(tested)
    const reader = object.map('events').ringBuffer<Event>({ type: 'event', batchRecords: 4 })
    const stream = reader.readable({ highWaterMark: 4 })
    send(object, 'events', CAPACITY)
    stream.once('readable', () => {})
    await sleep(20)
    // What fits the stream, a batch in hand, and one that was looked at.
    expect(reader.available).toBeGreaterThanOrEqual((CAPACITY - 16) * RECORD_BYTES)
    stream.destroy()
    await vi.waitFor(() => expect(reader.closed).toBe(true))
  })

  it('goes on after each pause of its consumer', async () => {
    using object = load(tested)
    const reader = object.map('events').ringBuffer<Event>({ type: 'event', int64: 'number', batchRecords: 8 })
    const stream = reader.readable({ highWaterMark: 3 })
    const seen: number[] = []
    stream.on('data', ({ number }: Event) => {
      seen.push(Number(number))
      stream.pause()
      setImmediate(() => stream.resume())
    })
    for (let first = 0; first < 300; first += 100) {
      send(object, 'events', 100, first)
      await vi.waitFor(() => expect(seen.length).toBe(first + 100))
    }
    expect(seen).toEqual(range(300))
    stream.destroy()
  })

  it('ends when the reader is closed', async () => {
    using object = load(tested)
    const reader = object.map('events').ringBuffer<Event>({ type: 'event' })
    const stream = reader.readable()
    stream.resume()
    setTimeout(() => reader.close(), 10)
    await finished(stream)
    expect(stream.readableEnded).toBe(true)
  })

  it('is destroyed by an abort of its reader', async () => {
    using object = load(tested)
    const abort = new AbortController()
    const reader = object.map('events').ringBuffer({ signal: abort.signal })
    const stream = reader.readable()
    stream.resume()
    setTimeout(() => abort.abort(), 5)
    await finished(stream)
    expect(reader.closed).toBe(true)
  })
})

describeReaders('the drop counter of drops.h', (tested) => {
  it.each([
    ['by the name of the ring', true],
    ['by its own name', 'events_drops'],
  ])('is found %s', async (_, dropped) => {
    using object = load(tested)
    using reader = object.map('events').ringBuffer<Event>({ type: 'event', dropped })
    const drops: number[] = []
    let seen = 0
    send(object, 'events', 1000)
    reader.on('drop', (count) => drops.push(count))
    reader.on('event', () => seen++)
    await vi.waitFor(() => expect(seen).toBe(CAPACITY))
    expect(drops).toEqual([1000 - CAPACITY])
    expect(reader.drops + seen).toBe(1000)
  })

  it('counts bpf_ringbuf_output() as well', () => {
    using object = load(tested)
    using reader = object.map('logs').ringBuffer<LogLine>({ type: 'log_line', dropped: true })
    send(object, 'logs', 500)
    reader.on('event', () => {})
    reader.flush()
    expect(reader.drops).toBe(500 - CAPACITY)
  })

  it.each([
    ['there is none of that name', 'evnets_drops', 'NOT_FOUND'],
    ['the map is none', 'pairs', 'BAD_VALUE'],
  ])('is refused where %s', (_, dropped, expected) => {
    using object = load(tested)
    expect(code(() => object.map('events').ringBuffer({ dropped }))).toBe(expected)
  })
})

describeReaders('a decoder', (tested) => {
  it('passes a record over by returning undefined', async () => {
    using object = load(tested)
    send(object, 'events', 4)
    const reader = object.map('events').ringBuffer({
      decode: (bytes, offset) => (bytes[offset]! % 2 === 0 ? bytes[offset] : undefined), // within the record
    })
    const seen: unknown[] = []
    for await (const number of reader) {
      seen.push(number)
      if (seen.length === 2) break
    }
    expect(seen).toEqual([0, 2])
  })
})

describeReaders('a drop counter whose object is closed before its reader', (tested) => {
  it('still has its last word', () => {
    const object = load(tested)
    const reader = object.map('events').ringBuffer({ dropped: true })
    const drops: number[] = []
    reader.on('drop', (count) => drops.push(count))
    send(object, 'events', 1000)
    object.close()
    reader.close()
    expect(drops).toEqual([1000 - CAPACITY])
    expect(reader.drops).toBe(1000 - CAPACITY)
  })
})

describeReaders('a reader', (tested) => {
  it('tells a listener that it was closed', async () => {
    using object = load(tested)
    const reader = object.map('events').ringBuffer()
    const closed = once(reader, 'close')
    reader.close()
    expect(await closed).toEqual([])
  })

  it('is the only one of its ring, until it is closed', () => {
    using object = load(tested)
    const { events, logs } = object.maps
    if (events === undefined || logs === undefined) throw new Error('no rings')
    const first = events.ringBuffer()
    expect(code(() => events.ringBuffer())).toBe('EBUSY')
    expect(() => events.ringBuffer()).toThrow(/'events' has a reader already.*close\(\)/)
    // Nothing is left of an attempt that failed.
    expect(code(() => ringBuffers([logs, events]))).toBe('EBUSY')
    expect(code(() => ringBuffers([logs, logs]))).toBe('EBUSY')
    expect(code(() => logs.ringBuffer({ batchRecords: 0 }))).toBe('BAD_VALUE')
    first.close()
    first.close()
    using _both = ringBuffers([logs, events])
    expect(code(() => logs.ringBuffer())).toBe('EBUSY')
    expect(code(() => events.ringBuffer())).toBe('EBUSY')
  })

  it('is none of the other objects of the same file', () => {
    using object = load(tested)
    using other = load(tested)
    using first = object.map('events').ringBuffer()
    using second = other.map('events').ringBuffer()
    expect([first.closed, second.closed]).toEqual([false, false])
  })

  it('does not keep its ring when it is closed by a signal before it starts', () => {
    using object = load(tested)
    const events = object.map('events')
    expect(events.ringBuffer({ signal: AbortSignal.abort() }).closed).toBe(true)
    using again = events.ringBuffer()
    expect(again.closed).toBe(false)
  })
})
