import { readdirSync } from 'node:fs'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { KernelObject, KernelReader, RecordSink, ReaderOptions } from '../../lib/kernel.js'
import { code } from '../support/errors.js'
import { loadNative, numbersOf, produce, RING_OPTIONS } from '../support/native.js'
import { describeSince } from '../support/require-kernel.js'

let object: KernelObject
const readers: KernelReader[] = []
beforeEach(() => {
  object = loadNative('ring_producer')
})
afterEach(() => {
  for (const reader of readers.splice(0)) reader.close()
  object.close()
})

function open(sink: RecordSink, options: Partial<ReaderOptions> = {}): KernelReader {
  const reader = object.map('ring').openRing(sink, { ...RING_OPTIONS, ...options })
  readers.push(reader)
  return reader
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(1)
}

const range = (count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i)

describeSince('5.17')('a native ring reader', () => {
  it('is paused until resume(), then delivers everything in order', async () => {
    const seen: number[] = []
    const reader = open((batch) => seen.push(...numbersOf(batch)))
    produce(object, 1000)
    await sleep(5)
    expect(seen).toEqual([])
    reader.resume()
    await until(() => seen.length === 1000)
    produce(object, 500, 16, 1000)
    await until(() => seen.length === 1500)
    expect(seen).toEqual(range(1500))
  })

  it('uses one batch object and one slab, with records 8-byte aligned', () => {
    const batches = new Set<unknown>()
    const slabs = new Set<unknown>()
    const offsets: number[] = []
    const reader = open((batch) => {
      batches.add(batch)
      slabs.add(batch.bytes)
      for (let i = 0; i < batch.count; i++) {
        offsets.push(batch.index[2 * i] ?? -1)
        expect(batch.index[2 * i + 1]).toBe(21)
      }
    })
    for (let round = 0; round < 3; round++) {
      produce(object, 10, 21)
      expect(reader.consume()).toBe(10)
    }
    expect([batches.size, slabs.size]).toEqual([1, 1])
    expect(offsets.filter((offset) => offset % 8 !== 0)).toEqual([])
    expect(reader.consume()).toBe(0)
  })

  it('takes no more than a batch of records at once, and loses none between batches', () => {
    const sizes: number[] = []
    const seen: number[] = []
    const reader = open(
      (batch) => {
        sizes.push(batch.count)
        seen.push(...numbersOf(batch))
      },
      { batchRecords: 64 },
    )
    produce(object, 200)
    while (reader.consume() > 0);
    expect(sizes).toEqual([64, 64, 64, 8])
    expect(seen).toEqual(range(200))
  })

  it('takes no more than a batch of bytes at once, and loses none between batches', () => {
    const seen: number[] = []
    const reader = open((batch) => seen.push(...numbersOf(batch)), { batchBytes: 256 })
    produce(object, 100, 40)
    let batches = 0
    while (reader.consume() > 0) batches++
    expect(seen).toEqual(range(100))
    expect(batches).toBe(Math.ceil(100 / 6))
  })

  it('lets other work run between batches', async () => {
    const counts: number[] = []
    let turns = 0
    const reader = open((batch) => counts.push(batch.count), { batchRecords: 10 })
    produce(object, 1000)
    reader.resume()
    for (; counts.length < 100; turns++) await turn()
    expect(counts).toEqual(Array.from({ length: 100 }, () => 10))
    // One batch a turn; two where a turn of the loop has both a wake-up and a tick.
    expect(turns).toBeGreaterThan(40)
  })

  it('delivers a record that waits for room although the ring stays silent', async () => {
    const seen: number[] = []
    const reader = open((batch) => seen.push(...numbersOf(batch)), { batchBytes: 64 })
    produce(object, 2, 48)
    reader.resume()
    await until(() => seen.length === 2)
    expect(seen).toEqual([0, 1])
  })

  it('grows for a record that is larger than its slab', () => {
    const lengths: number[] = []
    let slab = 0
    const reader = open(
      ({ count, bytes, index }) => {
        slab = bytes.length
        for (let i = 0; i < count; i++) lengths.push(index[2 * i + 1] ?? -1)
      },
      { batchBytes: 64 },
    )
    produce(object, 1, 8)
    produce(object, 1, 10_000)
    produce(object, 1, 8)
    while (reader.consume() > 0);
    // The first look at a record that is too large takes none.
    while (reader.consume() > 0);
    expect(lengths).toEqual([8, 10_000, 8])
    expect(slab).toBeGreaterThanOrEqual(10_000)
  })

  it('delivers a first record that is larger than the slab', async () => {
    const lengths: number[] = []
    open(({ index }) => lengths.push(index[1] ?? -1), { batchBytes: 8 }).resume()
    produce(object, 1, 16_000)
    await until(() => lengths.length === 1)
    expect(lengths).toEqual([16_000])
  })

  it('leaves records in the ring while paused: the producer counts what finds no room', async () => {
    let count = 0
    const reader = open((batch) => (count += batch.count))
    reader.resume()
    produce(object, 10)
    await until(() => count === 10)
    reader.pause()
    // 64 KiB hold 2730 records of 16 bytes with their headers.
    const dropped = produce(object, 5000)
    expect(dropped).toBeGreaterThanOrEqual(5000 - 2731)
    await sleep(5)
    expect(count).toBe(10)
    reader.resume()
    await until(() => count === 10 + 5000 - dropped)
    expect(produce(object, 10)).toBe(0)
  })

  it('keeps delivering under flood, and after it', async () => {
    const seen: number[] = []
    const reader = open((batch) => seen.push(...numbersOf(batch)), {
      floodIntervalMs: 1000,
      floodWakeups: 2,
      floodPeriodMs: 1,
    })
    reader.resume()
    for (let i = 0; i < 50; i++) {
      produce(object, 100, 16, i * 100)
      await turn()
      if (i % 10 === 9) await until(() => seen.length === (i + 1) * 100)
    }
    await until(() => seen.length === 5000)
    await sleep(10)
    produce(object, 1, 16, 5000)
    await until(() => seen.length === 5001)
    expect(seen).toEqual(range(5001))
  })

  it('stays whole when a sink transfers the memory of a batch away', () => {
    const seen: number[] = []
    const reader = open((batch) => {
      seen.push(...numbersOf(batch))
      structuredClone(batch.bytes.buffer, { transfer: [batch.bytes.buffer as ArrayBuffer] })
      structuredClone(batch.index.buffer, { transfer: [batch.index.buffer as ArrayBuffer] })
    })
    for (let i = 0; i < 5; i++) {
      produce(object, 3, 16, i * 3)
      reader.consume()
    }
    expect(seen).toEqual(range(15))
  })

  it('runs process.nextTick() and promises after each batch', async () => {
    const order: string[] = []
    const reader = open(
      () => {
        order.push('batch')
        process.nextTick(() => order.push('tick'))
        void Promise.resolve().then(() => order.push('promise'))
      },
      { batchRecords: 1 },
    )
    produce(object, 3)
    reader.resume()
    await until(() => order.length === 9)
    expect(order.join(' ')).toBe(Array.from({ length: 3 }, () => 'batch tick promise').join(' '))
  })

  it('may be closed, paused and resumed from inside the sink', async () => {
    let batches = 0
    const reader = open(
      () => {
        batches++
        reader.pause()
        reader.resume()
        if (batches === 3) reader.close()
      },
      { batchRecords: 1 },
    )
    produce(object, 10)
    reader.resume()
    await until(() => batches === 3)
    await sleep(5)
    expect(batches).toBe(3)
    expect(code(() => reader.consume())).toBe('CLOSED')
  })

  it('refuses consume() from inside the sink', () => {
    const codes: unknown[] = []
    const reader = open(() => codes.push(code(() => reader.consume())))
    produce(object, 1)
    expect(reader.consume()).toBe(1)
    expect(codes).toEqual(['BAD_PHASE'])
  })

  it('outlives its object, and is closed any number of times', async () => {
    let count = 0
    const reader = open((batch) => (count += batch.count))
    produce(object, 5)
    object.close()
    reader.resume()
    await until(() => count === 5)
    reader.close()
    reader.close()
    for (const call of ['consume', 'pause', 'resume', 'ref', 'unref'] as const) {
      expect(code(() => reader[call]())).toBe('CLOSED')
    }
  })

  it('refuses options out of range', () => {
    for (const wrong of [
      { batchBytes: 0 },
      { batchBytes: 2 ** 31 },
      { batchRecords: 0 },
      { batchRecords: 1.5 },
      { floodWakeups: -1 },
      { floodPeriodMs: Number.NaN },
    ]) {
      expect(code(() => open(() => {}, wrong))).toBe('BAD_VALUE')
    }
  })

  it('leaves no file descriptor behind', async () => {
    const cycle = async () => {
      let count = 0
      const reader = object.map('ring').openRing((batch) => (count += batch.count), RING_OPTIONS)
      reader.resume()
      produce(object, 3)
      await until(() => count === 3)
      reader.close()
      await turn()
    }
    await cycle()
    // What earlier tests closed goes with libuv's close callbacks.
    await sleep(5)
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 50; i++) await cycle()
    await sleep(5)
    expect(readdirSync('/proc/self/fd').length).toBe(before)
  })
})
