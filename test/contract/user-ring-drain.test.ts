/** bpf_user_ringbuf_drain() and dynptrs, number by number. */
import { expect, it } from 'vitest'
import { open, type BpfObject } from '../../lib/index.js'
import { describeContract, objectPath } from '../support/kernels.js'

const [EINVAL, E2BIG] = [-22, -7]
const NO_WAKEUP = 1n
const FORCE_WAKEUP = 2n

interface Drain {
  readonly flags?: bigint
  readonly stopAt?: number
  readonly offset?: number
}

function drain(object: BpfObject, { flags = 0n, stopAt = 0, offset = 0 }: Drain = {}): object {
  const given = new Uint8Array(40)
  const input = new DataView(given.buffer)
  input.setBigUint64(0, flags, true)
  input.setUint32(8, stopAt, true)
  input.setUint32(12, offset, true)
  const { ctx = given } = object.program('drain').run({ ctx: given })
  const [result, seen, read, written, sum, viewed] = new Int32Array(ctx.slice(16).buffer)
  return { result, seen, read, written, sum, viewed }
}

function useMemory(
  object: BpfObject,
  { flags = 0n, readFlags = 0n, size = 16, offset = 0 },
): Readonly<Record<string, number | undefined>> {
  const given = new Uint8Array(48)
  const input = new DataView(given.buffer)
  input.setBigUint64(0, flags, true)
  input.setBigUint64(8, readFlags, true)
  input.setUint32(16, size, true)
  input.setUint32(20, offset, true)
  const { ctx = given } = object.program('local_memory').run({ ctx: given })
  const [made, read, written, value, isNull] = new Int32Array(ctx.slice(24, 44).buffer)
  return { made, read, written, value, isNull }
}

const words = (...numbers: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(numbers).buffer)

