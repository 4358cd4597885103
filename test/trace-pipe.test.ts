import { expect, it, vi } from 'vitest'
import { createKernel } from '../lib/fallback/index.js'
import { open, TracePipe, type TraceMessage } from '../lib/index.js'
import { parseTraceLine } from '../lib/trace-pipe.js'
import { objectPath } from './support/kernels.js'

it.each([
  [
    '            node-1234    [001] ...11  4321.012345: bpf_trace_printk: hello: world',
    { task: 'node', pid: 1234, cpu: 1, flags: '...11', ts: 4321.012345, message: 'hello: world' },
  ],
  [
    '           <...>-77      [000] d..2. 5.000001: bpf_trace_printk: ',
    { task: '<...>', pid: 77, cpu: 0, flags: 'd..2.', ts: 5.000001, message: '' },
  ],
  [
    ' my-task 2-b-9       (   9) [127] .N.. 1.5: bpf_trace_printk: [0] a-1 [2]',
    { task: 'my-task 2-b', pid: 9, cpu: 127, flags: '.N..', ts: 1.5, message: '[0] a-1 [2]' },
  ],
  [
    '   kworker/0:1-12 [000] ..... 7.25: sched_switch: prev=1',
    { task: 'kworker/0:1', pid: 12, cpu: 0, flags: '.....', ts: 7.25, message: 'sched_switch: prev=1' },
  ],
])('takes a line of trace_pipe apart: %s', (line, expected) => {
  expect(parseTraceLine(line)).toEqual(expected)
})

it('knows what is no such line', () => {
  for (const line of ['', 'second line of a message', 'CPU:0 [LOST 12 EVENTS]']) {
    expect(parseTraceLine(line)).toBeUndefined()
  }
})

it('reads what programs print in the simulated kernel', async () => {
  const kernel = createKernel({ clock: 'manual', seed: 1 })
  kernel.clock.advance(1_500_000_000n)
  using pipe = new TracePipe({ kernel })
  using object = open(objectPath('test/readers'), { kernel }).load()
  const seen: TraceMessage[] = []
  pipe.on('event', (line) => seen.push(line))
  const { comm, pid } = kernel.tasks.current
  object.program('print').run({ ctx: new Uint8Array(Uint32Array.of(1, 2).buffer) })
  await vi.waitFor(() => expect(seen.length).toBe(1))
  expect(seen[0]).toMatchObject({ task: comm, pid, cpu: 0, message: 'number 1 of 2' })
  expect(seen[0]?.ts).toBeCloseTo(1001.5, 5)
})
