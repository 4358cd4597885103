/** What a branch that is taken tells of the numbers it compared, and whether it can be taken at all. */
import {
  lowerS32,
  lowerSmax,
  lowerU32,
  lowerUmax,
  raiseS32,
  raiseSmin,
  raiseU32,
  raiseUmin,
} from './bounds.js'
import { syncBounds } from './bounds.js'
import type { Register } from './register.js'
import { copyRanges64, setUnbounded32, setUnbounded64 } from './register.js'
import { isConst, setTnum, Tnum, tnumIntersect } from './tnum.js'
import { addHi, S32_MAX, S32_MIN, slt, subHi, ult, ult32 } from './wide.js'

/** High four bits of a jump's opcode. */
export const JUMP = {
  JA: 0x00,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,
  JNE: 0x50,
  JSGT: 0x60,
  JSGE: 0x70,
  CALL: 0x80,
  EXIT: 0x90,
  JLT: 0xa0,
  JLE: 0xb0,
  JSLT: 0xc0,
  JSLE: 0xd0,
  MAY_GOTO: 0xe0,
} as const

/** The comparison that holds where another one doesn't. JSET has none: {@link NOT_SET} stands for it. */
const NOT_SET = 0x48
const OPPOSITE: Readonly<Record<number, number>> = {
  [JUMP.JEQ]: JUMP.JNE,
  [JUMP.JNE]: JUMP.JEQ,
  [JUMP.JSET]: NOT_SET,
  [NOT_SET]: JUMP.JSET,
  [JUMP.JGT]: JUMP.JLE,
  [JUMP.JLE]: JUMP.JGT,
  [JUMP.JGE]: JUMP.JLT,
  [JUMP.JLT]: JUMP.JGE,
  [JUMP.JSGT]: JUMP.JSLE,
  [JUMP.JSLE]: JUMP.JSGT,
  [JUMP.JSGE]: JUMP.JSLT,
  [JUMP.JSLT]: JUMP.JSGE,
}
/** The comparison of b with a that says what one of a with b says. */
const MIRRORED: Readonly<Record<number, number>> = {
  [JUMP.JGT]: JUMP.JLT,
  [JUMP.JLT]: JUMP.JGT,
  [JUMP.JGE]: JUMP.JLE,
  [JUMP.JLE]: JUMP.JGE,
  [JUMP.JSGT]: JUMP.JSLT,
  [JUMP.JSLT]: JUMP.JSGT,
  [JUMP.JSGE]: JUMP.JSLE,
  [JUMP.JSLE]: JUMP.JSGE,
}

export function opposite(comparison: number): number {
  return OPPOSITE[comparison] ?? comparison
}

export function mirrored(comparison: number): number {
  return MIRRORED[comparison] ?? comparison
}

/** 1: always true, 0: never, -1: depends. */
export type Outcome = 1 | 0 | -1

/** Whether a comparison of two numbers is decided. */
export function decide(a: Register, b: Register, comparison: number, wide: boolean): Outcome {
  switch (comparison) {
    case JUMP.JEQ:
      return wide ? equality64(a, b) : equality32(a, b)
    case JUMP.JNE:
      return not(wide ? equality64(a, b) : equality32(a, b))
    case JUMP.JSET:
      return wide ? anySet64(a, b) : anySet32(a, b)
    case JUMP.JGT:
      return above(a, b, wide)
    case JUMP.JLE:
      return not(above(a, b, wide))
    case JUMP.JLT:
      return above(b, a, wide)
    case JUMP.JGE:
      return not(above(b, a, wide))
    case JUMP.JSGT:
      return greater(a, b, wide)
    case JUMP.JSLE:
      return not(greater(a, b, wide))
    case JUMP.JSLT:
      return greater(b, a, wide)
    case JUMP.JSGE:
      return not(greater(b, a, wide))
    default:
      return -1
  }
}

function not(outcome: Outcome): Outcome {
  return outcome === -1 ? -1 : outcome === 1 ? 0 : 1
}

/** Unsigned a > b. */
function above(a: Register, b: Register, wide: boolean): Outcome {
  if (wide) {
    if (ult(b.umaxHi, b.umaxLo, a.uminHi, a.uminLo)) return 1
    return ult(b.uminHi, b.uminLo, a.umaxHi, a.umaxLo) ? -1 : 0
  }
  if (ult32(b.u32Max, a.u32Min)) return 1
  return ult32(b.u32Min, a.u32Max) ? -1 : 0
}

/** Signed a > b. */
function greater(a: Register, b: Register, wide: boolean): Outcome {
  if (wide) {
    if (slt(b.smaxHi, b.smaxLo, a.sminHi, a.sminLo)) return 1
    return slt(b.sminHi, b.sminLo, a.smaxHi, a.smaxLo) ? -1 : 0
  }
  if (a.s32Min > b.s32Max) return 1
  return a.s32Max > b.s32Min ? -1 : 0
}

