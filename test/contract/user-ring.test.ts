import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { open, type BpfObject, type UserRing } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath, type TestedKernel } from '../support/kernels.js'

interface Command {
  readonly verb: number
  readonly argument: number
}

/** User ring buffers: Linux 6.1. */
const SINCE = '6.1'

const bytes = (verb: number, argument: number): Uint8Array =>
  new Uint8Array(Uint32Array.of(verb, argument).buffer)

function userRings(tested: TestedKernel): void {
  let object: BpfObject
  beforeEach(() => {
    object = open(objectPath('test/native_readers'), { kernel: tested.make().choice }).load()
  })
  afterEach(() => object.close())

  /** @returns how many records the program took */
  const drain = (): number => object.program('drain').run().retval
  const sum = (): bigint => (object.bss as { sum: bigint }).sum

  describe('sends', () => {
    it('takes typed records to the program', () => {
      using ring = object.map('commands').userRing<Command>({ type: 'command' })
      expect(ring.output({ verb: 1, argument: 20 })).toBe(true)
      expect(ring.output({ verb: 2, argument: 22 })).toBe(true)
      expect(drain()).toBe(2)
      expect([sum(), (object.bss as { last_verb: number }).last_verb]).toEqual([42n, 2])
    })

    it('takes bytes', () => {
      using ring = object.map('commands').userRing()
      expect(ring.output(bytes(3, 7))).toBe(true)
      expect(drain()).toBe(1)
      expect(sum()).toBe(7n)
    })

    it('reserves, submits and discards, in order', () => {
      using ring = object.map('commands').userRing()
      const [first, second, third] = [ring.reserve(8), ring.reserve(8), ring.reserve(8)]
      if (first === undefined || second === undefined || third === undefined) throw new Error('no room')
      third.set(bytes(1, 1))
      ring.submit(third)
      // The first one holds up those behind it: the kernel says EBUSY or finds nothing.
      drain()
      expect(sum()).toBe(0n)
      ring.discard(second)
      first.set(bytes(1, 100))
      ring.submit(first)
      drain()
      expect(sum()).toBe(101n)
    })

    it('leaves nothing of a view that was given back', () => {
      using ring = object.map('commands').userRing()
      const view = ring.reserve(8)
      if (view === undefined) throw new Error('no room')
      ring.submit(view)
      expect(view.length).toBe(0)
      expect(code(() => ring.submit(view))).toBe('BAD_VALUE')
      expect(code(() => ring.discard(view))).toBe('BAD_VALUE')
      expect(code(() => ring.submit(new Uint8Array(8)))).toBe('BAD_VALUE')
    })

    it('discards what is reserved when it is closed, and empties the views', () => {
      const ring = object.map('commands').userRing()
      const view = ring.reserve(8)
      ring.close()
      ring.close()
      expect(view?.length).toBe(0)
      expect(code(() => ring.reserve(8))).toBe('CLOSED')
      expect(code(() => ring.output(bytes(0, 0)))).toBe('CLOSED')
      using next = object.map('commands').userRing()
      next.output(bytes(1, 9))
      drain()
      expect(sum()).toBe(9n)
    })

    it('says when it is full, and takes more once it was drained', () => {
      using ring = object.map('commands').userRing()
      let sent = 0
      while (ring.output(bytes(1, 1))) sent++
      // 16 bytes each, with the header, in 4,096.
      expect(sent).toBe(256)
      expect(ring.reserve(8)).toBeUndefined()
      let taken = 0
      for (let got = drain(); got > 0; got = drain()) taken += got
      expect(taken).toBe(sent)
      expect(ring.output(bytes(1, 1))).toBe(true)
    })

    it('refuses a record that is larger than the ring', () => {
      using ring = object.map('commands').userRing()
      expect(code(() => ring.output(new Uint8Array(8192)))).toBe('E2BIG')
      expect(code(() => ring.reserve(8192))).toBe('E2BIG')
    })

    it('refuses what it does not know', () => {
      using ring = object.map('commands').userRing<Command>({ type: 'command' })
      expect(code(() => ring.output({ verb: 'x' } as unknown as Command))).toBe('BAD_VALUE')
      expect(code(() => object.map('commands').userRing({ type: 'comand' }))).toBe('NOT_FOUND')
      expect(code(() => object.map('perf').userRing())).toBe('BAD_VALUE')
      using untyped = object.map('commands').userRing()
      expect(code(() => untyped.output({} as Uint8Array))).toBe('BAD_VALUE')
    })
  })

  describe('waiting for room', () => {
    const RECORD = 8
    let ring: UserRing
    beforeEach(() => {
      ring = object.map('commands').userRing()
      while (ring.output(bytes(1, 1)));
    })
    afterEach(() => ring.close())

    const drainAll = (): void => {
      while (drain() > 0);
    }

    it('takes no time where there is room', async () => {
      drainAll()
      await ring.outputAsync(bytes(1, 1))
      expect(await ring.reserveAsync(RECORD)).toHaveLength(RECORD)
    })

    it('ends when the program has drained, and lets the event loop run meanwhile', async () => {
      const before = sum()
      const waiting = ring.outputAsync(bytes(1, 1000))
      setTimeout(drainAll, 20)
      await waiting
      drainAll()
      expect(sum() - before).toBe(256n + 1000n)
      // Again, from the start: nothing of the first wait is left over.
      while (ring.output(bytes(1, 1)));
      const view = ring.reserveAsync(RECORD)
      setTimeout(drainAll, 20)
      ring.discard(await view)
    })

    it('ends in order', async () => {
      const order: number[] = []
      const waits = [1, 2, 3].map((number) =>
        ring.outputAsync(bytes(number, 0)).then(() => order.push(number)),
      )
      drainAll()
      await Promise.all(waits)
      expect(order).toEqual([1, 2, 3])
      drainAll()
      expect((object.bss as { last_verb: number }).last_verb).toBe(3)
    })

    it('takes a value of the type, as it was when it was given', async () => {
      using typed = object.map('commands').userRing<Command>({ type: 'command' })
      const record = bytes(1, 7)
      const before = sum()
      const waits = [typed.outputAsync({ verb: 1, argument: 5 }), typed.outputAsync(record)]
      record.fill(0xff)
      drainAll()
      await Promise.all(waits)
      drainAll()
      expect(sum() - before).toBe(256n + 12n)
    })

    it('is aborted, and those behind go on', async () => {
      const reason = new Error('enough')
      const abort = new AbortController()
      const large = ring.reserveAsync(2048, { signal: abort.signal })
      const small = ring.outputAsync(bytes(1, 1))
      abort.abort(reason)
      await expect(large).rejects.toBe(reason)
      drainAll()
      await small
      await expect(ring.outputAsync(bytes(1, 1), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    })

    it('ends with the ring', async () => {
      const waits = [ring.outputAsync(bytes(1, 1)), ring.reserveAsync(RECORD)]
      ring.close()
      for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(ring.outputAsync(bytes(1, 1))).rejects.toMatchObject({ code: 'CLOSED' })
    })

    it('is in vain for what never fits, also behind others', async () => {
      const first = ring.outputAsync(bytes(1, 1))
      const never = ring.outputAsync(new Uint8Array(8192))
      drainAll()
      await first
      await expect(never).rejects.toMatchObject({ code: 'E2BIG' })
      await expect(ring.reserveAsync(8192)).rejects.toMatchObject({ code: 'E2BIG' })
    })

    it('is what a stream does, record by record, which holds up its source', async () => {
      const stream = object
        .map('commands')
        .userRing<Command>({ type: 'command' })
        .writable({ highWaterMark: 2 })
      const before = sum()
      expect(stream.write({ verb: 1, argument: 10 })).toBe(true)
      expect(stream.write({ verb: 2, argument: 20 })).toBe(false)
      const drained = once(stream, 'drain')
      setTimeout(drainAll, 20)
      await drained
      stream.end(bytes(3, 30))
      await finished(stream)
      drainAll()
      expect(sum() - before).toBe(256n + 60n)
    })

    it('ends with a stream that is destroyed, and its ring with it', async () => {
      const own = object.map('commands').userRing()
      const stream = own.writable()
      stream.write(bytes(1, 1))
      stream.destroy()
      await once(stream, 'close')
      expect(own.closed).toBe(true)
      expect(code(() => own.writable())).toBe('CLOSED')
    })

    it('fails a stream that is given what is no record', async () => {
      drainAll()
      const own = object.map('commands').userRing()
      const stream = own.writable()
      stream.write('text')
      await expect(finished(stream)).rejects.toMatchObject({ code: 'BAD_VALUE' })
      expect(own.closed).toBe(true)
      expect(code(() => ring.writable({ highWaterMark: 0 }))).toBe('BAD_VALUE')
    })

    it('ends with the signal of the ring', async () => {
      const abort = new AbortController()
      const own = object.map('commands').userRing({ signal: abort.signal })
      const wait = own.outputAsync(bytes(1, 1))
      abort.abort()
      await expect(wait).rejects.toMatchObject({ code: 'CLOSED' })
      expect(own.closed).toBe(true)
      expect(object.map('commands').userRing({ signal: AbortSignal.abort() }).closed).toBe(true)
      expect(code(() => object.map('commands').userRing({ signal: 'now' as unknown as AbortSignal }))).toBe(
        'BAD_VALUE',
      )
    })

    it('refuses what is no signal', async () => {
      const signal = 'now' as unknown as AbortSignal
      await expect(ring.outputAsync(bytes(1, 1), { signal })).rejects.toMatchObject({ code: 'BAD_VALUE' })
    })
  })
}

describeContract('a user ring buffer', userRings, SINCE)
