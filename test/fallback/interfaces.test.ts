/** Network interfaces that a simulated kernel was told of: device maps may name them. */
import { expect, it } from 'vitest'
import { createMap } from '../../lib/create-map.js'
import { createKernel } from '../../lib/fallback/index.js'
import { code } from '../support/errors.js'

it('device maps take the interfaces that the kernel has', () => {
  const kernel = createKernel({ interfaces: [4, 7] })
  using devices = createMap<number, number>({ kernel, type: 'devmap', value: 'u32', maxEntries: 8 })
  for (const index of [1, 4, 7]) expect(devices.set(index, index).get(index)).toBe(index)
  expect(code(() => devices.set(0, 2))).toBe('EINVAL')
})

it('interfaces are told by their indices', () => {
  expect(() => createKernel({ interfaces: [0] })).toThrow(/option interfaces is an integer from 1/)
  expect(() => createKernel({ interfaces: 'eth0' as never })).toThrow(/a list of indices, not string 'eth0'/)
})