/** Whether a has one of the bits of b. */
function anySet64(a: Register, b: Register): Outcome {
  if (!isConst(b)) return -1
  if (((a.valueLo & b.valueLo) | (a.valueHi & b.valueHi)) !== 0) return 1
  return (((a.valueLo | a.maskLo) & b.valueLo) | ((a.valueHi | a.maskHi) & b.valueHi)) === 0 ? 0 : -1
}

function anySet32(a: Register, b: Register): Outcome {
  if (b.maskLo !== 0) return -1
  if ((a.valueLo & b.valueLo) !== 0) return 1
  return ((a.valueLo | a.maskLo) & b.valueLo) === 0 ? 0 : -1
}

function equality64(a: Register, b: Register): Outcome {
  if (isConst(a) && isConst(b)) return a.valueLo === b.valueLo && a.valueHi === b.valueHi ? 1 : 0
  // Bits that are known in both differ.
  if (((a.valueLo ^ b.valueLo) & ~(a.maskLo | b.maskLo)) !== 0) return 0
  if (((a.valueHi ^ b.valueHi) & ~(a.maskHi | b.maskHi)) !== 0) return 0
  if (
    ult(b.umaxHi, b.umaxLo, a.uminHi, a.uminLo) ||
    ult(a.umaxHi, a.umaxLo, b.uminHi, b.uminLo) ||
    slt(b.smaxHi, b.smaxLo, a.sminHi, a.sminLo) ||
    slt(a.smaxHi, a.smaxLo, b.sminHi, b.sminLo)
  )
    return 0
  // Their lower halves may differ for sure, whatever the upper ones are.
  if (ult32(b.u32Max, a.u32Min) || ult32(a.u32Max, b.u32Min)) return 0
  if (a.s32Min > b.s32Max || a.s32Max < b.s32Min) return 0
  return -1
}

function equality32(a: Register, b: Register): Outcome {
  if (a.maskLo === 0 && b.maskLo === 0) return a.valueLo === b.valueLo ? 1 : 0
  const apart =
    ((a.valueLo ^ b.valueLo) & ~(a.maskLo | b.maskLo)) !== 0 ||
    ult32(b.u32Max, a.u32Min) ||
    ult32(a.u32Max, b.u32Min) ||
    a.s32Min > b.s32Max ||
    a.s32Max < b.s32Min
  return apart ? 0 : -1
}

/**
 * Narrows two numbers to those for which a comparison holds.
 *
 * @param a,b clones that belong to the caller, and may be the same where an operand is immediate
 */
export function refine(a: Register, b: Register, comparison: number, wide: boolean): void {
  switch (comparison) {
    case JUMP.JEQ:
      if (wide) refineEqual64(a, b)
      else refineEqual32(a, b)
      break
    case JUMP.JNE:
      refineUnequal(a, b, wide)
      break
    case JUMP.JSET:
      refineSet(a, b, wide)
      break
    case NOT_SET:
      refineNotSet(a, b, wide)
      break
    case JUMP.JLE:
    case JUMP.JLT:
      refineUnsigned(a, b, comparison === JUMP.JLT, wide)
      break
    case JUMP.JSLE:
    case JUMP.JSLT:
      refineSigned(a, b, comparison === JUMP.JSLT, wide)
      break
    case JUMP.JGT:
    case JUMP.JGE:
    case JUMP.JSGT:
    case JUMP.JSGE:
      return refine(b, a, mirrored(comparison), wide)
  }
  syncBounds(a)
  syncBounds(b)
}

const meet = new Tnum()

function refineEqual32(a: Register, b: Register): void {
  raiseU32(a, b.u32Min)
  lowerU32(a, b.u32Max)
  raiseS32(a, b.s32Min)
  lowerS32(a, b.s32Max)
  b.u32Min = a.u32Min
  b.u32Max = a.u32Max
  b.s32Min = a.s32Min
  b.s32Max = a.s32Max
  tnumIntersect(meet, a, b)
  a.valueLo = b.valueLo = meet.valueLo
  a.maskLo = b.maskLo = meet.maskLo
}

function refineEqual64(a: Register, b: Register): void {
  raiseUmin(a, b.uminHi, b.uminLo)
  lowerUmax(a, b.umaxHi, b.umaxLo)
  raiseSmin(a, b.sminHi, b.sminLo)
  lowerSmax(a, b.smaxHi, b.smaxLo)
  copyRanges64(b, a)
  refineEqual32(a, b)
  tnumIntersect(meet, a, b)
  setTnum(a, meet.valueHi, meet.valueLo, meet.maskHi, meet.maskLo)
  setTnum(b, meet.valueHi, meet.valueLo, meet.maskHi, meet.maskLo)
}

