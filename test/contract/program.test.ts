import { expect, it } from 'vitest'
import { describeContract, openContract } from '../support/kernels.js'
import { SYSCALL_PROGRAMS } from '../support/require-kernel.js'

interface Computed {
  readonly retval: number
  readonly quotient: bigint
  readonly remainder: bigint
  readonly shift: bigint
  readonly triangle: bigint
  readonly swapped: number
}

const U64 = (1n << 64n) - 1n

describeContract(
  'a program',
  (tested) => {
    it.each([
      [0n, 0n],
      [1n, 0n],
      [17n, 5n],
      [U64, 3n],
      [1n << 63n, U64],
      [0x0123456789abcdefn, 100n],
      [0xfedcba9876543210n, 63n],
      [0xfedcba9876543210n, 0x1_0000_0001n],
      [5n, 1n << 40n],
    ])('computes with 64 bits: %s, %s', (left, right) => {
      using object = openContract(tested.make()).load()
      const ctx = new Uint8Array(56)
      const input = new DataView(ctx.buffer)
      input.setBigUint64(0, left, true)
      input.setBigUint64(8, right, true)
      const result = object.program('compute').run({ ctx })
      const out = new DataView(result.ctx?.buffer ?? new ArrayBuffer(0), result.ctx?.byteOffset)
      const computed: Computed = {
        retval: result.retval,
        quotient: out.getBigUint64(16, true),
        remainder: out.getBigUint64(24, true),
        shift: out.getBigInt64(32, true),
        triangle: out.getBigUint64(40, true),
        swapped: out.getUint32(48, true),
      }
      const n = right & 127n
      const terms = n > 100n ? 100n : n
      expect(computed).toEqual({
        retval: Number((left ^ right) & 0xffffffffn),
        quotient: right === 0n ? 0n : left / right,
        remainder: right === 0n ? left : left % right,
        shift: BigInt.asIntN(64, left) >> (right & 63n),
        triangle: (terms * (terms + 1n)) / 2n,
        swapped: swap32(Number(left & 0xffffffffn)),
      })
    })

    it('repeats runs', () => {
      using object = openContract(tested.make()).load()
      for (let i = 0; i < 10; i++) object.program('bump').run({ ctx: new Uint8Array(16) })
      expect(object.bss['runs']).toBe(10n)
    })

    it('tells name, section, type and id', () => {
      using object = openContract(tested.make()).load()
      const program = object.program('on_exec')
      expect(program).toMatchObject({
        name: 'on_exec',
        section: 'tp_btf/sched_process_exec',
        type: 'tracing',
      })
      expect(program.id).toBeGreaterThan(0)
    })
  },
  SYSCALL_PROGRAMS,
)

describeContract('attaching', (tested) => {
  it('attaches what its section places, and says why it skipped the rest', () => {
    using object = openContract(tested.make()).load()
    using links = object.attach()
    expect(links.attached.map(({ program, target }) => [program, target])).toEqual([
      ['on_exec', 'tp_btf/sched_process_exec'],
    ])
    expect(links.skipped).toContainEqual({ program: 'optional', reason: 'autoload is off' })
    expect(links.skipped.map(({ program }) => program)).toContain('bump')
  })

  it('runs the program at each event, until it is detached', async () => {
    const kernel = tested.make()
    using object = openContract(kernel).load()
    object.bss['tree_root'] = kernel.root
    const link = object.program('on_exec').attach()
    const pid = await kernel.runProcess()
    expect(object.bss['seen_pid']).toBe(pid)
    expect(object.bss['seen_comm']).toBe('true')

    link.close()
    link.close()
    object.bss['seen_pid'] = 0
    await kernel.runProcess()
    expect(object.bss['seen_pid']).toBe(0)
  })

  it('outlives its object', async () => {
    const kernel = tested.make()
    const object = openContract(kernel).load()
    using link = object.program('on_exec').attach()
    object.close()
    await kernel.runProcess()
    expect(link.closed).toBe(false)
    expect(link.target).toBe('tp_btf/sched_process_exec')
  })
})

function swap32(value: number): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint32(0, value, true)
  return view.getUint32(0, false)
}
