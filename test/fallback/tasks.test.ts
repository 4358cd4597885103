import { describe, expect, it } from 'vitest'
import { createKernel } from '../../lib/fallback/index.js'
import { assemble } from '../../lib/isa/assemble.js'
import { code } from '../support/errors.js'
import { createMap } from '../../lib/create-map.js'
import { open } from '../../lib/open.js'
import { RAW_PROGRAM, rawObject } from '../support/raw-object.js'
import { objectUrl, openOn } from '../support/fallback.js'

interface Event {
  readonly kind: number
  readonly pid: number
  readonly ppid: number
  readonly uid: number
  readonly comm: string
  readonly filename: string
  readonly args: Uint8Array
  readonly args_len: number
  readonly exit_code: number
  readonly duration_ns: number
}

/** execsnoop on a kernel of its own, and what it sent so far. */
function execsnoop() {
  const { kernel, spec } = openOn('execsnoop')
  const object = spec.load()
  const links = object.attach()
  const ring = object.map('events').ringBuffer<Event>({ type: 'event', int64: 'number' })
  const events: Event[] = []
  ring.on('event', (event) => events.push(event))
  return {
    kernel,
    events: (): readonly Event[] => {
      while (ring.consume() > 0);
      return events
    },
    clear: (): void => void (events.length = 0),
    [Symbol.dispose](): void {
      ring.close()
      links.close()
      object.close()
    },
  }
}

