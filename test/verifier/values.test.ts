/** Soundness of the arithmetic: what is known of a result holds for every concrete result. Exhaustive over small sets of values. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { syncBounds, zeroExtend32 } from '../../lib/fallback/verifier/values/bounds.js'
import { decide, JUMP, opposite, refine } from '../../lib/fallback/verifier/values/ranges.js'
import { cloneRegister, KIND, Register } from '../../lib/fallback/verifier/values/register.js'
import { ALU, computeScalar } from '../../lib/fallback/verifier/values/scalar-alu.js'
import { signExtend, signExtend32, swapBytes, truncate } from '../../lib/fallback/verifier/values/extend.js'
import * as tnum from '../../lib/fallback/verifier/values/tnum.js'

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value)
const s64 = (value: bigint): bigint => BigInt.asIntN(64, value)
const u32 = (value: bigint): bigint => BigInt.asUintN(32, value)
const s32 = (value: bigint): bigint => BigInt.asIntN(32, value)
const lo = (value: bigint): number => Number(BigInt.asIntN(32, value))
const hi = (value: bigint): number => Number(BigInt.asIntN(32, value >> 32n))
const wide = (high: number, low: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)

/** Values at which arithmetic goes wrong, if it does. */
const INTERESTING: readonly bigint[] = [
  0n,
  1n,
  3n,
  0x7fn,
  0x80n,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_8000_0000n,
  0xffff_ffff_ffff_fffen,
  0xffff_ffff_ffff_ffffn,
]

/** All sets of one or two values. */
const SETS: readonly (readonly bigint[])[] = INTERESTING.flatMap((a, i) =>
  INTERESTING.slice(i).map((b) => (a === b ? [a] : [a, b])),
)

const least = (values: readonly bigint[]): bigint => values.reduce((a, b) => (b < a ? b : a))
const most = (values: readonly bigint[]): bigint => values.reduce((a, b) => (b > a ? b : a))

/** The most that can be known of a number that is one of a few. */
function abstractionOf(values: readonly bigint[]): Register {
  const register = new Register()
  register.kind = KIND.SCALAR
  const all = values.map(u64)
  const common = all.reduce((a, b) => a & b)
  const differ = all.reduce((a, b) => a | (b ^ (all[0] as bigint)), 0n)
  tnum.setTnum(register, hi(common & ~differ), lo(common & ~differ), hi(differ), lo(differ))
  const signed = all.map(s64)
  register.uminHi = hi(least(all))
  register.uminLo = lo(least(all))
  register.umaxHi = hi(most(all))
  register.umaxLo = lo(most(all))
  register.sminHi = hi(least(signed))
  register.sminLo = lo(least(signed))
  register.smaxHi = hi(most(signed))
  register.smaxLo = lo(most(signed))
  register.u32Min = lo(least(all.map(u32)))
  register.u32Max = lo(most(all.map(u32)))
  register.s32Min = Number(least(all.map(s32)))
  register.s32Max = Number(most(all.map(s32)))
  return register
}

/** Why a value isn't among those that a register stands for. */
function violation(register: Register, value: bigint): string | undefined {
  const known = wide(register.valueHi, register.valueLo)
  const mask = wide(register.maskHi, register.maskLo)
  const low = u32(value)
  if ((value & ~mask) !== known) return 'tnum'
  if (value < wide(register.uminHi, register.uminLo)) return 'umin'
  if (value > wide(register.umaxHi, register.umaxLo)) return 'umax'
  if (s64(value) < s64(wide(register.sminHi, register.sminLo))) return 'smin'
  if (s64(value) > s64(wide(register.smaxHi, register.smaxLo))) return 'smax'
  if (low < BigInt(register.u32Min >>> 0) || low > BigInt(register.u32Max >>> 0)) return 'u32'
  if (s32(low) < BigInt(register.s32Min) || s32(low) > BigInt(register.s32Max)) return 's32'
  return undefined
}

type Concrete = (a: bigint, b: bigint, bits: bigint) => bigint
const signed = (value: bigint, bits: bigint): bigint => BigInt.asIntN(Number(bits), value)
const OPERATIONS: readonly (readonly [name: keyof typeof ALU, concrete: Concrete])[] = [
  ['ADD', (a, b) => a + b],
  ['SUB', (a, b) => a - b],
  ['MUL', (a, b) => a * b],
  ['AND', (a, b) => a & b],
  ['OR', (a, b) => a | b],
  ['XOR', (a, b) => a ^ b],
  ['NEG', (a) => -a],
  ['DIV', (a, b) => (b === 0n ? 0n : a / b)],
  ['MOD', (a, b) => (b === 0n ? a : a % b)],
]
const SHIFTS: readonly (readonly [name: keyof typeof ALU, concrete: Concrete])[] = [
  ['LSH', (a, b) => a << b],
  ['RSH', (a, b) => a >> b],
  ['ARSH', (a, b, bits) => signed(a, bits) >> b],
]

