import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BpfError } from '../../lib/errors.js'
import { Access, Memory, NULL_PAGE } from '../../lib/fallback/memory.js'

/** undefined where memory is full. */
function allocOrFull(memory: Memory, size: number): number | undefined {
  try {
    return memory.alloc(size, Access.readWrite)
  } catch (error) {
    if (error instanceof BpfError && error.code === 'ENOMEM') return undefined
    throw error
  }
}

describe('allocation', () => {
  it('hands out zeroed, aligned memory that is not in the null page', () => {
    const memory = new Memory()
    for (const alignment of [1, 8, 16, 64, 4096]) {
      const address = memory.alloc(100, Access.readWrite, alignment)
      expect(address % alignment).toBe(0)
      expect(address).toBeGreaterThanOrEqual(NULL_PAGE)
      expect(memory.u8.subarray(address, address + 100).every((b) => b === 0)).toBe(true)
      memory.u8.fill(0xff, address, address + 100)
    }
  })

  it('zeroes memory that it hands out again', () => {
    const memory = new Memory({ initialBytes: 1 << 17, maximumBytes: 1 << 17 })
    for (let i = 0; i < 5000; i++) {
      const address = memory.alloc(200, Access.readWrite)
      expect(memory.u8.subarray(address, address + 200).every((b) => b === 0)).toBe(true)
      memory.u8.fill(0xff, address, address + 200)
      memory.free(address)
    }
  })

  it('grows, and its views with it', () => {
    const memory = new Memory({ initialBytes: 1 << 17 })
    const first = memory.alloc(8, Access.readWrite)
    memory.u8[first] = 42
    const old = memory.u8
    const large = memory.alloc(10 << 20, Access.readWrite)
    expect(old.length).toBe(0)
    expect(memory.u8[first]).toBe(42)
    expect(memory.accessible(first, 8, Access.readWrite)).toBe(true)
    expect(memory.accessible(large, 10 << 20, Access.readWrite)).toBe(true)
    memory.view.setUint32(large, 7, true)
    expect(memory.i32[large >>> 2]).toBe(7)
  })

  it('throws ENOMEM at the maximum, and works on behind it', () => {
    const memory = new Memory({ maximumBytes: 1 << 20 })
    const address = memory.alloc(1 << 19, Access.readWrite)
    expect(() => memory.alloc(1 << 20, Access.readWrite)).toThrow(
      expect.objectContaining({ code: 'ENOMEM', errno: 12 }),
    )
    memory.free(address)
    expect(memory.alloc(1 << 19, Access.readWrite)).toBeGreaterThan(0)
  })

  it('makes large objects of freed small ones', () => {
    const memory = new Memory({ maximumBytes: 1 << 20 })
    const small: number[] = []
    const fill = (): void => {
      for (;;) small.push(memory.alloc(64, Access.readWrite))
    }
    expect(fill).toThrow(expect.objectContaining({ code: 'ENOMEM' }))
    for (const address of small) memory.free(address)
    expect(memory.alloc(1 << 19, Access.readWrite)).toBeGreaterThan(0)
  })

  it('refuses to free what is no object, and twice', () => {
    const memory = new Memory()
    const address = memory.alloc(8, Access.readWrite)
    expect(() => memory.free(address + 1)).toThrow('no object starts there')
    memory.free(address)
    expect(() => memory.free(address)).toThrow('no object starts there')
  })

  it.each([-1, 1.5, Number.NaN])('refuses a size of %s', (size) => {
    expect(() => new Memory().alloc(size, Access.readWrite)).toThrow(
      expect.objectContaining({ code: 'BAD_VALUE' }),
    )
  })

  it('never lets two objects overlap, and keeps a guard between them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ size: fc.nat(3000), free: fc.boolean() }), { maxLength: 60 }),
        (steps) => {
          const memory = new Memory({ maximumBytes: 1 << 18 })
          const live = new Map<number, number>()
          for (const { size, free } of steps) {
            const [oldest] = live.keys()
            if (free && oldest !== undefined) {
              memory.free(oldest)
              live.delete(oldest)
            } else {
              const address = allocOrFull(memory, size)
              if (address !== undefined) live.set(address, size)
            }
          }
          const sorted = [...live].sort(([a], [b]) => a - b)
          sorted.forEach(([address, size], i) => {
            const next = sorted[i + 1]
            expect((next?.[0] ?? Infinity) - (address + size)).toBeGreaterThanOrEqual(16)
            expect(memory.accessible(address, size, Access.readWrite)).toBe(true)
            expect(memory.accessible(address + size, 1, Access.read)).toBe(false)
            expect(memory.accessible(address - 1, 1, Access.read)).toBe(false)
          })
        },
      ),
      { numRuns: 200, seed: 7 },
    )
  })
})

describe('protection', () => {
  it('is exact to the byte, whatever was set before', () => {
    const rights = fc.constantFrom(Access.none, Access.read, Access.readWrite, Access.user)
    const step = fc.record({ at: fc.nat(63), size: fc.nat(40), access: rights })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const memory = new Memory()
        const base = memory.alloc(128, Access.readWrite)
        const model: number[] = Array.from({ length: 128 }, () => Access.readWrite)
        for (const { at, size, access } of steps) {
          memory.protect(base + at, size, access)
          model.fill(access, at, at + size)
        }
        expect(model.map((_, i) => memory.accessAt(base + i))).toEqual(model)
        for (const wanted of [Access.read, Access.readWrite, Access.user])
          for (let at = 0; at < 120; at++) {
            const expected = model
              .slice(at, at + 8)
              .every((r) => (r & wanted) === wanted && (r & 4) === (wanted & 4))
            expect(memory.accessible(base + at, 8, wanted)).toBe(expected)
          }
      }),
      { numRuns: 300, seed: 8 },
    )
  })

  it('ends at the size of the object, not at a multiple of 8', () => {
    const memory = new Memory()
    const address = memory.alloc(5, Access.readWrite)
    expect(memory.accessible(address, 5, Access.readWrite)).toBe(true)
    expect(memory.accessible(address, 6, Access.read)).toBe(false)
    expect(memory.firstForbidden(address, 8, Access.read)).toBe(address + 5)
  })

  it('takes freed memory away and says so', () => {
    const memory = new Memory()
    const address = memory.alloc(32, Access.readWrite)
    memory.free(address)
    expect(memory.accessible(address, 1, Access.read)).toBe(false)
    expect(memory.isFreed(address + 31)).toBe(true)
  })

  it('keeps user memory apart from the kernel', () => {
    const memory = new Memory()
    const user = memory.alloc(8, Access.user)
    expect(memory.accessible(user, 8, Access.read)).toBe(false)
    expect(memory.accessible(user, 8, Access.user)).toBe(true)
  })

  it('answers no for addresses outside of memory', () => {
    const memory = new Memory()
    expect(memory.accessible(memory.u8.length - 4, 8, Access.read)).toBe(false)
    expect(memory.accessible(0xfffffff8, 8, Access.read)).toBe(false)
    expect(() => memory.protect(memory.u8.length, 8, Access.read)).toThrow(
      expect.objectContaining({ code: 'BAD_VALUE' }),
    )
  })
})
