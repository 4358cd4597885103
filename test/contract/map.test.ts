import { expect, it } from 'vitest'
import { code } from '../support/errors.js'
import { describeContract, openContract } from '../support/kernels.js'
import { SYSCALL_PROGRAMS } from '../support/require-kernel.js'

interface Pair {
  readonly left: number
  readonly right: bigint
  readonly label: string
}

describeContract('a hash map', (tested) => {
  it('sets, gets, has and deletes', () => {
    using object = openContract(tested.make()).load()
    const map = object.map<number, bigint>('counters')
    expect(map.get(1)).toBeUndefined()
    expect(map.has(1)).toBe(false)
    map.set(1, 10n).set(2, 2n ** 64n - 1n)
    expect(map.get(1)).toBe(10n)
    expect(map.get(2)).toBe(2n ** 64n - 1n)
    expect(map.delete(1)).toBe(true)
    expect(map.delete(1)).toBe(false)
    expect(map.get(1)).toBeUndefined()
  })

  it('honours update modes', () => {
    using object = openContract(tested.make()).load()
    const map = object.map<number, bigint>('counters')
    expect(code(() => map.set(1, 1n, { mode: 'exist' }))).toBe('ENOENT')
    map.set(1, 1n, { mode: 'noexist' })
    expect(code(() => map.set(1, 2n, { mode: 'noexist' }))).toBe('EEXIST')
    map.set(1, 3n, { mode: 'exist' })
    expect(map.get(1)).toBe(3n)
  })

  it.each(['bogus', 'toString', '', null])('refuses the update mode %j', (mode) => {
    using object = openContract(tested.make()).load()
    const map = object.map<number, bigint>('counters').set(1, 1n)
    expect(code(() => map.set(1, 2n, { mode: mode as 'any' }))).toBe('BAD_VALUE')
    expect(map.get(1)).toBe(1n)
  })

  it('is full at max_entries', () => {
    using object = openContract(tested.make()).load()
    const map = object.map<number, bigint>('counters')
    for (let key = 0; key < 4; key++) map.set(key, BigInt(key))
    expect(code(() => map.set(4, 4n))).toBe('E2BIG')
    map.set(3, 33n)
    map.delete(0)
    map.set(4, 4n)
    expect(new Map(map)).toEqual(
      new Map([
        [1, 1n],
        [2, 2n],
        [3, 33n],
        [4, 4n],
      ]),
    )
  })

  it('iterates entries, keys and values', () => {
    using object = openContract(tested.make()).load()
    const map = object.map<number, bigint>('counters')
    expect([...map]).toEqual([])
    map.set(7, 70n).set(0xffffffff, 1n)
    expect(new Set(map.keys())).toEqual(new Set([7, 0xffffffff]))
    expect(new Set(map.values())).toEqual(new Set([70n, 1n]))
  })

  it('may be emptied while it is iterated', () => {
    using object = openContract(tested.make()).load()
    const map = object.map<number, bigint>('counters')
    for (let key = 0; key < 4; key++) map.set(key, 1n)
    for (const key of map.keys()) map.delete(key)
    expect([...map]).toEqual([])
  })

  it.each([
    ['a key too big', 2 ** 32, 1n],
    ['a key of a wrong type', 'one', 1n],
    ['a value too big', 1, 2n ** 64n],
    ['a negative value', 1, -1n],
    ['a value of a wrong type', 1, {}],
    ['bytes of a wrong size', 1, new Uint8Array(7)],
    ['no value', 1, undefined],
  ])('refuses %s', (_what, key, value) => {
    using object = openContract(tested.make()).load()
    expect(code(() => object.map('counters').set(key, value))).toBe('BAD_VALUE')
  })

  it('takes bytes of the exact size', () => {
    using object = openContract(tested.make()).load()
    const map = object.map('counters')
    map.set(1, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 1))
    expect(map.get(1)).toBe((1n << 56n) + 1n)
  })
})

describeContract('an array map', (tested) => {
  it('holds zeroes from the start, and structs', () => {
    using object = openContract(tested.make()).load()
    const map = object.map<number, Pair>('pairs')
    expect(map.get(0)).toEqual({ left: 0, right: 0n, label: '' })
    map.set(2, { left: -5, right: 9n, label: 'abcdefgh' })
    expect(map.get(2)).toEqual({ left: -5, right: 9n, label: 'abcdefgh' })
    expect([...map.keys()]).toEqual([0, 1, 2])
  })

  it('ends at max_entries', () => {
    using object = openContract(tested.make()).load()
    const map = object.map<number, Pair>('pairs')
    expect(map.get(3)).toBeUndefined()
    expect(code(() => map.set(3, { left: 0, right: 0n, label: '' }))).toBe('E2BIG')
    expect(code(() => map.set(0, { left: 0, right: 0n, label: '' }, { mode: 'noexist' }))).toBe('EEXIST')
    expect(code(() => map.delete(0))).toBe('EINVAL')
  })
})

describeContract(
  'a map that programs use',
  (tested) => {
    it('is shared with them, if it is a hash', () => {
      using object = openContract(tested.make()).load()
      const map = object.map<number, bigint>('counters').set(5, 100n)
      const { retval, ctx } = object.program('bump').run({ ctx: words(5, 11, 0, 0) })
      expect(retval).toBe(0)
      expect(new DataView(ctx?.buffer ?? new ArrayBuffer(0), ctx?.byteOffset).getBigUint64(8, true)).toBe(
        111n,
      )
      expect(map.get(5)).toBe(111n)
      expect(object.program('forget').run({ ctx: words(5, 0, 0, 0) }).retval).toBe(0)
      expect(map.has(5)).toBe(false)
      expect(object.program('forget').run({ ctx: words(5, 0, 0, 0) }).retval | 0).toBe(-2) // ENOENT
    })

    it('tells them that it is full', () => {
      using object = openContract(tested.make()).load()
      const map = object.map<number, bigint>('counters')
      for (let key = 0; key < 4; key++) map.set(key, 1n)
      expect(object.program('bump').run({ ctx: words(9, 1, 0, 0) }).retval | 0).toBe(-7) // E2BIG
    })

    it('is changed by them in place, if it is an array', () => {
      using object = openContract(tested.make()).load()
      const map = object.map<number, Pair>('pairs').set(1, { left: 4, right: 0n, label: 'old' })
      const args = new Uint8Array(24)
      const view = new DataView(args.buffer)
      view.setInt32(0, -6, true)
      view.setBigUint64(8, 12n, true)
      args.set(new TextEncoder().encode('new'), 16)
      expect(object.program('update_pair').run({ ctx: args }).retval).toBe(0)
      expect(map.get(1)).toEqual({ left: -2, right: 12n, label: 'new' })
    })
  },
  SYSCALL_PROGRAMS,
)

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer)
}
