/**
 * Tristate numbers: 64-bit values of which some bits are known. A bit that is set in the mask is unknown, and clear in the value.
 *
 * "Sound, Precise, and Fast Abstract Interpretation with Tristate Numbers" (Vishwanathan et al., CGO 2022) proves addition and
 * subtraction; each operation here is tested against all concrete values of small widths.
 */
import { addHi, hexText, sarHi, sarLo, shlHi, shlLo, shrHi, shrLo, subHi } from './wide.js'

export class Tnum {
  valueHi = 0
  valueLo = 0
  maskHi = 0
  maskLo = 0
}

export function setTnum(out: Tnum, valueHi: number, valueLo: number, maskHi: number, maskLo: number): void {
  out.valueHi = valueHi
  out.valueLo = valueLo
  out.maskHi = maskHi
  out.maskLo = maskLo
}

/** Sets value and mask, where bits that are unknown may be set in the value. */
function settle(out: Tnum, valueHi: number, valueLo: number, maskHi: number, maskLo: number): void {
  setTnum(out, valueHi & ~maskHi, valueLo & ~maskLo, maskHi, maskLo)
}

export function isConst(a: Tnum): boolean {
  return (a.maskLo | a.maskHi) === 0
}

export function isConstZero(a: Tnum): boolean {
  return (a.maskLo | a.maskHi | a.valueLo | a.valueHi) === 0
}

export function tnumEquals(a: Tnum, b: Tnum): boolean {
  return a.valueLo === b.valueLo && a.maskLo === b.maskLo && a.valueHi === b.valueHi && a.maskHi === b.maskHi
}

/** Each `out` may be one of the operands. */
export function tnumAdd(out: Tnum, a: Tnum, b: Tnum): void {
  const maskLo = (a.maskLo + b.maskLo) | 0
  const maskHi = addHi(a.maskHi, a.maskLo, b.maskHi, b.maskLo)
  const valueLo = (a.valueLo + b.valueLo) | 0
  const valueHi = addHi(a.valueHi, a.valueLo, b.valueHi, b.valueLo)
  const mostLo = (maskLo + valueLo) | 0
  const mostHi = addHi(maskHi, maskLo, valueHi, valueLo)
  const unknownLo = (mostLo ^ valueLo) | a.maskLo | b.maskLo
  const unknownHi = (mostHi ^ valueHi) | a.maskHi | b.maskHi
  settle(out, valueHi, valueLo, unknownHi, unknownLo)
}

export function tnumSub(out: Tnum, a: Tnum, b: Tnum): void {
  const valueLo = (a.valueLo - b.valueLo) | 0
  const valueHi = subHi(a.valueHi, a.valueLo, b.valueHi, b.valueLo)
  const mostLo = (valueLo + a.maskLo) | 0
  const mostHi = addHi(valueHi, valueLo, a.maskHi, a.maskLo)
  const leastLo = (valueLo - b.maskLo) | 0
  const leastHi = subHi(valueHi, valueLo, b.maskHi, b.maskLo)
  const unknownLo = (mostLo ^ leastLo) | a.maskLo | b.maskLo
  const unknownHi = (mostHi ^ leastHi) | a.maskHi | b.maskHi
  settle(out, valueHi, valueLo, unknownHi, unknownLo)
}

export function tnumAnd(out: Tnum, a: Tnum, b: Tnum): void {
  const lo = a.valueLo & b.valueLo
  const hi = a.valueHi & b.valueHi
  const possibleLo = (a.valueLo | a.maskLo) & (b.valueLo | b.maskLo)
  const possibleHi = (a.valueHi | a.maskHi) & (b.valueHi | b.maskHi)
  setTnum(out, hi, lo, possibleHi & ~hi, possibleLo & ~lo)
}

export function tnumOr(out: Tnum, a: Tnum, b: Tnum): void {
  const lo = a.valueLo | b.valueLo
  const hi = a.valueHi | b.valueHi
  setTnum(out, hi, lo, (a.maskHi | b.maskHi) & ~hi, (a.maskLo | b.maskLo) & ~lo)
}

export function tnumXor(out: Tnum, a: Tnum, b: Tnum): void {
  settle(out, a.valueHi ^ b.valueHi, a.valueLo ^ b.valueLo, a.maskHi | b.maskHi, a.maskLo | b.maskLo)
}

const term = new Tnum()
const sum = new Tnum()
const total = new Tnum()

/** Long multiplication: each bit of `a` adds a shifted `b`, or doesn't, or may. */
export function tnumMul(out: Tnum, a: Tnum, b: Tnum): void {
  if (isConst(b) && isAnyMultiple(a))
    return multiples(out, zeros(a.maskHi, a.maskLo) + zeros(b.valueHi, b.valueLo))
  let { valueHi, valueLo, maskHi, maskLo } = a
  setTnum(term, b.valueHi, b.valueLo, b.maskHi, b.maskLo)
  setTnum(total, 0, 0, 0, 0)
  while ((valueLo | valueHi | maskLo | maskHi) !== 0) {
    if ((valueLo & 1) !== 0) {
      tnumAdd(total, total, term)
    } else if ((maskLo & 1) !== 0) {
      tnumAdd(sum, total, term)
      tnumUnion(total, total, sum)
    }
    valueLo = shrLo(valueHi, valueLo, 1)
    valueHi = shrHi(valueHi, 1)
    maskLo = shrLo(maskHi, maskLo, 1)
    maskHi = shrHi(maskHi, 1)
    tnumShl(term, term, 1)
  }
  setTnum(out, total.valueHi, total.valueLo, total.maskHi, total.maskLo)
}