describe('simulated tasks', () => {
  it('fork, execute and end as programs in Linux see it', () => {
    using run = execsnoop()
    const { kernel } = run
    const shell = kernel.tasks.spawn({ pid: 100, comm: 'bash', uid: 1000, filename: '/bin/bash' })
    const child = kernel.tasks.spawn({
      filename: '/usr/bin/curl',
      argv: ['curl', '-s', 'höst'],
      parent: shell,
    })
    kernel.clock.advance(7_000n)
    child.exit(3)
    const mine = run.events().filter(({ pid }) => pid === child.pid)
    expect(mine.map(({ kind, ppid, uid, comm }) => [kind, ppid, uid, comm])).toEqual([
      [1, 100, 1000, 'bash'],
      [2, 100, 1000, 'curl'],
      [3, 100, 1000, 'curl'],
    ])
    expect(mine[1]?.filename).toBe('/usr/bin/curl')
    expect(new TextDecoder().decode(mine[1]?.args.subarray(0, mine[1].args_len))).toBe('curl\0-s\0höst\0')
    expect(mine[2]).toMatchObject({ exit_code: 3 << 8, duration_ns: 7000 })
    expect(child.alive).toBe(false)
    expect(child.exitCode).toBe(3 << 8)
  })

  it('tell a deadly signal from a code', () => {
    using run = execsnoop()
    run.kernel.tasks.spawn({ filename: '/bin/x' }).exit({ signal: 9 })
    run.kernel.tasks.spawn({ filename: '/bin/x' }).exit({ signal: 11, core: true })
    const codes = run.events().flatMap(({ kind, exit_code }) => (kind === 3 ? exit_code : []))
    expect(codes).toEqual([9, 11 | 0x80])
  })

  it('end a process when its last thread ends', () => {
    using run = execsnoop()
    const leader = run.kernel.tasks.spawn({ filename: '/bin/server' })
    const worker = leader.thread()
    expect([worker.tgid, worker.pid === leader.pid]).toEqual([leader.pid, false])
    leader.exitThread(1)
    expect(run.events().filter(({ kind }) => kind === 3)).toEqual([])
    worker.exit(5)
    expect(run.events().filter(({ kind }) => kind === 3)).toMatchObject([
      { pid: leader.pid, exit_code: 5 << 8 },
    ])
  })

  it('share memory with a forked child until it executes something', () => {
    using run = execsnoop()
    const parent = run.kernel.tasks.spawn({ filename: '/bin/p', argv: ['p', 'one'] })
    const child = parent.fork()
    parent.exit()
    run.kernel.tasks.current = child
    expect(run.kernel.fire('tp_btf/sched_process_exec', [child, 0, { filename: 'again' }])).toHaveLength(1)
    const last = run.events().at(-1)
    expect(new TextDecoder().decode(last?.args.subarray(0, last.args_len))).toBe('p\0one\0')
    expect(child.parent).toBe(run.kernel.tasks.init)
  })

  it('take arguments whose members exist, in the program or in Linux', () => {
    using run = execsnoop()
    const { kernel } = run
    const fire = (bprm: Record<string, unknown>): unknown =>
      kernel.fire('tp_btf/sched_process_exec', { p: kernel.tasks.current, bprm: bprm as never })
    expect(fire({ filename: 'x', interp: 'y' })).toHaveLength(1)
    expect(code(() => fire({ nosuch: 1 }))).toBe('BAD_VALUE')
    expect(() => fire({ filenam: 'x' })).toThrow(
      /linux_binprm\.filenam: there is no such member\. Did you mean 'filename'/,
    )
    const bprm = kernel.struct('linux_binprm', { nosuch: 1 })
    expect(code(() => kernel.fire('tp_btf/sched_process_exec', { bprm }))).toBe('BAD_VALUE')
  })

  it('are current as a test says', () => {
    const { kernel, spec } = openOn('test/fallback_core')
    using object = spec.load()
    using _link = object.program('raw_exit').attach()
    kernel.tasks.current = { pid: 43, tgid: 42, comm: 'worker', parent: { pid: 5, comm: 'starter' } }
    const { current } = kernel.tasks
    expect([current.comm, current.parent?.comm, current.leader.pid]).toEqual(['worker', 'starter', 42])
    kernel.fire('raw_tp/sched_process_exit', { p: current, group_dead: true })
    expect(object.bss['raw']).toEqual([43n, 1n, (42n << 32n) | 43n])
    kernel.tasks.current = { pid: 43, comm: 'renamed', fields: { pid: 7 } }
    expect(kernel.tasks.current).toBe(current)
    kernel.fire('raw_tp/sched_process_exit', [current])
    expect(object.bss['raw']).toEqual([7n, 0n, (42n << 32n) | 43n])
  })

  it.each(['wasm', 'interpreter'] as const)('tell programs of each engine who they are: %s', (engine) => {
    const kernel = createKernel({ engine })
    const code = `
      r6 = r1
      call 14
      *(u64 *)(r6 + 0) = r0
      call 15
      *(u64 *)(r6 + 8) = r0
      r0 = 0
      exit`
    using object = open(rawObject(assemble(code)), { kernel }).load()
    const who = (): readonly number[] => {
      const { ctx } = object.program(RAW_PROGRAM).run({ ctx: new Uint8Array(16) })
      return [...new Uint32Array(ctx?.slice().buffer ?? new ArrayBuffer(0))]
    }
    expect(who()).toEqual([1, 1, 0, 0])
    kernel.tasks.current = { pid: 43, tgid: 42, uid: 0xffff_fffe, gid: 7 }
    expect(who()).toEqual([43, 42, 0xffff_fffe, 7])
    const { current } = kernel.tasks
    current.uid = 1
    kernel.tasks.init.gid = 9
    expect(who()).toEqual([43, 42, 1, 7])
    // Memory that grows takes the words along.
    using _large = createMap({ kernel, type: 'array', key: 'u32', value: 'u64', maxEntries: 1 << 20 })
    expect(who()).toEqual([43, 42, 1, 7])
    current.exit()
    expect(who()).toEqual([1, 1, 0, 9])
  })

  it.each<[string, () => void, string]>([
    ['a pid that is taken', () => createKernel().tasks.spawn({ pid: 1, filename: '/x' }), 'BAD_VALUE'],
    ['a pid that is none', () => createKernel().tasks.spawn({ pid: -1, filename: '/x' }), 'BAD_VALUE'],
    [
      'an exit code out of range',
      () => createKernel().tasks.spawn({ filename: '/x' }).exit(256),
      'BAD_VALUE',
    ],
    [
      'a signal out of range',
      () => createKernel().tasks.spawn({ filename: '/x' }).exit({ signal: 0 }),
      'BAD_VALUE',
    ],
    ['a task without a pid', () => void (createKernel().tasks.current = { comm: 'x' } as never), 'BAD_VALUE'],
    ['a uid below 0', () => createKernel().tasks.spawn({ uid: -1, filename: '/x' }), 'BAD_VALUE'],
    ['a clock that runs backwards', () => createKernel().clock.advance(-1n), 'BAD_VALUE'],
    ['no CPUs', () => createKernel({ cpus: 0 }), 'BAD_VALUE'],
    ['a CPU that is not there', () => void (createKernel({ cpus: 2 }).cpu = 2), 'BAD_VALUE'],
  ])('refuse %s', (_what, act, expected) => {
    expect(code(act)).toBe(expected)
  })

  it('do nothing after their end', () => {
    const task = createKernel().tasks.spawn({ filename: '/x' })
    task.exit()
    expect(code(() => task.exit())).toBe('BAD_PHASE')
    expect(code(() => task.fork())).toBe('BAD_PHASE')
    expect(code(() => task.exec('/y'))).toBe('BAD_PHASE')
  })

  it('leave no memory behind', () => {
    using run = execsnoop()
    const { kernel } = run
    const live = (): void => {
      for (let i = 0; i < 200; i++) {
        const task = kernel.tasks.spawn({ filename: `/bin/program-${i}`, argv: ['x'.repeat(1000)] })
        task.thread()
        task.exit()
      }
    }
    live()
    const before = kernel.usedBytes
    for (let i = 0; i < 5; i++) live()
    expect(kernel.usedBytes).toBeLessThanOrEqual(before + 200_000)
  })

  it('are seen right, however many there were before', () => {
    using run = execsnoop()
    const names = Array.from({ length: 300 }, (_, i) => `/bin/program-${i}`)
    const seen: string[] = []
    for (const filename of names) {
      run.kernel.tasks.spawn({ filename, argv: [filename] }).exit()
      seen.push(...run.events().flatMap(({ kind, filename }) => (kind === 2 ? filename : [])))
      run.clear()
    }
    expect(seen).toEqual(names)
  })
})

