/** All kinds of readers keep the same contract: test/support/reader-contract.ts. */
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe } from 'vitest'
import { open, ringBuffers, TracePipe, type BpfObject } from '../../lib/index.js'
import type { KernelProgram } from '../../lib/kernel.js'
import { openProgramStream } from '../../lib/program-stream.js'
import { describeContract, objectPath, type TestedKernel } from '../support/kernels.js'
import { readerContract, type NumberSource } from '../support/reader-contract.js'
import { isVirtual } from '../support/this-machine.js'
import { mountTracefs, type Tracefs } from '../support/tracefs.js'

/** bpf_loop(), which the programs send with: Linux 5.17. */
const SINCE = '5.17'

const load = (tested: TestedKernel): BpfObject =>
  open(objectPath('test/readers'), { kernel: tested.make().choice }).load()
const words = (...numbers: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(numbers).buffer)
/** Records begin with their number, in four bytes. */
const numberIn = (record: Uint8Array): number =>
  new DataView(record.buffer, record.byteOffset).getUint32(0, true)

describeContract(
  'a ring buffer',
  (tested) => {
    function make(): NumberSource {
      const object = load(tested)
      return {
        open: (options) => object.map('events').ringBuffer({ ...options, type: 'event', dropped: true }),
        send: (count, first = 0) => object.program('send_events').run({ ctx: words(first, count) }),
        numberOf: (event) => Number((event as { readonly number: bigint }).number),
        numberIn,
        [Symbol.dispose]: () => object.close(),
      }
    }
    readerContract({ make, keepsOrder: true, tellsAvailable: true, overflow: { count: 1000, make } })
  },
  SINCE,
)

describeContract(
  'several rings on one reader',
  (tested) => {
    function make(): NumberSource {
      const object = load(tested)
      return {
        open: (options) =>
          ringBuffers(
            [
              { map: object.map('events'), type: 'event' },
              { map: object.map('logs'), type: 'log_line' },
            ],
            { ...options, dropped: true },
          ),
        send(count, first = 0) {
          const half = count >> 1
          object.program('send_events').run({ ctx: words(first, count - half) })
          if (half > 0) object.program('send_logs').run({ ctx: words(first + count - half, half) })
        },
        numberOf(item) {
          const { event } = item as { readonly event: { readonly number?: bigint; readonly level?: number } }
          return Number(event.number ?? event.level)
        },
        numberIn,
        [Symbol.dispose]: () => object.close(),
      }
    }
    readerContract({ make, keepsOrder: false, tellsAvailable: true, overflow: { count: 2000, make } })
  },
  SINCE,
)

describeContract(
  'a perf buffer',
  (tested) => {
    function make(pages: number): NumberSource {
      const object = open(objectPath('test/perf_output'), { kernel: tested.make({ cpus: 2 }).choice }).load()
      return {
        open: (options) => object.map('perf').perfBuffer({ ...options, type: 'record', pages }),
        send: (count, first = 0) =>
          object
            .program('send')
            .run({ ctx: new Uint8Array(BigUint64Array.of(BigInt(first), BigInt(count)).buffer) }),
        numberOf: (event) => (event as { readonly number: number }).number,
        numberIn,
        [Symbol.dispose]: () => object.close(),
      }
    }
    readerContract({
      make: () => make(64),
      keepsOrder: false,
      tellsAvailable: true,
      overflow: { count: 1000, make: () => make(1) },
    })
  },
  SINCE,
)

describeContract(
  'a trace pipe',
  (tested) => {
    let mounted: Tracefs | undefined
    let instances = 0
    beforeAll(async () => {
      if (tested.name === 'native') mounted = await mountTracefs()
    })
    afterAll(() => mounted?.close())

    /** @param bufferKb of each CPU, in an instance that is made for it */
    function make(bufferKb?: number): NumberSource {
      const { choice } = tested.make()
      const object = open(objectPath('test/readers'), { kernel: choice }).load()
      const tracefs = mounted?.path
      // Other programs of the machine are heard too: these lines end in a number of their own.
      const mark = process.pid * 100 + ++instances
      const instance = bufferKb === undefined ? undefined : `libbpf-node-test-${mark}`
      const folder = `${tracefs}/instances/${instance}`
      if (bufferKb !== undefined) {
        mkdirSync(folder)
        writeFileSync(`${folder}/buffer_size_kb`, String(bufferKb))
      }
      const numberOf = (message: string): number | undefined => {
        const found = /number (\d+) of (\d+)$/.exec(message)
        return Number(found?.[2]) === mark ? Number(found?.[1]) : undefined
      }
      const decoder = new TextDecoder()
      return {
        open: (options) =>
          new TracePipe({
            ...options,
            kernel: choice,
            ...(tracefs !== undefined && { tracefs }),
            ...(instance !== undefined && { instance }),
          }),
        send(count, first = 0) {
          for (let i = first; i < first + count; i++) object.program('print').run({ ctx: words(i, mark) })
        },
        numberOf: (event) => numberOf((event as { readonly message: string }).message),
        numberIn: (record) => numberOf(decoder.decode(record)),
        [Symbol.dispose]() {
          object.close()
          if (instance !== undefined) rmdirSync(folder)
        },
      }
    }
    const isCounted = tested.name === 'native' && !isVirtual
    readerContract({
      make,
      keepsOrder: false,
      tellsAvailable: false,
      ...(isCounted && { overflow: { count: 3000, make: () => make(4) } }),
    })
  },
  SINCE,
)

/** Over a program whose stream is an array. Linux's own: test/native/program-stream.test.ts. */
describe('a reader of a program’s stream', () => {
  function make(): NumberSource {
    const encoder = new TextEncoder()
    const decoder = new TextDecoder()
    let written = ''
    const program = {
      info: { name: 'say' },
      readStream(_stream: number, into: Uint8Array) {
        const { read, written: size } = encoder.encodeInto(written, into)
        written = written.slice(read)
        return size
      },
    } as unknown as KernelProgram
    const numberOf = (line: string): number => Number(line.slice('number '.length))
    return {
      open: (options = {}) => openProgramStream(program, 'stdout', { ...options, periodMs: 1 }),
      send(count, first = 0) {
        for (let i = first; i < first + count; i++) written += `number ${i}\n`
      },
      numberOf: (line) => numberOf(line as string),
      numberIn: (record) => numberOf(decoder.decode(record)),
      [Symbol.dispose]: () => {},
    }
  }
  readerContract({ make, keepsOrder: true, tellsAvailable: false })
})
