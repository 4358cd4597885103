/** Keeps tnum and ranges of a register in step: what one of them tells, all learn. */
import { isConst, setTnum, tnumIntersect, tnumRange, Tnum } from './tnum.js'
import type { Register } from './register.js'
import { setConstant } from './register.js'
import { addHi, S32_MAX, S32_MIN, slt, ult, ult32 } from './wide.js'

/** Signed and unsigned 64-bit ranges only ever shrink here. */
export function raiseUmin(register: Register, hi: number, lo: number): void {
  if (!ult(register.uminHi, register.uminLo, hi, lo)) return
  register.uminHi = hi
  register.uminLo = lo
}

export function lowerUmax(register: Register, hi: number, lo: number): void {
  if (!ult(hi, lo, register.umaxHi, register.umaxLo)) return
  register.umaxHi = hi
  register.umaxLo = lo
}

export function raiseSmin(register: Register, hi: number, lo: number): void {
  if (!slt(register.sminHi, register.sminLo, hi, lo)) return
  register.sminHi = hi
  register.sminLo = lo
}

export function lowerSmax(register: Register, hi: number, lo: number): void {
  if (!slt(hi, lo, register.smaxHi, register.smaxLo)) return
  register.smaxHi = hi
  register.smaxLo = lo
}

export function raiseU32(register: Register, min: number): void {
  if (ult32(register.u32Min, min)) register.u32Min = min
}

export function lowerU32(register: Register, max: number): void {
  if (ult32(max, register.u32Max)) register.u32Max = max
}

export function raiseS32(register: Register, min: number): void {
  if (register.s32Min < min) register.s32Min = min
}

export function lowerS32(register: Register, max: number): void {
  if (register.s32Max > max) register.s32Max = max
}

function narrowU32(register: Register, min: number, max: number): void {
  raiseU32(register, min)
  lowerU32(register, max)
}

function narrowS32(register: Register, min: number, max: number): void {
  raiseS32(register, min)
  lowerS32(register, max)
}

/** 32-bit ranges from the tnum. */
export function boundsFromTnum32(register: Register): void {
  const { valueLo, maskLo } = register
  narrowS32(register, valueLo | (maskLo & S32_MIN), valueLo | (maskLo & S32_MAX))
  narrowU32(register, valueLo, valueLo | maskLo)
}

/** All ranges from the tnum. */
export function boundsFromTnum(register: Register): void {
  boundsFromTnum32(register)
  const { valueHi, valueLo, maskHi, maskLo } = register
  raiseSmin(register, valueHi | (maskHi & S32_MIN), valueLo)
  lowerSmax(register, valueHi | (maskHi & S32_MAX), valueLo | maskLo)
  raiseUmin(register, valueHi, valueLo)
  lowerUmax(register, valueHi | maskHi, valueLo | maskLo)
  meetTnum(register)
}

const next = new Tnum()

/**
 * The least value of a tnum above a number; 0 if there is none.
 *
 * Of the bits that are unknown, some leading ones are those of the number; the lowest of them that can be raised is, and the rest is 0.
 */
function stepTnum(register: Tnum, hi: number, lo: number): void {
  const { valueHi, valueLo, maskHi, maskLo } = register
  const topHi = valueHi | maskHi
  const topLo = valueLo | maskLo
  if (!ult(hi, lo, topHi, topLo)) return setTnum(next, 0, 0, 0, 0)
  if (ult(hi, lo, valueHi, valueLo)) return setTnum(next, valueHi, valueLo, 0, 0)
  // Known bits that the number hasn't, and bits that it has where 0 is known: the highest one decides which bits may stay.
  const differHi = (hi ^ valueHi) & ~maskHi
  const differLo = (lo ^ valueLo) & ~maskLo
  let keptHi = -1
  let keptLo = -1
  let raise = true
  if ((differHi | differLo) !== 0) {
    const inHigh = differHi !== 0
    const bit = 31 - Math.clz32(inHigh ? differHi : differLo)
    const below = bit === 31 ? -1 : (1 << (bit + 1)) - 1
    keptHi = inHigh ? ~below : -1
    keptLo = inHigh ? 0 : ~below
    const valueHas = ((inHigh ? valueHi : valueLo) & (1 << bit)) !== 0
    // The tnum's value is greater there already: nothing above needs to be raised.
    raise = !valueHas
  }
  let stepHi = hi & maskHi & keptHi
  let stepLo = lo & maskLo & keptLo
  if (raise) {
    // Counts on in the unknown bits that may stay: the others are filled, so that the carry passes them.
    const fillLo = stepLo | ~(maskLo & keptLo)
    const fillHi = stepHi | ~(maskHi & keptHi)
    stepHi = addHi(fillHi, fillLo, 0, 1) & maskHi & keptHi
    stepLo = ((fillLo + 1) | 0) & maskLo & keptLo
  }
  setTnum(next, valueHi | stepHi, valueLo | stepLo, 0, 0)
}