/** A constant at an end of a range takes that end away. */
function refineUnequal(a: Register, b: Register, wide: boolean): void {
  let varying = a
  let constant = b
  const isKnown = (register: Register): boolean => (wide ? isConst(register) : register.maskLo === 0)
  if (!isKnown(b)) {
    varying = b
    constant = a
  }
  if (!isKnown(constant)) return
  const { valueHi: hi, valueLo: lo } = constant
  if (varying.u32Min === lo && !wide) varying.u32Min = (varying.u32Min + 1) | 0
  if (varying.u32Max === lo && !wide) varying.u32Max = (varying.u32Max - 1) | 0
  if (varying.s32Min === lo && !wide) varying.s32Min = (varying.s32Min + 1) | 0
  if (varying.s32Max === lo && !wide) varying.s32Max = (varying.s32Max - 1) | 0
  if (!wide) return
  if (varying.uminLo === lo && varying.uminHi === hi) {
    varying.uminHi = addHi(hi, lo, 0, 1)
    varying.uminLo = (lo + 1) | 0
  }
  if (varying.umaxLo === lo && varying.umaxHi === hi) {
    varying.umaxHi = subHi(hi, lo, 0, 1)
    varying.umaxLo = (lo - 1) | 0
  }
  if (varying.sminLo === lo && varying.sminHi === hi) {
    varying.sminHi = addHi(hi, lo, 0, 1)
    varying.sminLo = (lo + 1) | 0
  }
  if (varying.smaxLo === lo && varying.smaxHi === hi) {
    varying.smaxHi = subHi(hi, lo, 0, 1)
    varying.smaxLo = (lo - 1) | 0
  }
}

/** A single bit that is tested is set. */
function refineSet(a: Register, b: Register, wide: boolean): void {
  let tested = a
  let bits = b
  if (wide ? !isConst(b) : b.maskLo !== 0) {
    tested = b
    bits = a
  }
  if (wide ? !isConst(bits) : bits.maskLo !== 0) return
  const { valueHi, valueLo } = bits
  const hi = wide ? valueHi : 0
  if (hi === 0 ? !isPowerOfTwo(valueLo) : valueLo !== 0 || !isPowerOfTwo(hi)) return
  tested.valueLo |= valueLo
  tested.maskLo &= ~valueLo
  tested.valueHi |= hi
  tested.maskHi &= ~hi
}

function isPowerOfTwo(value: number): boolean {
  return value !== 0 && (value & (value - 1)) === 0
}

/** No bit that is tested is set. */
function refineNotSet(a: Register, b: Register, wide: boolean): void {
  let tested = a
  let bits = b
  if (wide ? !isConst(b) : b.maskLo !== 0) {
    tested = b
    bits = a
  }
  if (wide ? !isConst(bits) : bits.maskLo !== 0) return
  // Linux forgets the ranges since 6.17: on a branch that is never taken they could contradict the tnum.
  setUnbounded64(tested)
  setUnbounded32(tested)
  tested.valueLo &= ~bits.valueLo
  tested.maskLo &= ~bits.valueLo
  if (!wide) return
  tested.valueHi &= ~bits.valueHi
  tested.maskHi &= ~bits.valueHi
}

/** a <= b, or a < b. */
function refineUnsigned(a: Register, b: Register, strict: boolean, wide: boolean): void {
  if (!wide) {
    const most = strict ? (b.u32Max - 1) | 0 : b.u32Max
    const least = strict ? (a.u32Min + 1) | 0 : a.u32Min
    lowerU32(a, most)
    raiseU32(b, least)
    return
  }
  const { umaxHi, umaxLo } = b
  const { uminHi, uminLo } = a
  if (strict) {
    lowerUmax(a, subHi(umaxHi, umaxLo, 0, 1), (umaxLo - 1) | 0)
    raiseUmin(b, addHi(uminHi, uminLo, 0, 1), (uminLo + 1) | 0)
  } else {
    lowerUmax(a, umaxHi, umaxLo)
    raiseUmin(b, uminHi, uminLo)
  }
}

function refineSigned(a: Register, b: Register, strict: boolean, wide: boolean): void {
  if (!wide) {
    // A range that ends at the least or the greatest number has no stricter one: such a branch is decided, not refined.
    const most = strict ? Math.max(b.s32Max - 1, S32_MIN) : b.s32Max
    const least = strict ? Math.min(a.s32Min + 1, S32_MAX) : a.s32Min
    lowerS32(a, most)
    raiseS32(b, least)
    return
  }
  const { smaxHi, smaxLo } = b
  const { sminHi, sminLo } = a
  if (strict) {
    lowerSmax(a, subHi(smaxHi, smaxLo, 0, 1), (smaxLo - 1) | 0)
    raiseSmin(b, addHi(sminHi, sminLo, 0, 1), (sminLo + 1) | 0)
  } else {
    lowerSmax(a, smaxHi, smaxLo)
    raiseSmin(b, sminHi, sminLo)
  }
}