describeContract(
  'draining a user ring buffer',
  (tested) => {
    const load = (): BpfObject => open(objectPath('test/user_ring'), { kernel: tested.make().choice }).load()

    it('takes what is there', () => {
      using object = load()
      using ring = object.map('commands').userRing()
      expect(drain(object)).toEqual({ result: 0, seen: 0, read: 0, written: 0, sum: 0, viewed: 0 })
      for (const number of [1, 20, 300]) ring.output(words(number, 5))
      // Programs may write records: what they look at afterwards is one more.
      expect(drain(object)).toEqual({ result: 3, seen: 3, read: 0, written: 0, sum: 321, viewed: 324 })
      expect(drain(object)).toMatchObject({ result: 0, seen: 0 })
    })

    it('ends when the callback says so', () => {
      using object = load()
      using ring = object.map('commands').userRing()
      for (const number of [1, 20, 300]) ring.output(words(number))
      expect(drain(object, { stopAt: 2 })).toMatchObject({ result: 2, sum: 21 })
      expect(drain(object)).toMatchObject({ result: 1, sum: 300 })
    })

    it('passes over what was discarded, and stops before what is not there yet', () => {
      using object = load()
      using ring = object.map('commands').userRing()
      const [first, second, third] = [4, 4, 4].map((size) => ring.reserve(size) ?? new Uint8Array())
      if (first === undefined || second === undefined || third === undefined) throw new Error('no room')
      third.set(words(7))
      ring.submit(third)
      expect(drain(object)).toMatchObject({ result: 0, seen: 0 })
      ring.discard(first)
      expect(drain(object)).toMatchObject({ result: 0, seen: 0 })
      ring.discard(second)
      expect(drain(object)).toMatchObject({ result: 1, seen: 1, sum: 7 })
    })

    it('knows the bounds of records', () => {
      using object = load()
      using ring = object.map('commands').userRing()
      for (const length of [0, 3, 8]) ring.output(new Uint8Array(length))
      expect(drain(object, { stopAt: 1 })).toMatchObject({ result: 1, read: E2BIG, written: E2BIG })
      expect(drain(object, { stopAt: 1 })).toMatchObject({
        result: 1,
        read: E2BIG,
        written: E2BIG,
        viewed: 0,
      })
      expect(drain(object, { offset: 4 })).toMatchObject({ result: 1, read: 0, written: 0, viewed: 0 })
      ring.output(words(1, 2))
      expect(drain(object, { offset: 5 })).toMatchObject({ result: 1, read: E2BIG, viewed: 1 })
      ring.output(words(1, 2))
      expect(drain(object, { offset: 0xffffffff })).toMatchObject({ read: E2BIG, written: E2BIG })
    })

    it('goes round the end', () => {
      using object = load()
      using ring = object.map('commands').userRing()
      for (let i = 0; i < 100; i++) {
        const record = new Uint8Array(1000)
        record.set(words(i), 996)
        expect(ring.output(record)).toBe(true)
        expect(drain(object, { offset: 996 })).toMatchObject({ result: 1, sum: i, read: 0 })
      }
    })

    it('takes flags for wake-ups, and no others', () => {
      using object = load()
      using ring = object.map('commands').userRing()
      ring.output(words(1))
      expect(drain(object, { flags: 4n })).toMatchObject({ result: EINVAL, seen: 0 })
      expect(drain(object, { flags: 1n << 40n })).toMatchObject({ result: EINVAL, seen: 0 })
      expect(drain(object, { flags: NO_WAKEUP | FORCE_WAKEUP })).toMatchObject({ result: 1 })
    })

    it('tells who waits for room even of nothing, if it is told to', async () => {
      using object = load()
      using ring = object.map('commands').userRing()
      while (ring.output(words(1)));
      const waiting = ring.outputAsync(words(2))
      expect(drain(object, { flags: NO_WAKEUP, stopAt: 5 })).toMatchObject({ result: 5 })
      while (ring.output(words(1)));
      expect(drain(object, { flags: NO_WAKEUP, stopAt: 5 })).toMatchObject({ result: 5 })
      setTimeout(() => drain(object, { flags: FORCE_WAKEUP, stopAt: 1 }), 5)
      await waiting
    })
  },
  '6.1',
)

describeContract(
  'dynptrs to memory',
  (tested) => {
    const load = (): BpfObject => open(objectPath('test/user_ring'), { kernel: tested.make().choice }).load()

    it('read and write within their bounds', () => {
      using object = load()
      expect(useMemory(object, { offset: 4 })).toEqual({
        made: 0,
        read: 0,
        written: 0,
        value: 0x08070605,
        isNull: 0,
      })
      expect([...(object.data['memory'] as Uint8Array)]).toEqual([
        1, 2, 3, 4, 255, 255, 255, 255, 9, 10, 11, 12, 13, 14, 15, 16,
      ])
      for (const offset of [13, 16, 17, 0xffffffff])
        expect(useMemory(object, { offset })).toMatchObject({
          made: 0,
          read: E2BIG,
          written: E2BIG,
          value: 0,
        })
      expect(useMemory(object, { size: 11, offset: 7 })).toMatchObject({ read: 0, isNull: 1 })
      expect(useMemory(object, { size: 3 })).toMatchObject({ made: 0, read: E2BIG })
      expect(useMemory(object, { size: 0 })).toMatchObject({ made: 0, read: E2BIG, isNull: 1 })
    })

    it('are null where they could not be made, and take no flags', () => {
      using object = load()
      expect(useMemory(object, { flags: 1n })).toEqual({
        made: EINVAL,
        read: EINVAL,
        written: EINVAL,
        value: 0,
        isNull: 1,
      })
      expect(useMemory(object, { readFlags: 1n })).toMatchObject({ made: 0, read: EINVAL, written: EINVAL })
      expect(useMemory(object, { readFlags: 1n << 32n })).toMatchObject({ read: EINVAL, written: EINVAL })
    })
  },
  '6.1',
)