/** Whether all bits from some one on upwards are unknown, and those below it 0. */
function isAnyMultiple({ valueHi, valueLo, maskHi, maskLo }: Tnum): boolean {
  if ((valueHi | valueLo) !== 0) return false
  return maskLo === 0 ? maskHi === -(maskHi & -maskHi) : maskHi === -1 && maskLo === -(maskLo & -maskLo)
}

/** Zeros below the lowest bit that is set; 64: none is. */
function zeros(hi: number, lo: number): number {
  if (lo !== 0) return 31 - Math.clz32(lo & -lo)
  return hi === 0 ? 64 : 63 - Math.clz32(hi & -hi)
}

/** All multiples of a power of two, and only 0 from 64 on. */
function multiples(out: Tnum, power: number): void {
  if (power >= 64) setTnum(out, 0, 0, 0, 0)
  else setTnum(out, 0, 0, shlHi(-1, -1, power), shlLo(-1, power))
}

export function tnumNeg(out: Tnum, a: Tnum): void {
  tnumSub(out, ZERO, a)
}

const ZERO = new Tnum()

export function tnumShl(out: Tnum, a: Tnum, by: number): void {
  setTnum(
    out,
    shlHi(a.valueHi, a.valueLo, by),
    shlLo(a.valueLo, by),
    shlHi(a.maskHi, a.maskLo, by),
    shlLo(a.maskLo, by),
  )
}

export function tnumShr(out: Tnum, a: Tnum, by: number): void {
  setTnum(
    out,
    shrHi(a.valueHi, by),
    shrLo(a.valueHi, a.valueLo, by),
    shrHi(a.maskHi, by),
    shrLo(a.maskHi, a.maskLo, by),
  )
}

/** Arithmetic shift: an unknown sign spreads. */
export function tnumSar(out: Tnum, a: Tnum, by: number): void {
  setTnum(
    out,
    sarHi(a.valueHi, by),
    sarLo(a.valueHi, a.valueLo, by),
    sarHi(a.maskHi, by),
    sarLo(a.maskHi, a.maskLo, by),
  )
}

/** Arithmetic shift of the lower half, zero-extended. */
export function tnumSar32(out: Tnum, a: Tnum, by: number): void {
  setTnum(out, 0, a.valueLo >> by, 0, a.maskLo >> by)
}

/** What is known if both are: they must not contradict each other, or the result is any. */
export function tnumIntersect(out: Tnum, a: Tnum, b: Tnum): void {
  settle(out, a.valueHi | b.valueHi, a.valueLo | b.valueLo, a.maskHi & b.maskHi, a.maskLo & b.maskLo)
}

/** What is known if one of them is. */
export function tnumUnion(out: Tnum, a: Tnum, b: Tnum): void {
  const unknownLo = (a.valueLo ^ b.valueLo) | a.maskLo | b.maskLo
  const unknownHi = (a.valueHi ^ b.valueHi) | a.maskHi | b.maskHi
  settle(out, a.valueHi & b.valueHi, a.valueLo & b.valueLo, unknownHi, unknownLo)
}

/** The least tnum that holds all of an unsigned range: the common leading bits. */
export function tnumRange(out: Tnum, minHi: number, minLo: number, maxHi: number, maxLo: number): void {
  const differHi = minHi ^ maxHi
  const differLo = minLo ^ maxLo
  if (differHi !== 0) {
    const deltaHi = lowBits(32 - Math.clz32(differHi))
    setTnum(out, minHi & ~deltaHi, 0, deltaHi, -1)
    return
  }
  const deltaLo = lowBits(32 - Math.clz32(differLo))
  setTnum(out, minHi, minLo & ~deltaLo, 0, deltaLo)
}

/** A number with the lowest `bits` (0…32) set. */
function lowBits(bits: number): number {
  return bits === 32 ? -1 : (1 << bits) - 1
}

/** Whether all values of `b` are values of `a`. */
export function tnumContains(a: Tnum, b: Tnum): boolean {
  return (
    (b.maskLo & ~a.maskLo) === 0 &&
    (b.maskHi & ~a.maskHi) === 0 &&
    (b.valueLo & ~a.maskLo) === a.valueLo &&
    (b.valueHi & ~a.maskHi) === a.valueHi
  )
}

/** Whether all values are multiples of a power of two up to 8. */
export function isAligned(valueLo: number, maskLo: number, size: number): boolean {
  return ((valueLo | maskLo) & (size - 1)) === 0
}

/** As the verifier log writes it. */
export function tnumText(a: Tnum): string {
  return `(${hexText(a.valueHi, a.valueLo)}; ${hexText(a.maskHi, a.maskLo)})`
}
