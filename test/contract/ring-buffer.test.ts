import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'
import type { BpfError, BpfObject } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { describeContract, openContract } from '../support/kernels.js'
import { SYSCALL_PROGRAMS } from '../support/require-kernel.js'

interface Sample {
  readonly sequence: bigint
  readonly square: number
  readonly tag: string
}

/** @returns how many records found room */
function produce(object: BpfObject, count: number, first = 0): number {
  return object.program('produce').run({ ctx: new Uint8Array(Uint32Array.of(first, count).buffer) }).retval
}

/** Bytes that a sample takes in the ring: a header of 8, and 16 of its own. */
const RECORD_BYTES = 24
const RING_BYTES = 4096

describeContract(
  'a ring buffer',
  (tested) => {
    it('emits records as typed events', async () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const event = once(ring, 'event')
      produce(object, 1, 12)
      expect(await event).toEqual([{ sequence: 12n, square: 144, tag: 't2' }])
    })

    it('gives 64-bit integers as numbers where asked', async () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample', int64: 'number' })
      const event = once(ring, 'event')
      produce(object, 1, 7)
      expect(await event).toEqual([{ sequence: 7, square: 49, tag: 't7' }])
    })

    it('is iterated, event by event, across batches', async () => {
      using object = openContract(tested.make()).load()
      const ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const seen: number[] = []
      produce(object, 100)
      for await (const { sequence } of ring) {
        seen.push(Number(sequence))
        if (seen.length === 100) produce(object, 100, 100)
        if (seen.length === 200) break
      }
      expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i))
      expect(ring.closed).toBe(true)
    })

    it('gives batches without decoding', async () => {
      using object = openContract(tested.make()).load()
      produce(object, 10)
      const ring = object.map('ring').ringBuffer({ batchRecords: 4 })
      const counts: number[] = []
      const lengths = new Set<number>()
      let total = 0
      for await (const { count, bytes, index } of ring.batches()) {
        counts.push(count)
        for (let i = 0; i < count; i++) {
          const [offset = -1, length = -1] = index.subarray(2 * i)
          lengths.add(length)
          expect(offset % 8).toBe(0)
          expect(new DataView(bytes.buffer, bytes.byteOffset + offset).getBigUint64(0, true)).toBe(
            BigInt(total++),
          )
        }
        if (total === 10) break
      }
      expect(counts).toEqual([4, 4, 2])
      expect([...lengths]).toEqual([16])
    })

    it('gives copies of the bytes without a type', async () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Uint8Array>()
      const seen: Uint8Array[] = []
      ring.on('event', (bytes) => seen.push(bytes))
      produce(object, 2, 1)
      ring.consume()
      expect(seen.map((bytes) => [bytes.length, bytes[0]])).toEqual([
        [16, 1],
        [16, 2],
      ])
    })

    it('takes a decoder', () => {
      using object = openContract(tested.make()).load()
      using ring = object
        .map('ring')
        .ringBuffer({ decode: (bytes, offset, length) => `${bytes[offset]}/${length}` })
      const seen: string[] = []
      ring.on('event', (text) => seen.push(text))
      produce(object, 2, 8)
      ring.consume()
      expect(seen).toEqual(['8/16', '9/16'])
    })

    it('never shows discarded records', () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const seen: bigint[] = []
      ring.on('event', ({ sequence }) => seen.push(sequence))
      produce(object, 1, 1)
      expect(object.program('discard').run().retval).toBe(0)
      produce(object, 1, 2)
      while (ring.consume() > 0);
      expect(seen).toEqual([1n, 2n])
    })

    it('leaves records in the ring until somebody listens', async () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      produce(object, 3)
      await sleep(20)
      const seen: bigint[] = []
      ring.on('event', ({ sequence }) => seen.push(sequence))
      await vi.waitFor(() => expect(seen).toEqual([0n, 1n, 2n]))
    })

    it('counts what found no room, and reports it', async () => {
      using object = openContract(tested.make()).load()
      using ring = object
        .map('ring')
        .ringBuffer<Sample>({ type: 'sample', dropped: () => object.bss['lost'] as bigint })
      const drops: number[] = []
      const seen: bigint[] = []
      const sent = produce(object, 1000)
      expect(sent).toBe(Math.floor((RING_BYTES - 1) / RECORD_BYTES))
      ring.on('drop', (count) => drops.push(count))
      ring.on('event', ({ sequence }) => seen.push(sequence))
      await vi.waitFor(() => expect(seen.length).toBe(sent))
      expect(drops).toEqual([1000 - sent])
      expect(ring.drops).toBe(1000 - sent)
      expect(produce(object, 10, 2000)).toBe(10)
      await vi.waitFor(() => expect(seen.length).toBe(sent + 10))
    })

    it('reports losses of the last moment when it is closed', () => {
      using object = openContract(tested.make()).load()
      const ring = object
        .map('ring')
        .ringBuffer<Sample>({ type: 'sample', dropped: () => object.bss['lost'] as bigint })
      produce(object, 1000)
      ring.close()
      expect(ring.drops).toBeGreaterThan(0)
    })

    it('holds records back while it is paused', async () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const seen: bigint[] = []
      ring.on('event', ({ sequence }) => seen.push(sequence))
      ring.pause()
      produce(object, 2)
      await sleep(30)
      expect(seen).toEqual([])
      ring.resume()
      await vi.waitFor(() => expect(seen).toEqual([0n, 1n]))
    })

    it('wraps around', () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const seen: number[] = []
      ring.on('event', ({ sequence }) => seen.push(Number(sequence)))
      for (let first = 0; first < 2000; first += 100) {
        expect(produce(object, 100, first)).toBe(100)
        while (ring.consume() > 0);
      }
      expect(seen).toEqual(Array.from({ length: 2000 }, (_, i) => i))
    })

    it('tells of a record that is shorter than its type', () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const errors: BpfError[] = []
      const seen: bigint[] = []
      ring.on('error', (error) => errors.push(error))
      ring.on('event', ({ sequence }) => seen.push(sequence))
      expect(object.program('short_record').run().retval).toBe(0)
      produce(object, 1, 3)
      while (ring.consume() > 0);
      expect(errors.map(({ code: name, message }) => [name, message])).toEqual([
        ['BAD_VALUE', "ring buffer 'ring': a record of 4 bytes is no struct sample (16 bytes)"],
      ])
      expect(seen).toEqual([3n])
    })

    it('ends by abort', async () => {
      using object = openContract(tested.make()).load()
      const abort = new AbortController()
      const ring = object.map('ring').ringBuffer<Sample>({ type: 'sample', signal: abort.signal })
      setTimeout(() => abort.abort(), 10)
      for await (const _event of ring);
      expect(ring.closed).toBe(true)
      expect(code(() => ring.consume())).toBe('CLOSED')
    })

    it('is closed by a listener', () => {
      using object = openContract(tested.make()).load()
      const ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const seen: bigint[] = []
      ring.on('event', ({ sequence }) => {
        seen.push(sequence)
        if (seen.length === 2) ring.close()
      })
      produce(object, 5)
      ring.consume()
      expect(seen).toEqual([0n, 1n])
      ring.close()
    })

    it('goes on when listeners throw: each exception is an uncaught one of its own', async () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const uncaught = await uncaughtExceptions(async () => {
        const seen: bigint[] = []
        ring.on('event', ({ sequence }) => {
          seen.push(sequence)
          if (sequence < 2n) throw new Error(`listener ${sequence}`)
        })
        produce(object, 4)
        await vi.waitFor(() => expect(seen).toEqual([0n, 1n, 2n, 3n]))
        produce(object, 1, 9)
        await vi.waitFor(() => expect(seen).toContain(9n))
      })
      expect(uncaught).toEqual(['listener 0', 'listener 1'])
    })

    it('keeps what comes after a once() for the next listener', async () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const first = once(ring, 'event')
      produce(object, 10)
      expect(await first).toMatchObject([{ sequence: 0n }])
      await sleep(20)
      produce(object, 1, 100)
      const seen: bigint[] = []
      ring.on('event', ({ sequence }) => seen.push(sequence))
      await vi.waitFor(() => expect(seen).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 100n]))
    })

    it('keeps what listeners left for an iteration', async () => {
      using object = openContract(tested.make()).load()
      const ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const first = once(ring, 'event')
      produce(object, 3)
      await first
      const seen: bigint[] = []
      for await (const { sequence } of ring) {
        seen.push(sequence)
        if (seen.length === 2) produce(object, 1, 7)
        if (seen.length === 3) break
      }
      expect(seen).toEqual([1n, 2n, 7n])
    })

    it('takes nothing by consume() while nobody listens', () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      produce(object, 2)
      expect(ring.consume()).toBe(0)
      const seen: bigint[] = []
      ring.on('event', ({ sequence }) => seen.push(sequence))
      ring.removeAllListeners()
      expect(ring.consume()).toBe(0)
      ring.on('event', ({ sequence }) => seen.push(sequence))
      while (ring.consume() > 0);
      expect(seen).toEqual([0n, 1n])
    })

    it('stays paused, whoever listens, until it is resumed', async () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const seen: bigint[] = []
      ring.pause()
      ring.on('event', ({ sequence }) => seen.push(sequence))
      produce(object, 1)
      await sleep(30)
      expect(seen).toEqual([])
      ring.resume()
      await vi.waitFor(() => expect(seen).toEqual([0n]))
    })

    it('refuses consume() in a listener, and loses nothing by it', () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample', batchRecords: 4 })
      const seen: bigint[] = []
      const refusals = new Set<string | undefined>()
      ring.on('event', ({ sequence }) => {
        seen.push(sequence)
        refusals.add(code(() => ring.consume()))
      })
      produce(object, 8)
      while (ring.consume() > 0);
      expect(seen).toEqual([0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n])
      expect([...refusals]).toEqual(['BAD_PHASE'])
    })

    it('stops a loop at once when it is closed in it', async () => {
      using object = openContract(tested.make()).load()
      const ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      produce(object, 10)
      const seen: bigint[] = []
      for await (const { sequence } of ring) {
        seen.push(sequence)
        ring.close()
      }
      expect(seen).toEqual([0n])
    })

    it('ends an iteration that waits', async () => {
      using object = openContract(tested.make()).load()
      const ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const iteration = ring[Symbol.asyncIterator]()
      const waiting = iteration.next()
      expect(await iteration.return?.()).toEqual({ done: true, value: undefined })
      expect(await waiting).toEqual({ done: true, value: undefined })
      expect(ring.closed).toBe(true)
    })

    it('answers several next() in turn', async () => {
      using object = openContract(tested.make()).load()
      const ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const iteration = ring[Symbol.asyncIterator]()
      const answers = Promise.all([iteration.next(), iteration.next(), iteration.next()])
      produce(object, 3)
      expect((await answers).map(({ value }) => value?.sequence)).toEqual([0n, 1n, 2n])
      ring.close()
    })

    it('outlives its object', async () => {
      const object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const seen: bigint[] = []
      produce(object, 2)
      object.close()
      ring.on('event', ({ sequence }) => seen.push(sequence))
      await vi.waitFor(() => expect(seen).toEqual([0n, 1n]))
    })

    it('is iterated or listened to, not both', () => {
      using object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      ring.on('event', () => {})
      expect(() => ring.batches()).toThrow(/listen or iterate/)
    })

    it('lets nothing else take records while it is iterated', async () => {
      using object = openContract(tested.make()).load()
      produce(object, 3)
      const ring = object.map('ring').ringBuffer<Sample>({ type: 'sample' })
      const seen: bigint[] = []
      for await (const { sequence } of ring) {
        expect(code(() => ring.consume())).toBe('BAD_PHASE')
        expect(code(() => ring.resume())).toBe('BAD_PHASE')
        expect(code(() => ring.on('event', () => {}))).toBe('BAD_PHASE')
        seen.push(sequence)
        if (seen.length === 3) break
      }
      expect(seen).toEqual([0n, 1n, 2n])
    })

    it('goes on without its counter of losses when that is closed', async () => {
      const object = openContract(tested.make()).load()
      using ring = object.map('ring').ringBuffer<Sample>({
        type: 'sample',
        dropped: () => object.bss['lost'] as bigint,
      })
      const seen: bigint[] = []
      produce(object, 2)
      object.close()
      ring.on('event', ({ sequence }) => seen.push(sequence))
      await vi.waitFor(() => expect(seen).toEqual([0n, 1n]))
      expect(ring.drops).toBe(0)
    })

    it.each([
      ['a map of another type', 'counters', {}, 'BAD_VALUE'],
      ['an unknown type', 'ring', { type: 'smaple' }, 'NOT_FOUND'],
      ['a batch of nothing', 'ring', { batchBytes: 0 }, 'BAD_VALUE'],
      ['a batch of a fraction', 'ring', { batchRecords: 1.5 }, 'BAD_VALUE'],
      ['a batch smaller than a word', 'ring', { batchBytes: 7 }, 'BAD_VALUE'],
      ['a period of an hour', 'ring', { floodPeriodMs: 3_600_000 }, 'BAD_VALUE'],
      ['a signal that is none', 'ring', { signal: {} as AbortSignal }, 'BAD_VALUE'],
      ['a decoder that is none', 'ring', { decode: 5 as never }, 'BAD_VALUE'],
      ['a type that is no name', 'ring', { type: 5 as never }, 'BAD_VALUE'],
      ['a counter that is none', 'ring', { dropped: 5 as never }, 'BAD_VALUE'],
      ['a style of integers that is none', 'ring', { int64: 'x' as never }, 'BAD_VALUE'],
    ])('refuses %s', (_what, map, options, expected) => {
      using object = openContract(tested.make()).load()
      expect(code(() => object.map(map).ringBuffer(options))).toBe(expected)
    })
  },
  SYSCALL_PROGRAMS,
)

/** Messages of the exceptions that nobody caught while `action` ran. The test runner's own handlers step aside. */
async function uncaughtExceptions(action: () => Promise<void>): Promise<readonly string[]> {
  const messages: string[] = []
  const others = process.rawListeners('uncaughtException') as NodeJS.UncaughtExceptionListener[]
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => messages.push(error.message))
  try {
    await action()
    await sleep(5)
  } finally {
    process.removeAllListeners('uncaughtException')
    for (const listener of others) process.on('uncaughtException', listener)
  }
  return messages
}
