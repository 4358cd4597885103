import { expect, it } from 'vitest'
import type { BpfObject } from '../../lib/object.js'
import { open } from '../../lib/open.js'
import { describeContract, objectPath } from '../support/kernels.js'

/** struct numbers: i32 start, end, error, u32 count, i64 sum. */
function run(
  object: BpfObject,
  program: string,
  start: number,
  end: number,
): Readonly<Record<string, unknown>> {
  const ctx = new Uint8Array(24)
  const view = new DataView(ctx.buffer)
  view.setInt32(0, start, true)
  view.setInt32(4, end, true)
  const result = object.program(program).run({ ctx })
  const out = new DataView((result.ctx ?? ctx).buffer)
  return { error: out.getInt32(8, true), count: out.getUint32(12, true), sum: out.getBigInt64(16, true) }
}

describeContract(
  'kernel functions',
  (kernel) => {
    const load = (): BpfObject => open(objectPath('test/kfuncs'), { kernel: kernel.make().choice }).load()

    it('iterate over numbers', () => {
      using object = load()
      expect(run(object, 'sum_numbers', 3, 103)).toEqual({ error: 0, count: 100, sum: 5250n })
      expect(run(object, 'sum_numbers', -5, 1)).toEqual({ error: 0, count: 6, sum: -15n })
      expect(run(object, 'sum_numbers', 7, 7)).toEqual({ error: 0, count: 0, sum: 0n })
      expect(run(object, 'sum_numbers', -0x80000000, -0x7ffffffe)).toEqual({
        error: 0,
        count: 2,
        sum: -4294967295n,
      })
    })

    it('iterate over nothing where the range is none, or too long', () => {
      using object = load()
      expect(run(object, 'sum_numbers', 8, 7)).toEqual({ error: -22, count: 0, sum: 0n })
      expect(run(object, 'sum_numbers', 0, (8 << 20) + 1)).toEqual({ error: -7, count: 0, sum: 0n })
      expect(run(object, 'sum_numbers', -0x80000000, 0x7fffffff)).toEqual({ error: -7, count: 0, sum: 0n })
    })

    it('iterate inside of each other', () => {
      using object = load()
      expect(run(object, 'multiply_table', 0, 0)).toMatchObject({ sum: 3025n })
    })

    it('find tasks by their pids', () => {
      using object = load()
      const pid = object.kernel.name === 'native' ? process.pid : 1
      expect(run(object, 'look_for_task', pid, 0)).toMatchObject({ count: pid })
      expect(run(object, 'look_for_task', 0x7fffffff, 0)).toMatchObject({ count: 0 })
    })

    it('have an address where they are, if they are declared weak', () => {
      using object = load()
      expect(object.program('ask_for_functions').run({ ctx: new Uint8Array() }).retval).toBe(1)
    })
  },
  '6.12',
)