/** A tnum and an unsigned range that have one value in common: that is it. */
function meetTnum(register: Register): void {
  const { uminHi, uminLo, umaxHi, umaxLo, maskHi, maskLo } = register
  if ((maskHi | maskLo) === 0 || (uminHi === umaxHi && uminLo === umaxLo)) return
  stepTnum(register, uminHi, uminLo)
  const { valueHi: stepHi, valueLo: stepLo } = next
  const holdsMin =
    ((uminHi ^ register.valueHi) & ~maskHi) === 0 && ((uminLo ^ register.valueLo) & ~maskLo) === 0
  const isLast = stepLo === (register.valueLo | maskLo) && stepHi === (register.valueHi | maskHi)
  const none = (stepHi | stepLo) === 0
  if (holdsMin) {
    if (none || ult(umaxHi, umaxLo, stepHi, stepLo)) setConstant(register, uminHi, uminLo)
    return
  }
  if (none) return
  if (isLast) return setConstant(register, stepHi, stepLo)
  if (ult(umaxHi, umaxLo, stepHi, stepLo)) return
  stepTnum(register, stepHi, stepLo)
  const noneAbove = (next.valueHi | next.valueLo) === 0
  if (noneAbove || ult(umaxHi, umaxLo, next.valueHi, next.valueLo)) setConstant(register, stepHi, stepLo)
}

/** What the 64-bit ranges, and the other sign, tell of the 32-bit ones. */
function deduce32(register: Register): void {
  const { uminHi, uminLo, umaxHi, umaxLo, sminHi, sminLo, smaxHi, smaxLo } = register
  if (uminHi === umaxHi) {
    // The upper halves agree: the lower ones form a range.
    narrowU32(register, uminLo, umaxLo)
    if (uminLo <= umaxLo) narrowS32(register, uminLo, umaxLo)
  }
  if (sminHi === smaxHi) {
    if (sminLo >>> 0 <= smaxLo >>> 0) narrowU32(register, sminLo, smaxLo)
    if (sminLo <= smaxLo) narrowS32(register, sminLo, smaxLo)
  }
  // The upper halves are neighbours and the lower ones wrap around 0: a signed range.
  if (((uminHi + 1) | 0) === umaxHi && uminLo < 0 && umaxLo >= 0) narrowS32(register, uminLo, umaxLo)
  if (((sminHi + 1) | 0) === smaxHi && sminLo < 0 && smaxLo >= 0) narrowS32(register, sminLo, smaxLo)
  if (register.u32Min <= register.u32Max) narrowS32(register, register.u32Min, register.u32Max)
  const { s32Min, s32Max } = register
  if (s32Min >>> 0 <= s32Max >>> 0) {
    narrowU32(register, s32Min, s32Max)
    return
  }
  // As in deduce64().
  if (ult32(register.u32Max, s32Min)) {
    register.s32Min = register.u32Min
    lowerU32(register, s32Max)
  } else if (ult32(s32Max, register.u32Min)) {
    register.s32Max = register.u32Max
    raiseU32(register, s32Min)
  }
}

/** What each sign's 64-bit range tells of the other one. */
function deduce64(register: Register): void {
  if (!slt(register.umaxHi, register.umaxLo, register.uminHi, register.uminLo)) {
    raiseSmin(register, register.uminHi, register.uminLo)
    lowerSmax(register, register.umaxHi, register.umaxLo)
  }
  const { sminHi, sminLo, smaxHi, smaxLo } = register
  if (!ult(smaxHi, smaxLo, sminHi, sminLo)) {
    raiseUmin(register, sminHi, sminLo)
    lowerUmax(register, smaxHi, smaxLo)
    return
  }
  // The signed range covers both ends of the unsigned one. If the unsigned range meets one end only, that end is where it is.
  if (ult(register.umaxHi, register.umaxLo, sminHi, sminLo)) {
    register.sminHi = register.uminHi
    register.sminLo = register.uminLo
    lowerUmax(register, smaxHi, smaxLo)
  } else if (ult(smaxHi, smaxLo, register.uminHi, register.uminLo)) {
    register.smaxHi = register.umaxHi
    register.smaxLo = register.umaxLo
    raiseUmin(register, sminHi, sminLo)
  }
}