describe.each([64n, 32n])('arithmetic of %s bits', (bits) => {
  const cut = (value: bigint): bigint => BigInt.asUintN(Number(bits), value)

  it.each(OPERATIONS)('%s holds for all values', (name, concrete) => {
    const wrong: unknown[] = []
    for (const left of SETS) {
      for (const right of SETS) {
        const result = cloneRegister(abstractionOf(left))
        computeScalar(result, ALU[name], abstractionOf(right), bits === 64n)
        for (const a of left) {
          for (const b of right) {
            const value = cut(concrete(cut(a), cut(b), bits))
            const broken = violation(result, value)
            if (broken !== undefined) wrong.push([name, left, right, value, broken])
          }
        }
      }
    }
    expect(wrong.slice(0, 3)).toEqual([])
  })

  it.each(SHIFTS)('%s by each constant holds for all values', (name, concrete) => {
    const wrong: unknown[] = []
    for (const left of SETS) {
      for (let by = 0n; by < bits; by++) {
        const result = cloneRegister(abstractionOf(left))
        computeScalar(result, ALU[name], abstractionOf([by]), bits === 64n)
        for (const a of left) {
          const value = cut(concrete(cut(a), by, bits))
          const broken = violation(result, value)
          if (broken !== undefined) wrong.push([name, left, by, value, broken])
        }
      }
    }
    expect(wrong.slice(0, 3)).toEqual([])
  })
})

/**
 * Where ranges go wrong: at zero, and where 32 and 64 bits overflow, with and without a sign. Around each, all intervals of eight numbers.
 */
const MIDDLES = [0n, 0x8000_0000n, 0x1_0000_0000n, 0x8000_0000_0000_0000n]
const intervals = (middle: bigint, length: number): readonly (readonly bigint[])[] => {
  const window = Array.from({ length }, (_unused, i) => u64(middle - BigInt(length / 2) + BigInt(i)))
  return window.flatMap((_first, start) =>
    window.slice(start).map((_last, i) => window.slice(start, start + i + 1)),
  )
}
const PAIRS = MIDDLES.flatMap((middle) => [[middle, middle] as const, [middle, 0n] as const])

describe.each([64n, 32n])('arithmetic of %s bits on all small intervals', (bits) => {
  const cut = (value: bigint): bigint => BigInt.asUintN(Number(bits), value)

  it.each(OPERATIONS)('%s', (name, concrete) => {
    const wrong: unknown[] = []
    for (const [middle, other] of PAIRS) {
      for (const left of intervals(middle, 6)) {
        const a = abstractionOf(left)
        for (const right of intervals(other, 6)) {
          const result = cloneRegister(a)
          computeScalar(result, ALU[name], abstractionOf(right), bits === 64n)
          for (const x of left) {
            for (const y of right) {
              const value = cut(concrete(cut(x), cut(y), bits))
              const broken = violation(result, value)
              if (broken !== undefined) wrong.push([name, left, right, value, broken])
            }
          }
        }
      }
    }
    expect(wrong.slice(0, 3)).toEqual([])
  })

  it.each(SHIFTS)('%s by each of several numbers', (name, concrete) => {
    const wrong: unknown[] = []
    for (const left of SETS) {
      for (const right of intervals(4n, 8)) {
        const result = cloneRegister(abstractionOf(left))
        computeScalar(result, ALU[name], abstractionOf(right), bits === 64n)
        for (const a of left) {
          for (const by of right) {
            const value = cut(concrete(cut(a), by, bits))
            const broken = violation(result, value)
            if (broken !== undefined) wrong.push([name, left, right, value, broken])
          }
        }
      }
    }
    expect(wrong.slice(0, 3)).toEqual([])
  })
})

