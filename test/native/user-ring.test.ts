import { afterEach, beforeEach, expect, it } from 'vitest'
import { open, type BpfObject } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { objectPath } from '../support/kernels.js'
import { describeSince } from '../support/require-kernel.js'

interface Command {
  readonly verb: number
  readonly argument: number
}

let object: BpfObject
beforeEach(() => {
  object = open(objectPath('test/native_readers'), { kernel: 'native' }).load()
})
afterEach(() => object.close())

/** @returns how many records the program took */
const drain = (): number => object.program('drain').run().retval
const sum = (): bigint => (object.bss as { sum: bigint }).sum
const bytes = (verb: number, argument: number): Uint8Array =>
  new Uint8Array(Uint32Array.of(verb, argument).buffer)

/** User ring buffers: Linux 6.1. */
const describeNative = describeSince('6.1')

describeNative('a user ring buffer', () => {
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
