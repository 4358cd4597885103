import { describe, expect, it } from 'vitest'
import { integerReader } from '../lib/entry-readers.js'
import { integerWriter } from '../lib/entry-writers.js'

/** Size, sign, least and largest. */
const INTEGERS = [
  [1, false, 0, 0xff],
  [1, true, -0x80, 0x7f],
  [2, false, 0, 0xffff],
  [2, true, -0x8000, 0x7fff],
  [4, false, 0, 0xffffffff],
  [4, true, -0x80000000, 0x7fffffff],
  [8, false, 0n, 0xffffffffffffffffn],
  [8, true, -0x8000000000000000n, 0x7fffffffffffffffn],
] as const

describe.each(INTEGERS)('a writer of integers of %i bytes, signed: %s', (size, signed, least, largest) => {
  const bytes = new Uint8Array(16).subarray(8, 8 + size)
  const write = integerWriter(bytes, size, signed)!
  const read = integerReader(bytes, size, signed)!

  it('writes the least and the largest, as a reader reads them', () => {
    for (const number of [least, largest]) {
      expect(write(number)).toBe(true)
      expect(read(0)).toBe(number)
    }
  })

  it('writes nothing that does not fit', () => {
    write(largest)
    const one = typeof least === 'bigint' ? 1n : 1
    const wrong = [(least as never) - (one as never), (largest as never) + (one as never)]
    const other = typeof least === 'bigint' ? 1 : 1n
    const values = [...wrong, other, 0.5, NaN, '1', null, undefined, bytes]
    expect(values.filter(write)).toEqual([])
    expect(read(0)).toBe(largest)
  })
})

it('there is no writer for odd sizes, other lengths and unaligned memory', () => {
  expect(integerWriter(new Uint8Array(3), 3, false)).toBeUndefined()
  expect(integerWriter(new Uint8Array(8), 4, false)).toBeUndefined()
  expect(integerWriter(new Uint8Array(9).subarray(1), 8, false)).toBeUndefined()
})
