import { expect, it } from 'vitest'
import { open } from '../../lib/open.js'
import type { BpfObject } from '../../lib/index.js'
import { describeContract, objectPath, type TestKernel } from '../support/kernels.js'

/** The youngest helpers of the object are bpf_loop() and bpf_strncmp(). */
const BPF_LOOP = '5.17'

function load(kernel: TestKernel): BpfObject {
  return open(objectPath('test/helpers'), { kernel: kernel.choice }).load()
}

/** Runs a program on a context of 64-bit words. */
function run(
  object: BpfObject,
  program: string,
  words: readonly bigint[],
): { retval: number; words: readonly bigint[] } {
  const ctx = new Uint8Array(BigInt64Array.from(words).buffer)
  const result = object.program(program).run({ ctx })
  const out = result.ctx ?? new Uint8Array(0)
  return { retval: result.retval, words: [...new BigInt64Array(out.slice().buffer)] }
}

const answers = (object: BpfObject, program: string): readonly bigint[] =>
  run(object, program, [0n, 0n, 0n, 0n]).words

interface RingAnswer {
  readonly output: bigint
  readonly available: bigint
  readonly producer: bigint
}

function output(object: BpfObject, bytes: number, flags = 0): RingAnswer {
  const input = BigInt(bytes) | (BigInt(flags) << 32n)
  const [, result = 0n, available = 0n, size, consumer, producer = 0n] = run(object, 'ring_output', [
    input,
    0n,
    0n,
    0n,
    0n,
    0n,
  ]).words
  expect([size, consumer]).toEqual([4096n, 0n])
  return { output: result, available, producer }
}

describeContract(
  'map helpers',
  (tested) => {
    it('put an updated value into a new element: an old pointer shows the old value', () => {
      using object = load(tested.make())
      expect(answers(object, 'stale_pointer')).toEqual([0n, 10n, 20n, -22n])
    })

    it('walk a map until the callback says so', () => {
      using object = load(tested.make())
      const many = object.map<number, bigint>('many')
      for (let key = 0; key < 5; key++) many.set(key, BigInt(key * 10))
      expect(answers(object, 'walk')).toEqual([100n, 5n, 5n, -22n])
    })

    it('stop the walk at an element', () => {
      using object = load(tested.make())
      object.map<number, bigint>('many').set(7, 1n)
      expect(answers(object, 'walk')).toEqual([1n, 1n, 1n, -22n])
    })
  },
  BPF_LOOP,
)

describeContract(
  'other helpers',
  (tested) => {
    it('loop', () => {
      using object = load(tested.make())
      expect(answers(object, 'loop')).toEqual([10n, 285n, 0xfffffff9n, -22n])
    })

    it('loop over no more than 32 bits can say', () => {
      using object = load(tested.make())
      expect(answers(object, 'long_loop').slice(0, 2)).toEqual([0xfffffff9n, 0n])
    })

    it('format and compare text', () => {
      using object = load(tested.make())
      expect(answers(object, 'print').slice(0, 2)).toEqual([37n, -1n])
      expect(object.bss['text']).toBe('-5|   42|ab  |123456789|abcdefg')
    })

    it('read texts, and what is not there', () => {
      using object = load(tested.make())
      expect(answers(object, 'probe')).toEqual([-34n, 0n, 4n, 9n])
      expect(object.bss['text']).toBe('abcdefgh')
      expect(object.bss['cut']).toBe('abc')
    })
  },
  BPF_LOOP,
)

describeContract(
  'producers of a ring buffer',
  (tested) => {
    it('take a header and a multiple of 8 bytes for each record', () => {
      using object = load(tested.make())
      expect(output(object, 5)).toEqual({ output: 0n, available: 16n, producer: 16n })
      expect(output(object, 0)).toEqual({ output: 0n, available: 24n, producer: 24n })
      expect(output(object, 8)).toEqual({ output: 0n, available: 40n, producer: 40n })
    })

    it('refuse unknown flags', () => {
      using object = load(tested.make())
      expect(output(object, 5, 3).output).toBe(0n)
      expect(output(object, 5, 4)).toEqual({ output: -22n, available: 16n, producer: 16n })
    })

    it('never fill the ring to the last byte', () => {
      using object = load(tested.make())
      for (let i = 0; i < 15; i++) output(object, 248)
      expect(output(object, 232).output).toBe(0n)
      expect(output(object, 8)).toMatchObject({ output: -11n, available: 4080n })
      expect(output(object, 0)).toMatchObject({ output: 0n, available: 4088n })
      expect(output(object, 0)).toMatchObject({ output: -11n, available: 4088n })
    })

    it('wrap around its end, records in one piece', () => {
      using object = load(tested.make())
      using ring = object.map('ring').ringBuffer<Uint8Array>()
      const lengths: number[] = []
      ring.on('event', (bytes) => {
        expect(bytes[0]).toBe(bytes.length)
        expect(bytes.subarray(1).every((byte) => byte === 0)).toBe(true)
        lengths.push(bytes.length)
      })
      const sent: number[] = []
      for (let i = 0; i < 100; i++) {
        const length = 100 + i
        const input = BigInt(length)
        expect(run(object, 'ring_output', [input, 0n, 0n, 0n, 0n, 0n]).words[1]).toBe(0n)
        sent.push(length)
        if (i % 10 === 9) while (ring.consume() > 0);
      }
      expect(lengths).toEqual(sent)
    })

    it('keep the order of reservation, whichever is committed first', () => {
      using object = load(tested.make())
      using ring = object.map('ring').ringBuffer<Uint8Array>()
      const first: (number | undefined)[] = []
      ring.on('event', (bytes) => first.push(bytes[0]))
      expect(run(object, 'ring_crossed', [0n, 0n, 0n, 0n, 0n, 0n]).words[2]).toBe(32n)
      expect(run(object, 'ring_crossed', [1n << 32n, 0n, 0n, 0n, 0n, 0n]).retval).toBe(0)
      while (ring.consume() > 0);
      expect(first).toEqual([1, 2, 2])
    })
  },
  BPF_LOOP,
)