const range = new Tnum()
const low = new Tnum()

/** What the 32-bit ranges tell of the 64-bit ones. */
function deduceMixed(register: Register): void {
  raiseUmin(register, register.uminHi, register.u32Min)
  lowerUmax(register, register.umaxHi, register.u32Max)
  raiseSmin(register, register.sminHi, register.u32Min)
  lowerSmax(register, register.smaxHi, register.u32Max)
  const { s32Min, s32Max } = register
  // Within the int32 range and not negative as one: the upper half is 0.
  if (s32Min < 0) return
  const { sminHi, sminLo, smaxHi, smaxLo } = register
  const aboveInt32Min = sminHi > -1 || (sminHi === -1 && sminLo < 0)
  const belowInt32Max = smaxHi < 0 || (smaxHi === 0 && smaxLo >= 0)
  if (!aboveInt32Min || !belowInt32Max) return
  register.sminHi = register.uminHi = register.smaxHi = register.umaxHi = 0
  register.sminLo = register.uminLo = s32Min
  register.smaxLo = register.umaxLo = s32Max
  tnumRange(range, 0, s32Min, 0, s32Max)
  tnumIntersect(register, register, range)
}

/** @returns whether there was anything to learn: if not, there is no more */
function deduce(register: Register): boolean {
  const { uminHi, uminLo, umaxHi, umaxLo, sminHi, sminLo, smaxHi, smaxLo } = register
  const { u32Min, u32Max, s32Min, s32Max, valueLo, maskLo, valueHi, maskHi } = register
  deduce32(register)
  deduce64(register)
  deduceMixed(register)
  return (
    ((uminLo ^ register.uminLo) |
      (umaxLo ^ register.umaxLo) |
      (uminHi ^ register.uminHi) |
      (umaxHi ^ register.umaxHi) |
      (sminLo ^ register.sminLo) |
      (smaxLo ^ register.smaxLo) |
      (sminHi ^ register.sminHi) |
      (smaxHi ^ register.smaxHi) |
      (u32Min ^ register.u32Min) |
      (u32Max ^ register.u32Max) |
      (s32Min ^ register.s32Min) |
      (s32Max ^ register.s32Max) |
      (valueLo ^ register.valueLo) |
      (maskLo ^ register.maskLo) |
      (valueHi ^ register.valueHi) |
      (maskHi ^ register.maskHi)) !==
    0
  )
}

/** The tnum from the unsigned ranges. */
function tnumFromBounds(register: Register): void {
  tnumRange(range, register.uminHi, register.uminLo, register.umaxHi, register.umaxLo)
  tnumIntersect(register, register, range)
  tnumRange(range, 0, register.u32Min, 0, register.u32Max)
  low.valueLo = register.valueLo
  low.maskLo = register.maskLo
  tnumIntersect(low, low, range)
  register.valueLo = low.valueLo
  register.maskLo = low.maskLo
}

/** To be called when tnum or ranges have changed. */
export function syncBounds(register: Register): void {
  if (isConst(register) && isWithin(register)) {
    setConstant(register, register.valueHi, register.valueLo)
    return
  }
  boundsFromTnum(register)
  // Three times, as Linux does.
  if (deduce(register) && deduce(register)) deduce(register)
  tnumFromBounds(register)
  boundsFromTnum(register)
}

/** Whether the ranges hold the tnum's least value. */
function isWithin(register: Register): boolean {
  const { valueHi, valueLo } = register
  return !(
    ult(valueHi, valueLo, register.uminHi, register.uminLo) ||
    ult(register.umaxHi, register.umaxLo, valueHi, valueLo) ||
    slt(valueHi, valueLo, register.sminHi, register.sminLo) ||
    slt(register.smaxHi, register.smaxLo, valueHi, valueLo) ||
    ult32(valueLo, register.u32Min) ||
    ult32(register.u32Max, valueLo) ||
    valueLo < register.s32Min ||
    valueLo > register.s32Max
  )
}

/** Zero-extends the lower half, and what is known of it, into the whole register. */
export function zeroExtend32(register: Register): void {
  register.valueHi = register.maskHi = 0
  register.uminHi = register.umaxHi = register.sminHi = register.smaxHi = 0
  register.uminLo = register.u32Min
  register.umaxLo = register.u32Max
  if (register.s32Min >= 0) {
    register.sminLo = register.s32Min
    register.smaxLo = register.s32Max
  } else {
    register.sminLo = 0
    register.smaxLo = -1
  }
}