describe('tracepoints', () => {
  it('run all kinds of programs in the order in which they were attached, until they are detached', () => {
    const { kernel, spec } = openOn('test/fallback_core')
    using object = spec.load()
    using other = open(objectUrl('execsnoop'), { kernel }).load()
    const first = other.program('handle_exit').attach()
    using _second = object.program('raw_exit').attach()
    const fire = (target: string) =>
      kernel.fire(target, [kernel.tasks.current, true]).map(({ program }) => program)
    expect(fire('tp_btf/sched_process_exit')).toEqual(['handle_exit', 'raw_exit'])
    first.close()
    using _again = other.program('handle_exit').attach()
    expect(fire('raw_tp/sched_process_exit')).toEqual(['raw_exit', 'handle_exit'])
  })

  it('are found by name, or named', () => {
    const kernel = createKernel()
    const spec = open(objectUrl('test/fallback_core'), { kernel })
    expect(code(() => spec.load())).toBe('ESRCH')
    expect(() => kernel.fire('tp_btf/sched_process_exce')).toThrow(/sched_process_exec/)
    expect(() => kernel.fire('tp_bft/sched_process_exec')).toThrow(
      /Did you mean 'tp_btf\/sched_process_exec'/,
    )
    expect(code(() => kernel.fire('tracepoint/sched/sched_process_exec'))).toBe('UNSUPPORTED')
  })

  it.each([
    ['an unknown argument', { q: 1 }],
    ['too many arguments', [null, false, 3]],
    ['an object for a scalar', { group_dead: {} }],
    ['a fraction', { group_dead: 0.5 }],
  ])('refuse %s', (_what, args) => {
    expect(code(() => createKernel().fire('raw_tp/sched_process_exit', args as never))).toBe('BAD_VALUE')
  })

  it('hand scalars on without a sign, as wide as their type', () => {
    const { kernel, spec } = openOn('test/fallback_core')
    kernel.tracepoints.define('sched_process_exit', [
      { name: 'p', type: 'struct task_struct *' },
      { name: 'code', type: 'int' },
    ])
    using object = spec.load()
    using _link = object.program('raw_exit').attach()
    kernel.fire('raw_tp/sched_process_exit', [kernel.tasks.current, -1])
    expect((object.bss['raw'] as readonly bigint[])[1]).toBe(0xffffffffn)
    expect(code(() => kernel.tracepoints.define('sched_process_exit', []))).toBe('EBUSY')
  })

  it('run on demand with a context of 64-bit words', () => {
    using object = openOn('test/fallback_core').spec.load()
    const run = object.program('raw_sum').run({ ctx: new Uint8Array(BigUint64Array.of(40n, 2n).buffer) })
    expect(run.retval).toBe(42)
    expect(run.ctx).toBeUndefined()
  })

  it('run on no less than the context that they read, and say so before they start', () => {
    using object = openOn('test/fallback_core').spec.load()
    expect(code(() => object.program('raw_sum').run({ ctx: new Uint8Array(8) }))).toBe('EINVAL')
    expect(code(() => object.program('raw_sum').run({}))).toBe('EINVAL')
    expect(object.program('raw_sum').run({ ctx: new Uint8Array(16) }).retval).toBe(0)
  })
})
