/** Queues, stacks and bloom filters between programs and user space. */
import { expect, it } from 'vitest'
import { openOn } from '../support/fallback.js'

const ENOENT = -2

function words(input: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(input, 0, 0).buffer)
}

function outputOf(ctx: Uint8Array | undefined): { readonly status: number; readonly out: number } {
  const view = new DataView((ctx ?? new Uint8Array(12)).buffer, ctx?.byteOffset)
  return { status: view.getInt32(4, true), out: view.getUint32(8, true) }
}

it('queues, stacks and bloom filters are shared with programs', () => {
  const { spec } = openOn('test/map_kinds')
  for (const name of ['move', 'look']) {
    const settings = spec.programs[name]
    if (settings !== undefined) settings.autoload = true
  }
  using object = spec.load()
  const queue = object.map<never, number>('queue')
  const stack = object.map<never, number>('stack')
  const filter = object.map<never, number>('filter')
  queue.push(11).push(12)
  const move = object.program('move')
  expect(outputOf(move.run({ ctx: words(0) }).ctx)).toEqual({ status: 0, out: 11 })
  expect(outputOf(move.run({ ctx: words(0) }).ctx)).toEqual({ status: 0, out: 12 })
  expect(outputOf(move.run({ ctx: words(0) }).ctx).status).toBe(ENOENT)
  expect(stack.peek()).toBe(12)
  expect(filter.mayContain(11)).toBe(true)
  expect(outputOf(object.program('look').run({ ctx: words(12) }).ctx)).toEqual({ status: 0, out: 12 })
  expect([stack.pop(), stack.pop(), stack.pop()]).toEqual([12, 11, undefined])
  expect(object.program('look').run({ ctx: words(12) }).retval | 0).toBe(ENOENT)
})
