/** Maps of maps, between programs and user space. */
import { expect, it } from 'vitest'
import { createMap } from '../../lib/create-map.js'
import { open } from '../../lib/open.js'
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
})
