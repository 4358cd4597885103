import { expect, it } from 'vitest'
import type { BpfObject } from '../../lib/object.js'
import { open } from '../../lib/open.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath } from '../support/kernels.js'

interface Outcome {
  readonly retval: number
  readonly entered: unknown
  readonly mark: unknown
}

function run(object: BpfObject, program: string, index: number): Outcome {
  Object.assign(object.bss, { entered: 0, mark: 0 })
  const ctx = new Uint8Array(BigUint64Array.of(BigInt(index)).buffer)
  const { retval } = object.program(program).run({ ctx })
  return { retval, entered: object.bss['entered'], mark: object.bss['mark'] }
}

describeContract(
  'tail calls',
  (kernel) => {
    const load = (): BpfObject => open(objectPath('test/tail_calls'), { kernel: kernel.make().choice }).load()

    it('run what the array starts with, in place of the rest of the program', () => {
      using object = load()
      expect(run(object, 'jump', 1)).toEqual({ retval: 42, entered: 1, mark: 7 })
    })

    it('go on where there is nothing: an empty slot, no slot', () => {
      using object = load()
      for (const index of [0, 4, 0xffffffff])
        expect(run(object, 'jump', index)).toEqual({ retval: 1, entered: 1, mark: 0 })
    })

    it('end after 33 of them', () => {
      using object = load()
      object.map('jumps').set(0, object.program('jump'))
      expect(run(object, 'jump', 0)).toEqual({ retval: 1, entered: 34, mark: 0 })
    })

    it('from a function take over the frame of that function alone', () => {
      using object = load()
      expect(run(object, 'call_jumper', 1)).toEqual({ retval: 1042, entered: 1, mark: 7 })
      expect(run(object, 'call_jumper', 0)).toEqual({ retval: 1002, entered: 1, mark: 0 })
    })

    it('are counted over functions and programs alike', () => {
      using object = load()
      object.map('jumps').set(2, object.program('call_jumper'))
      expect(run(object, 'call_jumper', 2)).toEqual({ retval: 34_002, entered: 34, mark: 0 })
    })

    it('give ids to those who look the array up', () => {
      using object = load()
      const jumps = object.map('jumps')
      expect(jumps.get(1)).toBe(object.program('leaf').id)
      expect(jumps.get(0)).toBeUndefined()
      expect(jumps.delete(1)).toBe(true)
      expect(jumps.delete(1)).toBe(false)
      expect(run(object, 'jump', 1).retval).toBe(1)
    })

    it('refuse programs of another type, and slots that are not there', () => {
      using object = load()
      expect(code(() => object.map('jumps').set(0, object.program('other_type')))).toBe('EINVAL')
      expect(code(() => object.map('jumps').set(4, object.program('leaf')))).toBe('E2BIG')
    })

    it('lead nowhere when user space has left the array', () => {
      const object = load()
      const jump = object.program('jump')
      using keeper = open(objectPath('test/tail_calls'), { kernel: kernel.make().choice }).load()
      expect(run(keeper, 'jump', 1).retval).toBe(42)
      object.close()
      expect(() => jump.run()).toThrow(/closed/)
    })
  },
  '5.10',
)
