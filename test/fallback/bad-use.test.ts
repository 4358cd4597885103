/** What a test may do wrong with the simulated kernel: clear errors, and nothing half done. */
import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { createKernel, type FallbackKernel } from '../../lib/fallback/index.js'
import { open } from '../../lib/open.js'
import { readObject } from '../../lib/read-object.js'
import { code } from '../support/errors.js'
import { objectUrl } from '../support/fallback.js'

const EXEC = 'tp_btf/sched_process_exec'

/** The code and message of a wrong call, which the types don't allow, and how many tasks it left behind. */
function wrong(call: (kernel: Untyped) => unknown): { code: string; message: string; tasks: number } {
  const kernel = createKernel()
  const before = [...kernel.tasks].length
  try {
    call(kernel)
  } catch (error) {
    if (!(error instanceof BpfError)) throw error
    return { code: error.code, message: error.message, tasks: [...kernel.tasks].length - before }
  }
  throw new Error('nothing was thrown')
}

/** The kernel with what matters of it left untyped. */
interface Untyped {
  fire(target?: unknown, args?: unknown): unknown
  struct(type?: unknown, fields?: unknown): unknown
  readonly tasks: {
    current: unknown
    spawn(options?: unknown): unknown
    readonly init: { fork(options?: unknown): unknown; exec(filename?: unknown, argv?: unknown): unknown }
  }
  readonly tracepoints: { define(name?: unknown, args?: unknown): unknown }
}

describe('wrong arguments', () => {
  it.each<[string, (kernel: Untyped) => unknown, RegExp]>([
    ['no tracepoint', (k) => k.fire(), /fire\(\) takes a tracepoint/],
    ['null for arguments', (k) => k.fire(EXEC, null), /in an array or by name .*not null/],
    ['a number for arguments', (k) => k.fire(EXEC, 5), /in an array or by name .*not number 5/],
    ['a fraction for a pointer', (k) => k.fire(EXEC, { p: 5.5 }), /argument p is a struct task_struct \*/],
    ['a tracepoint without arguments', (k) => k.tracepoints.define('x'), /its arguments are an array/],
    ['a tracepoint with a bad argument', (k) => k.tracepoints.define('x', [1]), /its arguments are an array/],
    ['a tracepoint without a name', (k) => k.tracepoints.define(), /a C identifier, not undefined/],
    ['no options', (k) => k.tasks.spawn(), /spawn\(\) takes options/],
    ['no file', (k) => k.tasks.spawn({}), /filename is a path/],
    ['a text for argv', (k) => k.tasks.spawn({ filename: '/x', argv: 'abc' }), /argv is an array .*'abc'/],
    ['a number for comm', (k) => k.tasks.spawn({ filename: '/x', comm: 7 }), /comm is a string/],
    ['a negative uid', (k) => k.tasks.spawn({ filename: '/x', uid: -1 }), /uid is an unsigned/],
    ['a number for fields', (k) => k.tasks.spawn({ filename: '/x', fields: 5 }), /values by member/],
    ['a pid for a parent', (k) => k.tasks.spawn({ filename: '/x', parent: 5 }), /parent is a task/],
    ['null for fork options', (k) => k.tasks.init.fork(null), /fork\(\) takes options/],
    ['nothing to execute', (k) => k.tasks.init.exec(), /filename is a path/],
    ['no task', (k) => (k.tasks.current = null), /a task has a pid/],
    ['a task with a bad name', (k) => (k.tasks.current = { pid: 5, comm: 7 }), /comm is a string/],
    ['a struct without a name', (k) => k.struct(), /struct\(\) takes a name/],
  ])('are named, and leave nothing behind: %s', (_what, call, message) => {
    const error = wrong(call)
    expect(error).toMatchObject({ code: 'BAD_VALUE', tasks: 0 })
    expect(error.message).toMatch(message)
  })

  it('of createKernel() are named', () => {
    const making = (options: unknown) => (): FallbackKernel => createKernel(options as Record<string, never>)
    expect(code(making(null))).toBe('BAD_VALUE')
    expect(making({ cpu: 2 })).toThrow(/has no option 'cpu'. Did you mean 'cpus'/)
    expect(making({ memoryBytes: 5 })).toThrow(/memoryBytes is an integer from 131072/)
  })
})

describe('the first process', () => {
  it('does not end', () => {
    const { tasks } = createKernel()
    expect(code(() => tasks.init.exit(0))).toBe('EPERM')
    expect(code(() => tasks.init.exitThread(0))).toBe('EPERM')
    expect(tasks.init.alive).toBe(true)
    tasks.spawn({ filename: '/bin/true' }).exit(0)
  })
})

describe('the memory of the simulated kernel', () => {
  it('is as large as it was told', () => {
    const load = (memoryBytes: number): void => {
      const spec = open(objectUrl('test/pointers'), { kernel: createKernel({ memoryBytes }) })
      const { values } = spec.maps
      if (values !== undefined) values.maxEntries = 100_000
      spec.load().close()
    }
    expect(code(() => load(1 << 20))).toBe('ENOMEM')
    expect(() => load(1 << 20)).toThrow(/createKernel\(\{ memoryBytes \}\) sets how many/)
    expect(() => load(4 << 20)).not.toThrow()
  })
})

describe('a sink of a ring buffer', () => {
  it('cannot consume: it would overwrite the batch that it looks at', () => {
    const object = createKernel().openObject(readObject(objectUrl('test/helpers')), { name: 'helpers' })
    object.load()
    const seen: (string | number | undefined)[] = []
    const options = { batchBytes: 64, batchRecords: 1, floodIntervalMs: 1, floodWakeups: 0, floodPeriodMs: 1 }
    const reader = object.map('ring').openRing(({ bytes }) => {
      seen.push(
        code(() => reader.consume()),
        bytes[0],
      )
    }, options)
    for (const length of [7n, 9n]) {
      const ctx = new Uint8Array(BigInt64Array.of(length, 0n, 0n, 0n, 0n, 0n).buffer)
      object.program('ring_output').run({ ctx })
    }
    expect(reader.consume()).toBe(1)
    expect(reader.consume()).toBe(1)
    expect(seen).toEqual(['BAD_PHASE', 7, 'BAD_PHASE', 9])
    reader.close()
    object.close()
  })
})
