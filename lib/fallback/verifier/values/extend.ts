/** Parts of numbers: cut off, sign-extended, with their bytes reversed. */
import { syncBounds, zeroExtend32 } from './bounds.js'
import {
  type Register,
  setConstant,
  setU32,
  setUnbounded32,
  setUnbounded64,
  setUnsigned,
} from './register.js'
import * as tnum from './tnum.js'
import { S32_MAX, S32_MIN } from './wide.js'

/**
 * What a load of fewer than 8 bytes, zero-extended, leaves of a number.
 *
 * @param bits 8, 16 or 32
 */
export function truncate(register: Register, bits: number): void {
  const mask = bits === 32 ? -1 : (1 << bits) - 1
  const { uminHi, uminLo, umaxHi, umaxLo } = register
  tnum.setTnum(register, 0, register.valueLo & mask, 0, register.maskLo & mask)
  const sameAbove = uminHi === umaxHi && (uminLo & ~mask) === (umaxLo & ~mask)
  register.uminHi = register.umaxHi = 0
  register.uminLo = sameAbove ? uminLo & mask : 0
  register.umaxLo = sameAbove ? umaxLo & mask : mask
  register.sminHi = register.smaxHi = 0
  register.sminLo = register.uminLo
  register.smaxLo = register.umaxLo
  // The lower half's own ranges survive if nothing of it was cut.
  if (bits !== 32) setUnbounded32(register)
  syncBounds(register)
}

/**
 * Reverses the lowest bytes, or (swaps: false) leaves them, and clears those above.
 *
 * @param bits 16, 32 or 64
 */
export function swapBytes(register: Register, bits: number, swaps: boolean): void {
  if (swaps) {
    const { valueHi, valueLo, maskHi, maskLo } = register
    if (bits === 16) tnum.setTnum(register, 0, swapped32(valueLo) >>> 16, 0, swapped32(maskLo) >>> 16)
    else if (bits === 32) tnum.setTnum(register, 0, swapped32(valueLo), 0, swapped32(maskLo))
    else tnum.setTnum(register, swapped32(valueLo), swapped32(valueHi), swapped32(maskLo), swapped32(maskHi))
    setUnbounded64(register)
    setUnbounded32(register)
  }
  if (bits === 64) syncBounds(register)
  else truncate(register, bits)
}

function swapped32(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)
}

/**
 * Sign-extends the lowest bits into the whole register.
 *
 * @param bits 8, 16 or 32
 */
export function signExtend(register: Register, bits: number): void {
  const shift = 32 - bits
  if (tnum.isConst(register)) {
    const value = (register.valueLo << shift) >> shift
    return setConstant(register, value >> 31, value)
  }
  const { sminHi, sminLo, smaxHi, smaxLo } = register
  const keepsOrder = sminHi === smaxHi && (bits === 32 || sminLo >> bits === smaxLo >> bits)
  const min = (sminLo << shift) >> shift
  const max = (smaxLo << shift) >> shift
  if (keepsOrder && min >= 0 === max >= 0) {
    tnum.tnumRange(register, min >> 31, min, max >> 31, max)
    setRange(register, min, max)
  } else {
    tnum.setTnum(register, 0, 0, -1, -1)
    setRange(register, S32_MIN >> shift, S32_MAX >> shift)
  }
}

/** As {@link signExtend}, of 8 or 16 bits into the lower half; the upper half becomes 0. */
export function signExtend32(register: Register, bits: number): void {
  const shift = 32 - bits
  const { s32Min, s32Max } = register
  if (tnum.isConst(register)) return setConstant(register, 0, (register.valueLo << shift) >> shift)
  const low = (s32Min << shift) >> shift
  const high = (s32Max << shift) >> shift
  const keepsOrder = s32Min >> bits === s32Max >> bits && low >= 0 === high >= 0
  if (keepsOrder) {
    tnum.tnumRange(register, 0, low, 0, high)
    setU32(register, low, high, false)
  } else {
    tnum.setTnum(register, 0, 0, 0, -1)
    setU32(register, 0, 0, true)
  }
  register.s32Min = keepsOrder ? low : S32_MIN >> shift
  register.s32Max = keepsOrder ? high : S32_MAX >> shift
  setUnbounded64(register)
  zeroExtend32(register)
  syncBounds(register)
}

/** Sets all ranges from one of int32 numbers; the tnum stays. */
function setRange(register: Register, min: number, max: number): void {
  register.sminLo = register.s32Min = min
  register.sminHi = min >> 31
  register.smaxLo = register.s32Max = max
  register.smaxHi = max >> 31
  const crosses = min < 0 && max >= 0
  setUnsigned(register, min >> 31, min, max >> 31, max, crosses)
  setU32(register, min, max, crosses)
  syncBounds(register)
}
