import { expect, it, vi } from 'vitest'
import type { RawEvent } from '../../examples/execsnoop/process-event.js'
import { open } from '../../lib/open.js'
import { describeContract, objectPath } from '../support/kernels.js'

const [FORK, EXEC, EXIT] = [1, 2, 3]

describeContract('the execsnoop program', (tested) => {
  it("tells a process's start, execution and end, of the tree it was given", async () => {
    const kernel = tested.make()
    const spec = open(objectPath('execsnoop'), { kernel: kernel.choice })
    spec.rodata['filter_tree'] = true
    using object = spec.load()
    object.map<number, number>('tree').set(kernel.root, 1)
    using ring = object.map('events').ringBuffer<RawEvent>({ type: 'event', int64: 'number' })
    const events: RawEvent[] = []
    ring.on('event', (event) => events.push(event))
    using _links = object.attach()

    const pid = await kernel.runProcess()

    await vi.waitFor(() => expect(events.filter((event) => event.pid === pid)).toHaveLength(3))
    const [fork, exec, exit] = events.filter((event) => event.pid === pid)
    expect(fork).toMatchObject({ kind: FORK, ppid: kernel.root })
    expect(exec).toMatchObject({
      kind: EXEC,
      ppid: kernel.root,
      comm: 'true',
      filename: expect.stringMatching(/\/true$/),
    })
    expect(new TextDecoder().decode(exec?.args.subarray(0, exec.args_len))).toBe('true\0')
    expect(exit).toMatchObject({ kind: EXIT, comm: 'true', exit_code: 0 })
    expect(exit?.time_ns).toBeGreaterThanOrEqual(fork?.time_ns ?? Infinity)
    expect(exit?.duration_ns).toBe((exit?.time_ns ?? 0) - (fork?.time_ns ?? 0))
    expect(object.bss['lost_events']).toBe(0n)
    expect(object.map<number, number>('tree').has(pid)).toBe(false)
    expect(object.map('starts').has(pid)).toBe(false)
  })

  it('leaves out what lived for too short a time', async () => {
    const kernel = tested.make()
    const spec = open(objectPath('execsnoop'), { kernel: kernel.choice })
    spec.rodata['filter_tree'] = true
    spec.rodata['min_duration_ns'] = 3_600_000_000_000n
    using object = spec.load()
    object.map<number, number>('tree').set(kernel.root, 1)
    using ring = object.map('events').ringBuffer<RawEvent>({ type: 'event', int64: 'number' })
    const kinds: number[] = []
    ring.on('event', ({ kind }) => kinds.push(kind))
    using _links = object.attach()
    await kernel.runProcess()
    await vi.waitFor(() => expect(kinds).toContain(EXEC))
    while (ring.consume() > 0);
    expect(kinds).not.toContain(EXIT)
  })
})
