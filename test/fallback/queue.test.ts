/** Queues, stacks and bloom filters between programs and user space. */
import { expect, it } from 'vitest'
import { openOn } from '../support/fallback.js'

const ENOENT = -2

function argument(input: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(input), 0n).buffer)
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
  const run = (): unknown => {
    move.run({ ctx: argument(0) })
    return [object.bss['status'], object.bss['out']]
  }
  expect(run()).toEqual([0, 11])
  expect(run()).toEqual([0, 12])
  expect(run()).toEqual([ENOENT, 12])
  expect(stack.peek()).toBe(12)
  expect(filter.mayContain(11)).toBe(true)
  const look = object.program('look')
  expect(look.run({ ctx: argument(12) }).retval).toBe(0)
  expect([object.bss['status'], object.bss['out']]).toEqual([0, 12])
  expect([stack.pop(), stack.pop(), stack.pop()]).toEqual([12, 11, undefined])
  expect(look.run({ ctx: argument(12) }).retval | 0).toBe(ENOENT)
})
