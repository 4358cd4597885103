import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { createKernel } from '../../lib/fallback/index.js'
import type { RecordBatch } from '../../lib/kernel.js'
import { open } from '../../lib/open.js'
import { readObject } from '../../lib/read-object.js'
import { code } from '../support/errors.js'
import { kernelWithProbe, objectUrl, openOn } from '../support/fallback.js'

const RING = { batchBytes: 64, batchRecords: 100, floodIntervalMs: 1, floodWakeups: 0, floodPeriodMs: 1 }
const VMLINUX = '/sys/kernel/btf/vmlinux'

function ringInput(bytes: number, flags = 0): Uint8Array {
  const words = new BigInt64Array(6)
  words[0] = BigInt(bytes) | (BigInt(flags) << 32n)
  return new Uint8Array(words.buffer)
}

/** The helpers object below the seam, and a reader of its ring. */
function ringBelowTheSeam(sink: (lengths: readonly number[], batch: RecordBatch) => void) {
  const kernel = createKernel()
  const object = kernel.openObject(readObject(objectUrl('test/helpers')), { name: 'helpers' })
  object.load()
  const reader = object.map('ring').openRing((batch) => {
    sink(
      Array.from({ length: batch.count }, (_, i) => batch.index[2 * i + 1] ?? -1),
      batch,
    )
  }, RING)
  const send = (bytes: number, flags = 0): void => {
    object.program('ring_output').run({ ctx: ringInput(bytes, flags) })
  }
  return { reader, send, object }
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

describe('a reader of a ring buffer', () => {
  it('is paused at first, then takes what is there, a batch a turn', async () => {
    const batches: (readonly number[])[] = []
    const { reader, send } = ringBelowTheSeam((lengths) => batches.push(lengths))
    for (const bytes of [10, 20, 30, 200, 5]) send(bytes)
    await turn()
    expect(batches).toEqual([])
    reader.resume()
    expect(batches).toEqual([])
    await vi.waitFor(() => expect(batches).toEqual([[10, 20], [30], [200], [5]]))
    reader.close()
  })

  it('wakes up by the flags of the producer', async () => {
    const batches: (readonly number[])[] = []
    const { reader, send } = ringBelowTheSeam((lengths) => batches.push(lengths))
    reader.resume()
    send(8, 1) // BPF_RB_NO_WAKEUP
    await turn()
    expect(batches).toEqual([])
    send(16) // the consumer hasn't caught up: no wake-up of its own
    await turn()
    expect(batches).toEqual([])
    send(24, 2) // BPF_RB_FORCE_WAKEUP
    await vi.waitFor(() => expect(batches).toEqual([[8, 16, 24]]))
    reader.close()
  })

  it('goes on behind an exception of its sink, which is not lost', async () => {
    const uncaught: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => uncaught.push(error))
    try {
      const problem = new Error('from the sink')
      const seen: number[] = []
      const { reader, send } = ringBelowTheSeam((lengths) => {
        seen.push(...lengths)
        if (seen.length === 1) throw problem
      })
      reader.resume()
      send(60)
      send(61)
      await vi.waitFor(() => expect(seen).toEqual([60, 61]))
      await vi.waitFor(() => expect(uncaught).toEqual([problem]))
      reader.close()
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const listener of listeners) process.on('uncaughtException', listener)
    }
  })

  it('keeps a batch as it is while paused by its sink', async () => {
    const firstBytes: (number | undefined)[] = []
    const { reader, send } = ringBelowTheSeam((_lengths, { bytes }) => {
      firstBytes.push(bytes[0])
      reader.pause()
    })
    send(50)
    send(51)
    reader.resume()
    await vi.waitFor(() => expect(firstBytes).toEqual([50]))
    expect(reader.consume()).toBe(1)
    expect(firstBytes).toEqual([50, 51])
    expect(reader.consume()).toBe(0)
    reader.close()
    expect(code(() => reader.consume())).toBe('CLOSED')
  })

  it('outlives its object, and gives the memory back at the end', () => {
    const kernel = createKernel()
    const before = kernel.usedBytes
    const object = kernel.openObject(readObject(objectUrl('test/helpers')), { name: 'helpers' })
    object.load()
    const reader = object.map('ring').openRing(() => {}, RING)
    object.program('ring_output').run({ ctx: ringInput(9) })
    object.close()
    expect(reader.consume()).toBe(1)
    reader.close()
    reader.close()
    expect(kernel.usedBytes).toBe(before)
  })
})

