/** Values that belong to tasks. */
import { describe, expect, it } from 'vitest'
import { createMap } from '../../lib/create-map.js'
import { createKernel } from '../../lib/fallback/index.js'
import { open, type BpfObject } from '../../lib/index.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath } from '../support/kernels.js'

const CREATE = 1n
const ENOENT = -2

function call(object: BpfObject, program: string, flags = 0n, first = 0n): number {
  const ctx = new Uint8Array(BigUint64Array.of(flags, first).buffer)
  return object.program(program).run({ ctx }).retval | 0
}

describeContract(
  'task storage',
  (tested) => {
    const load = (): BpfObject =>
      open(objectPath('test/task_storage'), { kernel: tested.make().choice }).load()

    it('has a value where one was asked for', () => {
      using object = load()
      expect(call(object, 'visit')).toBe(-1)
      expect(call(object, 'visit', CREATE)).toBe(1)
      expect(call(object, 'visit', CREATE)).toBe(2)
      expect(call(object, 'visit')).toBe(3)
      for (const flags of [2n, 3n, 1n << 32n]) expect(call(object, 'visit', flags)).toBe(-1)
      expect(call(object, 'forget')).toBe(0)
      expect(call(object, 'forget')).toBe(ENOENT)
      expect(call(object, 'visit')).toBe(-1)
      expect(call(object, 'visit', CREATE)).toBe(1)
    })

    it('begins with a value, or with zeroes', () => {
      using object = load()
      expect(call(object, 'visit_from', 0n, 40n)).toBe(-1)
      expect(call(object, 'visit_from', CREATE, 40n)).toBe(4107)
      expect(call(object, 'visit_from', CREATE, 90n)).toBe(4207)
      expect(call(object, 'forget')).toBe(0)
      expect(call(object, 'visit', CREATE)).toBe(1)
      expect(call(object, 'visit_from', CREATE, 90n)).toBe(200)
    })

    it('is there for a program that has deleted it', () => {
      using object = load()
      expect(call(object, 'forget_late')).toBe(-1)
      expect(call(object, 'visit', CREATE)).toBe(1)
      expect(call(object, 'forget_late')).toBe(2)
      expect(call(object, 'visit')).toBe(-1)
    })

    it('is made of the sizes and flags that Linux takes', () => {
      const { choice } = tested.make()
      const make = (options: object): string | undefined =>
        code(() => createMap({ kernel: choice, type: 'task_storage', value: 'u64', ...options }).close())
      expect(make({})).toBeUndefined()
      expect(make({ maxEntries: 1 })).toBe('EINVAL')
      expect(make({ key: 'u64' })).toBe('EINVAL')
      expect(make({ flags: ['BPF_F_RDONLY'] })).toBe('EINVAL')
      expect(make({ value: 'u8[65536]' })).toBe('E2BIG')
    })

    it('takes processes by their descriptors', () => {
      using object = load()
      const storage = object.map<number>('storage')
      expect(code(() => storage.get(0x7fffffff))).toBe('EBADF')
      expect(code(() => storage.delete(0x7fffffff))).toBe('EBADF')
      expect(code(() => [...storage.keys()])).toBe('ENOTSUPP')
    })
  },
  '5.14',
)

describe.each(['wasm', 'interpreter'] as const)('task storage of simulated tasks (%s)', (engine) => {
  it('is each task’s own, and goes with it', () => {
    const kernel = createKernel({ engine })
    using object = open(objectPath('test/task_storage'), { kernel }).load()
    const [first, second] = ['first', 'second'].map((comm) =>
      kernel.tasks.spawn({ comm, filename: `/bin/${comm}` }),
    )
    if (first === undefined || second === undefined) throw new Error('no tasks')
    const visit = (task: typeof first, flags = CREATE): number => {
      kernel.tasks.current = task
      return call(object, 'visit', flags)
    }
    expect([visit(first), visit(first), visit(second), visit(first)]).toEqual([1, 2, 1, 3])
    second.exit(0)
    const third = kernel.tasks.spawn({ comm: 'third', filename: '/bin/third' })
    // The new task has the memory of the one that ended, and none of its values.
    expect(visit(third, 0n)).toBe(-1)
    expect(visit(third)).toBe(1)
    expect(visit(first)).toBe(4)
  })
})
