/** Maps of maps, between programs and user space. */
import { expect, it } from 'vitest'
import { createMap } from '../../lib/create-map.js'
import { open } from '../../lib/open.js'
import { code } from '../support/errors.js'
import { describeContract, objectPath } from '../support/kernels.js'

function words(input: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(input, 0, 0).buffer)
}

/** The objects hold `syscall` programs, which are in Linux since 5.14. */
const describeMaps: typeof describeContract = (title, tests) => describeContract(title, tests, '5.14')

describeMaps('a map of maps in an object', (tested) => {
  it('leads programs to the maps that were put in', () => {
    const { choice } = tested.make()
    using object = open(objectPath('test/map_kinds'), { kernel: choice }).load()
    const outer = object.map<number>('outer')
    const count = object.program('count')
    expect(count.run({ ctx: words(3) }).retval).toBe(1)
    using inner = createMap<number, bigint>({ kernel: choice, type: 'array', value: 'u64', maxEntries: 2 })
    outer.set(3, inner)
    expect(count.run({ ctx: words(3) }).retval).toBe(0)
    expect(count.run({ ctx: words(3) }).retval).toBe(0)
    expect(inner.get(1)).toBe(2n)
    expect(outer.get(3)).toBe(inner.id)
    outer.delete(3)
    expect(count.run({ ctx: words(3) }).retval).toBe(1)
  })

  it('holds what its initializer names', () => {
    using object = open(objectPath('test/map_kinds'), { kernel: tested.make().choice }).load()
    const filled = object.map<number>('filled')
    const ids = [0, 1, 2, 3].map((key) => filled.get(key))
    expect(ids).toEqual([undefined, object.map('first').id, undefined, object.map('second').id])
    const count = object.program('count_filled')
    expect([0, 1, 3, 3].map((key) => count.run({ ctx: words(key) }).retval)).toEqual([1, 0, 0, 0])
    expect(object.map<number, bigint>('first').get(1)).toBe(1n)
    expect(object.map<number, bigint>('second').get(1)).toBe(2n)
  })

  it('is not loaded without a map that its initializer names', () => {
    const spec = open(objectPath('test/map_kinds'), { kernel: tested.make().choice })
    spec.maps['second']!.autocreate = false // the object has it
    expect(code(() => spec.load())).toMatch(/^EBADF|^EINVAL/)
  })

  it('keeps what it holds where another map takes its place', () => {
    const { choice } = tested.make()
    using first = open(objectPath('test/map_kinds'), { kernel: choice }).load()
    using spec = open(objectPath('test/map_kinds'), { kernel: choice })
    spec.maps['filled']!.reuse(first.map('filled')) // the object has it
    using object = spec.load()
    expect(object.map('filled').get(1)).toBe(first.map('first').id)
  })
})