describe('loads, moves and byte swaps', () => {
  const reversed = (value: bigint, bytes: number): bigint => {
    let result = 0n
    for (let i = 0; i < bytes; i++) result = (result << 8n) | ((value >> BigInt(8 * i)) & 0xffn)
    return result
  }
  const CASES: readonly (readonly [
    name: string,
    change: (register: Register) => void,
    concrete: (value: bigint) => bigint,
  ])[] = [
    ...[8, 16, 32].flatMap((bits) => [
      [
        `zero-extends ${bits} bits`,
        (r: Register) => truncate(r, bits),
        (v: bigint) => BigInt.asUintN(bits, v),
      ] as const,
      [
        `sign-extends ${bits} bits`,
        (r: Register) => signExtend(r, bits),
        (v: bigint) => u64(BigInt.asIntN(bits, v)),
      ] as const,
    ]),
    ...[8, 16].map(
      (bits) =>
        [
          `sign-extends ${bits} bits to 32`,
          (r: Register) => signExtend32(r, bits),
          (v: bigint) => u32(BigInt.asIntN(bits, v)),
        ] as const,
    ),
    ...[16, 32, 64].map(
      (bits) =>
        [
          `swaps ${bits} bits`,
          (r: Register) => swapBytes(r, bits, true),
          (v: bigint) => reversed(v, bits / 8),
        ] as const,
    ),
  ]
  it.each(CASES)('%s', (_name, change, concrete) => {
    const wrong: unknown[] = []
    for (const set of SETS) {
      const result = cloneRegister(abstractionOf(set))
      change(result)
      for (const value of set) {
        const broken = violation(result, concrete(value))
        if (broken !== undefined) wrong.push([set, value, broken])
      }
    }
    expect(wrong.slice(0, 3)).toEqual([])
  })
})

const COMPARISONS: Readonly<Record<string, (a: bigint, b: bigint, bits: number) => boolean>> = {
  JEQ: (a, b) => a === b,
  JNE: (a, b) => a !== b,
  JGT: (a, b) => a > b,
  JGE: (a, b) => a >= b,
  JLT: (a, b) => a < b,
  JLE: (a, b) => a <= b,
  JSET: (a, b) => (a & b) !== 0n,
  JSGT: (a, b, bits) => BigInt.asIntN(bits, a) > BigInt.asIntN(bits, b),
  JSGE: (a, b, bits) => BigInt.asIntN(bits, a) >= BigInt.asIntN(bits, b),
  JSLT: (a, b, bits) => BigInt.asIntN(bits, a) < BigInt.asIntN(bits, b),
  JSLE: (a, b, bits) => BigInt.asIntN(bits, a) <= BigInt.asIntN(bits, b),
}

describe.each([64, 32])('comparisons of %s bits', (bits) => {
  it.each(Object.keys(COMPARISONS))('%s decides and narrows only what holds', (name) => {
    const holds = COMPARISONS[name] as (typeof COMPARISONS)[string]
    const comparison = JUMP[name as keyof typeof JUMP]
    const wrong: unknown[] = []
    for (const left of SETS) {
      for (const right of SETS) {
        const a = abstractionOf(left)
        const b = abstractionOf(right)
        syncBounds(a)
        syncBounds(b)
        const outcome = decide(a, b, comparison, bits === 64)
        const taken = [cloneRegister(a), cloneRegister(b)] as const
        const straight = [cloneRegister(a), cloneRegister(b)] as const
        if (outcome === -1) {
          refine(taken[0], taken[1], comparison, bits === 64)
          refine(straight[0], straight[1], opposite(comparison), bits === 64)
        }
        for (const x of left) {
          for (const y of right) {
            const isTaken = holds(BigInt.asUintN(bits, x), BigInt.asUintN(bits, y), bits)
            if (outcome !== -1 && (outcome === 1) !== isTaken) wrong.push(['decided', name, left, right])
            const [first, second] = isTaken ? taken : straight
            const broken = violation(first, x) ?? violation(second, y)
            if (outcome === -1 && broken !== undefined) wrong.push([name, isTaken, left, right, x, y, broken])
          }
        }
      }
    }
    expect(wrong.slice(0, 3)).toEqual([])
  })
})

