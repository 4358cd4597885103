/**
 * Ends of life of readers, each in a process of its own: started by readers-lifecycle.test.ts with the name of a scenario.
 *
 * It runs the built library: workers must not depend on a TypeScript loader.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { ringBuffers, TracePipe } from '../../dist/lib/index.js'
import { openProgramStream } from '../../dist/lib/program-stream.js'
import { attachOnExec, held, load, streams, u64 } from './streams.mjs'

/** Workers that are terminated one after the other as soon as they say so. @returns the sum of what they said */
async function terminateWorkers(task) {
  let said = 0
  for (let i = 0; i < Number(process.argv[3]); i++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: task })
    await new Promise((resolve) =>
      worker.on('exit', resolve).on('message', (number) => {
        said += number
        void worker.terminate()
      }),
    )
  }
  await sleep(10)
  return said
}

const left = () => ['map_id', 'prog_id', 'link_id'].flatMap((kind) => held(kind)).length

/** What a worker does until it is terminated. It says so with a number. */
const tasks = {
  stream(say) {
    attachOnExec()
    streams((batches) => batches === 10 && say(held('link_id').length))
  },
  /** Of a ring that nobody drains. */
  wait(say) {
    const ring = load('native_readers').map('commands').userRing()
    const record = new Uint8Array(8)
    while (ring.output(record));
    void ring.outputAsync(record)
    void ring.reserveAsync(8)
    say(1)
  },
}

const scenarios = {
  async terminate() {
    const attached = await terminateWorkers('stream')
    console.log(`${attached} links were attached, ${left()} maps, programs and links are left`)
  },
  async terminateWaiting() {
    const waited = await terminateWorkers('wait')
    console.log(`${waited} waited, ${left()} maps, programs and links are left`)
  },
  exit() {
    streams((batches) => batches === 10 && process.exit(7))
  },
  uncaught() {
    streams((batches) => {
      if (batches === 10) throw new Error('on purpose')
    })
  },
  unref() {
    load('native_readers')
      .map('perf')
      .perfBuffer()
      .on('event', () => {})
      .unref()
    const object = load('readers')
    ringBuffers([object.map('events'), object.map('logs')])
      .on('event', () => {})
      .unref()
    load('readers')
      .map('events')
      .ringBuffer()
      .unref()
      .on('event', () => {})
    new TracePipe({ kernel: 'native', tracefs: process.argv[4] }).on('event', () => {}).unref()
    const silent = { info: { name: 'silent' }, readStream: () => 0 }
    openProgramStream(silent, 'stdout', {}).on('event', () => {}).unref()
  },
  async idle() {
    const object = load('readers')
    const readers = [
      load('native_readers').map('perf').perfBuffer(),
      ringBuffers([object.map('events'), object.map('logs')]),
    ]
    for (const reader of readers) reader.on('event', () => {})
    await sleep(50)
    const switches = () => {
      const status = readFileSync(`/proc/self/task/${process.pid}/status`, 'utf8')
      return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)[1])
    }
    const before = switches()
    await sleep(300)
    console.log(switches() - before < 30 ? 'asleep' : `${switches() - before} wake-ups`)
    for (const reader of readers) reader.close()
  },
  /** A hundred lives: what is open must be what was open. */
  async descriptors() {
    const { readdirSync } = await import('node:fs')
    const object = load('native_readers')
    const cycle = async () => {
      const perf = object.map('perf').perfBuffer({ pages: 2 })
      const recorder = object.map('perf').perfBuffer({ pages: 2, overwritable: true })
      const commands = object.map('commands').userRing()
      object.program('send').run({ ctx: u64(0, 3) })
      for (const one of [perf, recorder, commands]) one.close()
      await sleep(1)
    }
    await cycle()
    await sleep(10)
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 100; i++) await cycle()
    await sleep(10)
    console.log(readdirSync('/proc/self/fd').length - before)
  },
}

if (isMainThread) await scenarios[process.argv[2]]()
else {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
  tasks[workerData]((number) => parentPort.postMessage(number))
}
