/**
 * Ends of life, each in a process of its own: started by lifecycle.test.ts with the name of a scenario.
 *
 * Plain JavaScript over the bare addon: what is looked at here is C++, and workers must not depend on a TypeScript loader.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../..', import.meta.url))
const addon = process.env.LIBBPF_NODE_ADDON
  ? require(process.env.LIBBPF_NODE_ADDON)
  : require('node-gyp-build')(root)
const image = new Uint8Array(readFileSync(new URL('../../bpf/test/ring_producer.bpf.o', import.meta.url)))

function load() {
  const object = addon.openObject(image, { name: 'ring_producer' }, 'object')
  object.load()
  return object
}

function start(deliver) {
  const object = load()
  const map = object.map(
    object.mapSpecs().findIndex(({ name }) => name === 'ring'),
    'map',
  )
  const program = object.program(0, 'program')
  const reader = map.openRing(deliver, 4096, 64, 2, 8, 1)
  const produce = (count) => {
    const ctx = new Uint8Array(Uint32Array.of(0, count, 16, 0).buffer)
    program.run({ data: undefined, dataOutSize: 0, ctx, ctxOutSize: 0, repeat: 0, cpu: 0, flags: 0, batchSize: 0 })
  }
  return { object, map, program, reader, produce }
}

/** A stream that never ends: each batch makes the next one. */
function stream(onBatch = () => {}) {
  let batches = 0
  const started = start(() => {
    started.produce(70)
    onBatch(++batches)
  })
  started.produce(70)
  started.reader.resume()
  return started
}

function tellParent() {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
  parentPort.postMessage('up')
}

const inWorker = {
  stream() {
    stream((batches) => batches === 5 && tellParent())
  },
  exit() {
    stream((batches) => batches === 5 && process.exit(0))
  },
  throw() {
    stream((batches) => {
      if (batches === 5) throw new Error('on purpose')
    })
  },
  load() {
    void addon.openObject(image, { name: 'ring_producer' }, 'object').loadAsync()
    tellParent()
  },
}

async function workers(scenario, end) {
  const count = Number(process.argv[3])
  for (let i = 0; i < count; i++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: scenario })
    await new Promise((resolve) => end(worker, resolve))
  }
  console.log(`${count} workers ended`)
}

const scenarios = {
  terminate: () => workers('stream', (worker, done) => worker.on('exit', done).on('message', () => worker.terminate())),
  workerExit: () => workers('exit', (worker, done) => worker.on('exit', done)),
  workerThrow: () => workers('throw', (worker, done) => worker.on('error', () => {}).on('exit', done)),
  workerLoad: () => workers('load', (worker, done) => worker.on('exit', done).on('message', () => worker.terminate())),

  exitInSink() {
    stream((batches) => batches === 5 && process.exit(7))
  },
  exitBesideStream() {
    stream()
    setTimeout(() => process.exit(7), 20)
  },
  uncaught() {
    stream((batches) => {
      if (batches === 5) throw new Error('on purpose')
    })
  },
  async listenerThrows() {
    const messages = []
    process.on('uncaughtException', (error) => messages.push(error.message))
    const { reader } = stream((batches) => {
      if (batches <= 3) throw new Error(`batch ${batches}`)
      if (batches === 6) reader.close()
    })
    while (messages.length < 3) await sleep(1)
    console.log(messages.join(', '))
  },
  throwInConsume() {
    const messages = []
    process.on('uncaughtException', (error) => messages.push(error.message))
    const { reader, produce } = start(() => {
      throw new Error('on purpose')
    })
    produce(3)
    console.log(reader.consume(), reader.consume(), messages.join())
    reader.close()
  },

  unref() {
    const { reader } = start(() => {})
    reader.resume()
    reader.unref()
  },
  refPaused() {
    const { reader } = start(() => {})
    setTimeout(() => {
      console.log('still alive')
      reader.close()
    }, 50).unref()
  },
  async idle() {
    const { reader } = start(() => {})
    reader.resume()
    await sleep(20)
    const switches = () => Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1])
    const before = switches()
    await sleep(300)
    console.log(switches() - before < 30 ? 'asleep' : `${switches() - before} wake-ups`)
    reader.close()
  },

  async gc() {
    let batches = 0
    const alive = []
    for (let i = 0; i < 50; i++) {
      const { object, map, program, reader, produce } = start(() => batches++)
      map.info()
      program.info()
      reader.resume()
      produce(1)
      if (i % 2 === 0) object.close()
      if (i % 3 === 0) reader.close()
      else alive.push(new WeakRef(reader))
    }
    for (let i = 0; i < 5; i++) {
      globalThis.gc()
      await sleep(5)
    }
    const open = alive.map((reference) => reference.deref()).filter((reader) => reader !== undefined)
    console.log(batches, open.length, alive.length)
    for (const reader of open) reader.close()
  },
  async memoryOutlivesMap() {
    const views = []
    const maps = readFileSync(new URL('../../bpf/test/native_maps.bpf.o', import.meta.url))
    for (let i = 0; i < 20; i++) {
      const object = addon.openObject(new Uint8Array(maps), { name: 'native_maps' }, 'object')
      object.load()
      const index = object.mapSpecs().findIndex(({ name }) => name === 'mapped')
      views.push(object.map(index, 'map').memory())
      object.close()
    }
    globalThis.gc()
    await sleep(5)
    globalThis.gc()
    // The maps were collected, not closed: what was handed out must still be there.
    for (const view of views) view.fill(7)
    console.log(views.every((view) => view.length === 44 && view[43] === 7))
  },
  hostileThis() {
    const { object, map, reader } = start(() => {})
    const outcomes = new Set()
    for (const handle of [object, map, reader]) {
      const { constructor } = handle
      for (const name of Object.getOwnPropertyNames(constructor.prototype)) {
        if (name === 'constructor') continue
        for (const self of [undefined, {}, object, map, reader, new constructor(), new constructor(1, 2)]) {
          if (self === handle) continue
          try {
            constructor.prototype[name].call(self)
            outcomes.add('fine')
          } catch (error) {
            outcomes.add(error instanceof Error ? 'error' : 'other')
          }
        }
      }
    }
    console.log(outcomes.has('other') ? 'other' : 'handled')
    reader.close()
  },
}

if (isMainThread) await scenarios[process.argv[2]]()
else inWorker[workerData]()