describe.each([64, 32])('comparisons of %s bits on all small intervals', (bits) => {
  it.each(Object.keys(COMPARISONS))('%s', (name) => {
    const holds = COMPARISONS[name] as (typeof COMPARISONS)[string]
    const comparison = JUMP[name as keyof typeof JUMP]
    const wrong: unknown[] = []
    for (const [middle, other] of PAIRS) {
      for (const left of intervals(middle, 6)) {
        for (const right of intervals(other, 6)) {
          const a = abstractionOf(left)
          const b = abstractionOf(right)
          syncBounds(a)
          syncBounds(b)
          const outcome = decide(a, b, comparison, bits === 64)
          const branches = [false, true].map((taken) => {
            const pair = [cloneRegister(a), cloneRegister(b)] as const
            if (outcome === -1) refine(...pair, taken ? comparison : opposite(comparison), bits === 64)
            return pair
          })
          for (const x of left) {
            for (const y of right) {
              const isTaken = holds(BigInt.asUintN(bits, x), BigInt.asUintN(bits, y), bits)
              if (outcome !== -1 && (outcome === 1) !== isTaken) wrong.push(['decided', name, left, right])
              const [first, second] = branches[isTaken ? 1 : 0] as (typeof branches)[number]
              const broken = violation(first, x) ?? violation(second, y)
              if (broken !== undefined) wrong.push([name, isTaken, left, right, x, y, broken])
            }
          }
        }
      }
    }
    expect(wrong.slice(0, 3)).toEqual([])
  })

  it.each(Object.keys(COMPARISONS))('%s of a register with itself', (name) => {
    const holds = COMPARISONS[name] as (typeof COMPARISONS)[string]
    const comparison = JUMP[name as keyof typeof JUMP]
    for (const set of SETS) {
      const a = abstractionOf(set)
      syncBounds(a)
      const outcome = decide(a, a, comparison, bits === 64)
      for (const x of set) {
        const value = BigInt.asUintN(bits, x)
        expect([-1, holds(value, value, bits) ? 1 : 0]).toContain(outcome)
      }
    }
  })
})

describe('what is known in several ways', () => {
  /** All that may be said of a number, each limit as loose as any of these. */
  const LOOSE = [...INTERESTING, 0x7eed_cafen, 0xffff_ffff_0000_0000n, 0xdead_beef_0000_0007n]
  const any = fc.constantFrom(...LOOSE)
  const facts = fc.record({
    value: any,
    mask: any,
    unsigned: fc.tuple(any, any),
    signed: fc.tuple(any, any),
    unsigned32: fc.tuple(any, any),
    signed32: fc.tuple(any, any),
  })
  type Facts = typeof facts extends fc.Arbitrary<infer T> ? T : never

  function registerOf({ value, mask, ...limits }: Facts): Register {
    const register = abstractionOf([value])
    tnum.setTnum(register, hi(value & ~mask), lo(value & ~mask), hi(mask), lo(mask))
    const around = (
      [a, b]: readonly [bigint, bigint],
      as: (x: bigint) => bigint,
    ): readonly [bigint, bigint] => [least([as(value), as(a), as(b)]), most([as(value), as(a), as(b)])]
    const [umin, umax] = around(limits.unsigned, u64)
    const [smin, smax] = around(limits.signed, s64)
    const [u32Min, u32Max] = around(limits.unsigned32, u32)
    const [s32Min, s32Max] = around(limits.signed32, (x) => s32(u32(x)))
    Object.assign(register, {
      uminHi: hi(umin), uminLo: lo(umin), umaxHi: hi(umax), umaxLo: lo(umax),
      sminHi: hi(smin), sminLo: lo(smin), smaxHi: hi(smax), smaxLo: lo(smax),
      u32Min: lo(u32Min), u32Max: lo(u32Max), s32Min: Number(s32Min), s32Max: Number(s32Max),
    }) // prettier-ignore
    return register
  }

  it('is put together without losing a value', () => {
    fc.assert(
      fc.property(facts, (known) => {
        const register = registerOf(known)
        syncBounds(register)
        expect(violation(register, known.value)).toBeUndefined()
      }),
      { numRuns: 20_000, seed: 6 },
    )
  })

  it('holds of the lower half, zero-extended', () => {
    fc.assert(
      fc.property(facts, (known) => {
        const register = registerOf(known)
        zeroExtend32(register)
        syncBounds(register)
        expect(violation(register, u32(known.value))).toBeUndefined()
      }),
      { numRuns: 20_000, seed: 6 },
    )
  })

  it('holds after each operation', () => {
    fc.assert(
      fc.property(
        facts,
        facts,
        fc.constantFrom(...OPERATIONS),
        fc.boolean(),
        (left, right, [name, concrete], isWide) => {
          const result = registerOf(left)
          syncBounds(result)
          const operand = registerOf(right)
          syncBounds(operand)
          computeScalar(result, ALU[name], operand, isWide)
          const bits = isWide ? 64 : 32
          const cut = (value: bigint): bigint => BigInt.asUintN(bits, value)
          const value = cut(concrete(cut(left.value), cut(right.value), BigInt(bits)))
          expect(violation(result, value)).toBeUndefined()
        },
      ),
      { numRuns: 30_000, seed: 6 },
    )
  })
})

