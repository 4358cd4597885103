/**
 * 64-bit integers as two int32 halves: no allocation, no BigInt.
 *
 * Functions are pure and small, so that engines inline them. `…Hi` gives the upper half of a result; lower halves of sums and
 * differences are plain `(a + b) | 0`.
 */

/** Upper and lower half of the least and the greatest signed number. */
export const S64_MIN_HI = -0x8000_0000
export const S64_MIN_LO = 0
export const S64_MAX_HI = 0x7fff_ffff
export const S64_MAX_LO = -1
export const S32_MIN = -0x8000_0000
export const S32_MAX = 0x7fff_ffff

/** Unsigned a < b. */
export function ult(aHi: number, aLo: number, bHi: number, bLo: number): boolean {
  return aHi === bHi ? aLo >>> 0 < bLo >>> 0 : aHi >>> 0 < bHi >>> 0
}

/** Signed a < b. */
export function slt(aHi: number, aLo: number, bHi: number, bLo: number): boolean {
  return aHi === bHi ? aLo >>> 0 < bLo >>> 0 : aHi < bHi
}

/** Unsigned 32-bit a < b, of numbers stored as int32. */
export function ult32(a: number, b: number): boolean {
  return a >>> 0 < b >>> 0
}

export function addHi(aHi: number, aLo: number, bHi: number, bLo: number): number {
  const carry = (aLo >>> 0) + (bLo >>> 0) > 0xffff_ffff ? 1 : 0
  return (aHi + bHi + carry) | 0
}

export function subHi(aHi: number, aLo: number, bHi: number, bLo: number): number {
  const borrow = aLo >>> 0 < bLo >>> 0 ? 1 : 0
  return (aHi - bHi - borrow) | 0
}

/** Upper half of the 64-bit product of two unsigned 32-bit numbers. */
export function umul32Hi(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const low = aLow * bLow
  const middle = aHigh * bLow + (low >>> 16)
  const other = aLow * bHigh + (middle & 0xffff)
  return (aHigh * bHigh + Math.floor(middle / 0x1_0000) + Math.floor(other / 0x1_0000)) | 0
}

/** Upper half of the low 64 bits of a product; the lower half is `Math.imul(aLo, bLo)`. */
export function mulHi(aHi: number, aLo: number, bHi: number, bLo: number): number {
  return (umul32Hi(aLo, bLo) + Math.imul(aHi, bLo) + Math.imul(aLo, bHi)) | 0
}

/** Whether the product of two unsigned 64-bit numbers needs more than 64 bits. */
export function umulOverflows(aHi: number, aLo: number, bHi: number, bLo: number): boolean {
  if (aHi === 0 && bHi === 0) return false
  if (aHi !== 0 && bHi !== 0) return true
  const cross = aHi === 0 ? (bHi >>> 0) * (aLo >>> 0) : (aHi >>> 0) * (bLo >>> 0)
  return cross + (umul32Hi(aLo, bLo) >>> 0) > 0xffff_ffff
}

/** Whether the product of two signed 64-bit numbers doesn't fit 64 bits. */
export function smulOverflows(aHi: number, aLo: number, bHi: number, bLo: number): boolean {
  const aNegative = aHi < 0
  const bNegative = bHi < 0
  const xLo = aNegative ? -aLo | 0 : aLo
  const xHi = aNegative ? subHi(0, 0, aHi, aLo) : aHi
  const yLo = bNegative ? -bLo | 0 : bLo
  const yHi = bNegative ? subHi(0, 0, bHi, bLo) : bHi
  if (umulOverflows(xHi, xLo, yHi, yLo)) return true
  const hi = mulHi(xHi, xLo, yHi, yLo)
  if (hi >= 0) return false
  return !(aNegative !== bNegative && hi === S64_MIN_HI && Math.imul(xLo, yLo) === 0)
}

/** Shifts by 0…63. */
export function shlHi(hi: number, lo: number, by: number): number {
  if (by === 0) return hi
  return by >= 32 ? lo << (by - 32) : (hi << by) | (lo >>> (32 - by))
}

export function shlLo(lo: number, by: number): number {
  return by >= 32 ? 0 : lo << by
}

export function shrHi(hi: number, by: number): number {
  return by >= 32 ? 0 : (hi >>> by) | 0
}

export function shrLo(hi: number, lo: number, by: number): number {
  if (by === 0) return lo
  return by >= 32 ? (hi >>> (by - 32)) | 0 : (lo >>> by) | (hi << (32 - by))
}

export function sarHi(hi: number, by: number): number {
  return by >= 32 ? hi >> 31 : hi >> by
}

export function sarLo(hi: number, lo: number, by: number): number {
  if (by === 0) return lo
  return by >= 32 ? hi >> (by - 32) : (lo >>> by) | (hi << (32 - by))
}

/** The number as a float: exact to 53 bits, its order and sign always right enough for comparisons with small numbers. */
export function toNumber(hi: number, lo: number): number {
  return hi * 0x1_0000_0000 + (lo >>> 0)
}

/** As Linux prints %lld. For messages only: it allocates. */
export function signedText(hi: number, lo: number): string {
  return String((BigInt(hi) << 32n) | BigInt(lo >>> 0))
}

/** As Linux prints %llu. */
export function unsignedText(hi: number, lo: number): string {
  return String((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0))
}

/** As Linux prints %#llx: zero as `0`. */
export function hexText(hi: number, lo: number): string {
  const text = ((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16)
  return text === '0' ? '0x0' : `0x${text}`
}
