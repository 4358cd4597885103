/** Ends of ranges as floats: exact within 2^53, and in order with smaller numbers beyond. */
import type { Register } from './register.js'
import { toNumber } from './wide.js'

/** Signed lower end, as a float that is exact where it is within 2^53. */
export function sminNumber(register: Register): number {
  return toNumber(register.sminHi, register.sminLo)
}

export function smaxNumber(register: Register): number {
  return toNumber(register.smaxHi, register.smaxLo)
}

/** Unsigned upper end, as a float that is exact where it is within 2^53. */
export function umaxNumber(register: Register): number {
  return (register.umaxHi >>> 0) * 0x1_0000_0000 + (register.umaxLo >>> 0)
}

export function uminNumber(register: Register): number {
  return (register.uminHi >>> 0) * 0x1_0000_0000 + (register.uminLo >>> 0)
}

/** The constant, as a signed float; exact where it is within 2^53. */
export function constantNumber(register: Register): number {
  return toNumber(register.valueHi, register.valueLo)
}