describe('the fallback kernel', () => {
  it('counts on the CPU that it is told', () => {
    const { kernel, spec } = openOn('test/helpers', { cpus: 3 })
    using object = spec.load()
    for (const cpu of [0, 2, 2]) {
      kernel.cpu = cpu
      object.program('count_here').run({ ctx: new Uint8Array(32) })
    }
    expect(object.map<number, bigint[]>('slots').get(1)).toEqual([1n, 0n, 2n])
    expect(object.map<number, bigint[]>('cpus').get(1)).toEqual([1n, 0n, 2n])
  })

  it('keeps what programs print', () => {
    const { kernel, spec } = openOn('test/helpers')
    using object = spec.load()
    const heard: string[] = []
    const stop = kernel.printk.listen(({ text, pid }) => heard.push(`${pid}: ${text}`))
    object.program('print').run({ ctx: new Uint8Array(32) })
    stop()
    object.program('print').run({ ctx: new Uint8Array(32) })
    expect(heard).toEqual(['1: pid 7 says abcdefgh'])
    expect(kernel.printk.lines.map(({ text }) => text)).toEqual([
      'pid 7 says abcdefgh',
      'pid 7 says abcdefgh',
    ])
  })

  it('has a clock that stands still, or one that runs', () => {
    const still = createKernel().clock
    const before = still.now()
    still.advance(1n)
    expect(still.now()).toBe(before + 1n)
    const running = createKernel({ clock: 'real' }).clock
    const start = running.now()
    running.advance(10n ** 15n)
    expect(running.now() - start).toBeGreaterThanOrEqual(10n ** 15n)
  })

  it('stops a program that runs for too long', () => {
    using object = openOn('test/helpers', { fuel: 100 }).spec.load()
    expect(() => object.program('loop').run({ ctx: new Uint8Array(32) })).toThrow(/fuel/)
  })

  it('runs by type: on demand, or attached', () => {
    using object = openOn('execsnoop').spec.load()
    expect(() => object.program('handle_exit').run()).toThrow(
      /tracing.*tp_btf\/sched_process_exit.*kernel\.fire/s,
    )
    using other = openOn('test/helpers').spec.load()
    expect(code(() => other.program('loop').attach())).toBe('UNSUPPORTED')
    expect(code(() => other.program('loop').run({ data: new Uint8Array(8) }))).toBe('EINVAL')
    expect(code(() => other.program('loop').run({ ctx: new Uint8Array(65_536) }))).toBe('EINVAL')
  })

  it('leaves nothing behind of an object that could not be loaded', () => {
    const kernel = kernelWithProbe()
    const before = kernel.usedBytes
    const spec = open(objectUrl('test/fallback_core'), { kernel })
    spec.rodata['use_missing'] = true
    spec.programs['read_missing']!.autoload = true // it is in the object
    expect(code(() => spec.load())).toBe('RELOCATION_FAILED')
    expect(kernel.usedBytes).toBe(before)
  })

  it.skipIf(!existsSync(VMLINUX))("lays its objects out as the host's Linux does", () => {
    const kernel = createKernel({ btf: readFileSync(VMLINUX) })
    using object = open(objectUrl('execsnoop'), { kernel }).load()
    using _links = object.attach()
    using ring = object
      .map('events')
      .ringBuffer<{ kind: number; uid: number; comm: string; filename: string }>({ type: 'event' })
    const events: unknown[] = []
    ring.on('event', ({ kind, uid, comm, filename }) => events.push([kind, uid, comm, filename]))
    kernel.tasks.spawn({ filename: '/bin/true', uid: 5 }).exit(0)
    while (ring.consume() > 0);
    expect(events).toEqual([
      [1, 5, 'init', ''],
      [2, 5, 'true', '/bin/true'],
      [3, 5, 'true', ''],
    ])
  })
})