describe('tristate numbers of four bits, all of them', () => {
  const all: tnum.Tnum[] = []
  for (let mask = 0; mask < 16; mask++) {
    for (let value = 0; value < 16; value++) {
      if ((value & mask) !== 0) continue
      const one = new tnum.Tnum()
      tnum.setTnum(one, 0, value, 0, mask)
      all.push(one)
    }
  }
  const valuesOf = ({ valueLo, maskLo }: tnum.Tnum): number[] =>
    Array.from({ length: 16 }, (_unused, i) => i).filter((i) => (i & ~maskLo) === valueLo)
  const contains = (t: tnum.Tnum, value: bigint): boolean =>
    (u64(value) & ~wide(t.maskHi, t.maskLo)) === wide(t.valueHi, t.valueLo)

  it.each([
    ['add', tnum.tnumAdd, (a: bigint, b: bigint) => a + b],
    ['sub', tnum.tnumSub, (a: bigint, b: bigint) => a - b],
    ['mul', tnum.tnumMul, (a: bigint, b: bigint) => a * b],
    ['and', tnum.tnumAnd, (a: bigint, b: bigint) => a & b],
    ['or', tnum.tnumOr, (a: bigint, b: bigint) => a | b],
    ['xor', tnum.tnumXor, (a: bigint, b: bigint) => a ^ b],
  ] as const)('%s', (_name, operation, concrete) => {
    let broken = 0
    for (const a of all) {
      for (const b of all) {
        const result = new tnum.Tnum()
        operation(result, a, b)
        for (const x of valuesOf(a))
          for (const y of valuesOf(b)) if (!contains(result, concrete(BigInt(x), BigInt(y)))) broken++
      }
    }
    expect(broken).toBe(0)
  })

  it.each([
    ['left', tnum.tnumShl, (a: bigint, by: bigint) => u64(a << by)],
    ['right', tnum.tnumShr, (a: bigint, by: bigint) => a >> by],
    ['right, with the sign', tnum.tnumSar, (a: bigint, by: bigint) => u64(s64(a) >> by)],
    ['right, with the sign of 32 bits', tnum.tnumSar32, (a: bigint, by: bigint) => u32(s32(u32(a)) >> by)],
  ] as const)('shifts %s, at both ends and in the middle', (name, operation, concrete) => {
    let broken = 0
    const limit = name.endsWith('32 bits') ? 32 : 64
    for (const a of all) {
      for (const at of [0, 28, 31, 60]) {
        const [placed, result] = [new tnum.Tnum(), new tnum.Tnum()]
        tnum.tnumShl(placed, a, at)
        for (let by = 0; by < limit; by++) {
          operation(result, placed, by)
          for (const x of valuesOf(a))
            if (!contains(result, concrete(u64(BigInt(x) << BigInt(at)), BigInt(by)))) broken++
        }
      }
    }
    expect(broken).toBe(0)
  })

  it('negation and union', () => {
    let broken = 0
    for (const a of all) {
      const negated = new tnum.Tnum()
      tnum.tnumNeg(negated, a)
      for (const x of valuesOf(a)) if (!contains(negated, -BigInt(x))) broken++
      for (const b of all) {
        const union = new tnum.Tnum()
        tnum.tnumUnion(union, a, b)
        for (const x of [...valuesOf(a), ...valuesOf(b)]) if (!contains(union, BigInt(x))) broken++
      }
    }
    expect(broken).toBe(0)
  })

  it('ranges, intersections and inclusion', () => {
    for (let min = 0; min < 16; min++) {
      for (let max = min; max < 16; max++) {
        const range = new tnum.Tnum()
        tnum.tnumRange(range, 0, min, 0, max)
        for (let i = min; i <= max; i++) expect(contains(range, BigInt(i))).toBe(true)
      }
    }
    for (const a of all) {
      for (const b of all) {
        const subset = valuesOf(b).every((value) => valuesOf(a).includes(value))
        expect(tnum.tnumContains(a, b)).toBe(subset)
        const common = valuesOf(a).filter((value) => valuesOf(b).includes(value))
        const meet = new tnum.Tnum()
        tnum.tnumIntersect(meet, a, b)
        expect(common.length > 0 ? valuesOf(meet) : []).toEqual(common)
      }
    }
  })

  it('with an unsigned range of which it shares one value: that is it, and never another', () => {
    for (const t of all) {
      for (let min = 0; min < 16; min++) {
        for (let max = min; max < 16; max++) {
          const shared = valuesOf(t).filter((value) => value >= min && value <= max)
          if (shared.length === 0) continue
          const register = abstractionOf([BigInt(min), BigInt(max)])
          tnum.setTnum(register, t.valueHi, t.valueLo, t.maskHi, t.maskLo)
          syncBounds(register)
          for (const value of shared) expect(violation(register, BigInt(value))).toBeUndefined()
          expect(shared.length > 1 || register.umaxLo === register.uminLo).toBe(true)
        }
      }
    }
  })
})
