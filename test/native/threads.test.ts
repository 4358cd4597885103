/** What threads of one process share: rings, and tracing instances. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { afterEach, expect, it } from 'vitest'
import { createMap, type StandaloneMap } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { describeNative, describeSince } from '../support/require-kernel.js'
import { mountTracefs } from '../support/tracefs.js'

const workers = new Set<Worker>()
afterEach(async () => {
  for (const worker of workers) await worker.terminate()
  workers.clear()
})

/** Starts a thread with a task of threads-worker.mjs. @returns what it answers */
async function start(task: string, data: object): Promise<{ readonly worker: Worker; readonly answer: unknown }> {
  const worker = new Worker(new URL('threads-worker.mjs', import.meta.url), { workerData: { task, ...data } })
  workers.add(worker)
  const [answer] = (await once(worker, 'message')) as [unknown]
  return { worker, answer }
}

const ring = (): StandaloneMap => createMap({ kernel: 'native', type: 'ringbuf', maxEntries: 4096 })

describeNative('a ring that one thread reads', () => {
  it('is refused to another thread, until its reader is closed', async () => {
    using map = ring()
    const reader = map.ringBuffer()
    const { answer } = await start('read', { id: map.id })
    expect(answer).toMatch(/^EBUSY: .*another thread.*close\(\)/)
    reader.close()
    expect((await start('read', { id: map.id })).answer).toBe('open')
  })

  it('is free again when that thread was terminated', async () => {
    using map = ring()
    const { worker, answer } = await start('hold', { id: map.id })
    expect(answer).toBe('open')
    expect(code(() => map.ringBuffer())).toBe('EBUSY')
    await worker.terminate()
    map.ringBuffer().close()
  })
})

/** The event bpf_trace_printk(). */
describeSince('5.9')('a trace pipe in a thread that is terminated', () => {
  it('leaves no tracing instance', async () => {
    const mounted = await mountTracefs()
    try {
      const instance = `libbpf-node-test-thread-${process.pid}`
      const { worker, answer } = await start('trace', { tracefs: mounted.path, instance })
      expect(answer).toBe('open')
      const folder = `${mounted.path}/instances/${instance}`
      expect(existsSync(folder)).toBe(true)
      await worker.terminate()
      expect(existsSync(folder)).toBe(false)
    } finally {
      await mounted.close()
    }
  })
})
