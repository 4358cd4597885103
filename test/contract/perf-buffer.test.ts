import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { FallbackKernel } from '../../lib/fallback/index.js'
import { open, type BpfObject } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath, type TestedKernel } from '../support/kernels.js'
import { patience } from '../support/patience.js'

/** Programs run on the CPU where the test does; which one, changes. */
interface PerfRecord {
  readonly number: number
  readonly text: string
}

const range = (count: number, first = 0): number[] => Array.from({ length: count }, (_, i) => first + i)

/** bpf_loop(), which fills the buffers: Linux 5.17. */
const SINCE = '5.17'

function perfBuffers(tested: TestedKernel): void {
  let object: BpfObject
  beforeEach(() => {
    object = open(objectPath('test/perf_output'), { kernel: tested.make({ cpus: 2 }).choice }).load()
  })
  afterEach(() => object.close())

  function send(count: number, first = 0): void {
    object
      .program('send')
      .run({ ctx: new Uint8Array(BigUint64Array.of(BigInt(first), BigInt(count)).buffer) })
  }

  /** Nanoseconds since boot, as programs see them. */
  const now = (): bigint =>
    object.kernel instanceof FallbackKernel ? object.kernel.clock.now() : process.hrtime.bigint()

  it('emits records as typed events, with their CPU', async () => {
    using perf = object.map('perf').perfBuffer<PerfRecord>({ type: 'record' })
    const seen: [PerfRecord, number][] = []
    perf.on('event', (event, cpu = -1) => seen.push([event, cpu]))
    send(2, 5)
    await vi.waitFor(() => expect(seen.length).toBe(2))
    expect(seen.map(([event]) => event)).toEqual([
      { number: 5, text: 'perf' },
      { number: 6, text: 'perf' },
    ])
    expect(seen.every(([, cpu]) => cpu >= 0 && cpu < object.kernel.possibleCpus)).toBe(true)
  })

  it('is iterated, across batches that are smaller than what is there', async () => {
    send(1) // nobody reads yet: there is no buffer to put it into
    const perf = object.map('perf').perfBuffer<PerfRecord>({ type: 'record', batchRecords: 7 })
    send(100)
    const seen: number[] = []
    for await (const { number } of perf) {
      seen.push(number)
      if (seen.length === 100) break
    }
    expect(seen.toSorted((a, b) => a - b)).toEqual(range(100))
  })

  it('delivers what is left of a wake-up without another one', async () => {
    const sizes: number[] = []
    using perf = object.map('perf').perfBuffer({ batchRecords: 8 })
    perf.on('batch', ({ count }) => sizes.push(count))
    send(50)
    await vi.waitFor(() => expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(50))
    expect(Math.max(...sizes)).toBe(8)
  })

  it('goes on after a pause', async () => {
    let seen = 0
    using perf = object.map('perf').perfBuffer()
    perf.on('event', () => seen++)
    perf.pause()
    send(10)
    await sleep(10)
    expect(seen).toBe(0)
    perf.resume()
    await vi.waitFor(() => expect(seen).toBe(10))
  })

  it('reports what the kernel dropped, by CPU', async () => {
    using perf = object.map('perf').perfBuffer<PerfRecord>({ type: 'record', pages: 1 })
    let seen = 0
    const drops: [number, readonly number[] | undefined][] = []
    perf.on('event', () => seen++)
    perf.on('drop', (count, byCpu) => drops.push([count, byCpu]))
    perf.pause()
    for (let cpu = 0; cpu < 4; cpu++) send(1000)
    // The kernel tells of losses with the next record that finds room on the CPU: send until each has told.
    const told = (): boolean => perf.drops + seen >= 4000
    for (let i = 0; i < 500 && !told(); i++) {
      perf.flush()
      send(1)
      seen--
      await sleep(1)
    }
    perf.flush()
    expect(perf.drops).toBeGreaterThan(0)
    expect(perf.drops).toBe((object.bss as { dropped: number }).dropped)
    for (const [count, byCpu] of drops) {
      expect(byCpu?.length).toBe(object.kernel.possibleCpus)
      expect(byCpu?.reduce((sum, one) => sum + one, 0)).toBe(count)
    }
  })

  it('waits for as many records as asked for, and flush() does not', async () => {
    using perf = object.map('perf').perfBuffer({ wakeupEvents: 1000 })
    let seen = 0
    perf.on('event', () => seen++)
    await sleep(patience(5))
    send(5)
    await sleep(20)
    expect(seen).toBe(0)
    expect(perf.available).toBeGreaterThanOrEqual(5 * 28)
    expect(perf.flush()).toBe(5)
    expect(seen).toBe(5)
  })

  it('wakes up by bytes where asked', async () => {
    using perf = object.map('perf').perfBuffer({ wakeupBytes: 64 })
    let seen = 0
    perf.on('event', () => seen++)
    send(100)
    await vi.waitFor(() => expect(seen).toBeGreaterThan(90))
  })

  it('stamps records with their times', async () => {
    using perf = object.map('perf').perfBuffer({ sampleTimestamps: true })
    const times: bigint[] = []
    perf.on('batch', (batch) => times.push(...(batch.times ?? []).slice(0, batch.count)))
    const before = now()
    send(3)
    await vi.waitFor(() => expect(times.length).toBe(3))
    const after = now()
    expect(times.every((time) => time >= before && time <= after)).toBe(true)
  })

  it('keeps the newest records in overwritable mode, and gives them once', () => {
    using perf = object.map('perf').perfBuffer<PerfRecord>({ type: 'record', overwritable: true, pages: 1 })
    const seen: number[] = []
    perf.on('event', ({ number }) => seen.push(number))
    send(5)
    expect(perf.flush()).toBe(5)
    expect(seen).toEqual(range(5))
    expect(perf.flush()).toBe(0)
    seen.length = 0
    send(10_000, 100)
    expect((object.bss as { dropped: number }).dropped).toBe(0)
    while (perf.consume() > 0);
    // A page holds 4096 / 32 records.
    expect(seen.length).toBeGreaterThan(100)
    expect(seen.length).toBeLessThanOrEqual(128)
    expect(seen).toEqual(range(seen.length, 10_100 - seen.length))
  })

  it('takes more records in overwritable mode than a batch holds', () => {
    using perf = object
      .map('perf')
      .perfBuffer<PerfRecord>({ type: 'record', overwritable: true, batchRecords: 10 })
    const seen: number[] = []
    perf.on('event', ({ number }) => seen.push(number))
    send(95)
    while (perf.consume() > 0);
    expect(seen).toEqual(range(95))
  })

  it.each([
    ['a map of another type', '.bss', {}],
    ['pages that are no power of two', 'perf', { pages: 3 }],
    ['two kinds of wake-up', 'perf', { wakeupEvents: 1, wakeupBytes: 8 }],
    ['no record at all', 'perf', { wakeupEvents: 0 }],
  ])('refuses %s', (_, map, options) => {
    expect(code(() => object.map(map).perfBuffer(options))).toBe('BAD_VALUE')
  })

  it('refuses more memory than the kernel gives', () => {
    expect(code(() => object.map('perf').perfBuffer({ pages: 1 << 20 }))).toBe('BAD_VALUE')
  })

  it('survives batches whose memory was transferred away', () => {
    using perf = object.map('perf').perfBuffer({ sampleTimestamps: true })
    let seen = 0
    perf.on('batch', ({ count, bytes, index, origins, times, lost }) => {
      seen += count
      for (const array of [bytes, index, origins, times, lost]) {
        const buffer = array?.buffer as ArrayBuffer
        structuredClone(buffer, { transfer: [buffer] })
      }
    })
    for (let i = 0; i < 5; i++) {
      send(3)
      perf.flush()
    }
    expect(seen).toBe(15)
  })
}

describeContract('a perf buffer', perfBuffers, SINCE)
