/**
 * Arithmetic on numbers of which tnum and ranges are known.
 *
 * An operation computes 32- and 64-bit ranges and the tnum apart; `syncBounds()` then lets them learn of each other. Results of division and
 * modulo, and of shifts by what isn't known, are unknown in both halves, as in Linux 6.18.
 */
import { boundsFromTnum, boundsFromTnum32, syncBounds, zeroExtend32 } from './bounds.js'
import { keepInvariants } from './invariants.js'
import {
  copyValue,
  Register,
  setConstant,
  setS32,
  setSigned,
  setU32,
  setUnbounded32,
  setUnbounded64,
  setUnboundedSigned,
  setUnboundedUnsigned,
  setUnsigned,
  setUnknown,
} from './register.js'
import * as tnum from './tnum.js'
import {
  addHi,
  mulHi,
  S32_MAX,
  S32_MIN,
  S64_MAX_HI,
  S64_MAX_LO,
  S64_MIN_HI,
  S64_MIN_LO,
  sarHi,
  sarLo,
  shlHi,
  shlLo,
  shrHi,
  shrLo,
  slt,
  smulOverflows,
  subHi,
  ult,
  ult32,
  umulOverflows,
} from './wide.js'

/** High four bits of an ALU opcode. */
export const ALU = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  MOD: 0x90,
  XOR: 0xa0,
  MOV: 0xb0,
  ARSH: 0xc0,
  END: 0xd0,
} as const

/**
 * Computes `register = register operation operand`.
 *
 * @param register  a clone that belongs to the caller
 * @param operation one of {@link ALU}
 * @param wide      64 bits; else the lower halves, zero-extended
 */
export function computeScalar(register: Register, operation: number, operand: Register, wide: boolean): void {
  if (!isComputed(operation, operand, wide)) {
    // Also of lower halves: that the upper one is empty isn't noticed.
    setUnknown(register)
    return
  }
  if (isExact(register) && isExact(operand) && operation !== ALU.NEG)
    return computeConstant(register, operation, operand, wide)
  switch (operation) {
    case ALU.ADD:
      add32(register, operand)
      add64(register, operand)
      tnum.tnumAdd(register, register, operand)
      break
    case ALU.SUB:
      subtract(register, register, operand)
      break
    case ALU.NEG:
      negate(register)
      break
    case ALU.MUL:
      mul32(register, operand)
      mul64(register, operand)
      tnum.tnumMul(register, register, operand)
      break
    case ALU.AND:
      and(register, operand)
      break
    case ALU.OR:
      or(register, operand)
      break
    case ALU.XOR:
      xor(register, operand)
      break
    case ALU.LSH:
      if (wide) shiftLeft64(register, operand.valueLo)
      else shiftLeft32(register, operand.valueLo)
      break
    case ALU.RSH:
      if (wide) shiftRight64(register, operand.valueLo)
      else shiftRight32(register, operand.valueLo)
      break
    case ALU.ARSH:
      if (wide) shiftArithmetic64(register, operand.valueLo)
      else shiftArithmetic32(register, operand.valueLo)
      break
  }
  if (!wide) zeroExtend32(register)
  syncBounds(register)
  keepInvariants(register)
}

/** Whether the tnum and all ranges agree on one number: on paths that nobody can take, they may not. */
function isExact(one: Register): boolean {
  const { valueHi, valueLo } = one
  return (
    tnum.isConst(one) &&
    one.uminLo === valueLo &&
    one.umaxLo === valueLo &&
    one.sminLo === valueLo &&
    one.smaxLo === valueLo &&
    one.uminHi === valueHi &&
    one.umaxHi === valueHi &&
    one.sminHi === valueHi &&
    one.smaxHi === valueHi &&
    one.u32Min === valueLo &&
    one.u32Max === valueLo &&
    one.s32Min === valueLo &&
    one.s32Max === valueLo
  )
}

/** Of two known numbers comes a known one, and all ranges are just that. */
function computeConstant(register: Register, operation: number, operand: Register, wide: boolean): void {
  const { valueHi: aHi, valueLo: aLo } = register
  const { valueHi: bHi, valueLo: bLo } = operand
  let hi = 0
  let lo = 0
  switch (operation) {
    case ALU.ADD:
      lo = (aLo + bLo) | 0
      hi = addHi(aHi, aLo, bHi, bLo)
      break
    case ALU.SUB:
      lo = (aLo - bLo) | 0
      hi = subHi(aHi, aLo, bHi, bLo)
      break
    case ALU.MUL:
      lo = Math.imul(aLo, bLo)
      hi = mulHi(aHi, aLo, bHi, bLo)
      break
    case ALU.AND:
      lo = aLo & bLo
      hi = aHi & bHi
      break
    case ALU.OR:
      lo = aLo | bLo
      hi = aHi | bHi
      break
    case ALU.XOR:
      lo = aLo ^ bLo
      hi = aHi ^ bHi
      break
    case ALU.LSH:
      lo = shlLo(aLo, bLo)
      hi = shlHi(aHi, aLo, bLo)
      break
    case ALU.RSH:
      lo = wide ? shrLo(aHi, aLo, bLo) : (aLo >>> bLo) | 0
      hi = shrHi(aHi, bLo)
      break
    case ALU.ARSH:
      lo = wide ? sarLo(aHi, aLo, bLo) : aLo >> bLo
      hi = sarHi(aHi, bLo)
      break
  }
  setConstant(register, wide ? hi : 0, lo)
}

/** Whether the result is more than "any number": not for divisions, nor for shifts by what isn't known or too much. */
function isComputed(operation: number, operand: Register, wide: boolean): boolean {
  switch (operation) {
    case ALU.DIV:
    case ALU.MOD:
      return false
    case ALU.LSH:
    case ALU.RSH:
    case ALU.ARSH:
      if (wide) return tnum.isConst(operand) && operand.valueHi === 0 && operand.valueLo >>> 0 < 64
      // Its upper half counts though it shifts nothing.
      return operand.maskLo === 0 && operand.umaxHi === 0 && operand.umaxLo >>> 0 < 32
    default:
      return true
  }
}

function add32(a: Register, b: Register): void {
  const min = a.s32Min + b.s32Min
  const max = a.s32Max + b.s32Max
  setS32(a, min, max, min < S32_MIN || max > S32_MAX)
  const low = (a.u32Min >>> 0) + (b.u32Min >>> 0)
  const high = (a.u32Max >>> 0) + (b.u32Max >>> 0)
  // All sums wrap around, or none does: then they are still in order.
  setU32(a, low | 0, high | 0, low <= 0xffff_ffff && high > 0xffff_ffff)
}

function sub32(to: Register, a: Register, b: Register): void {
  const min = a.s32Min - b.s32Max
  const max = a.s32Max - b.s32Min
  const low = (a.u32Min >>> 0) - (b.u32Max >>> 0)
  const high = (a.u32Max >>> 0) - (b.u32Min >>> 0)
  setS32(to, min, max, min < S32_MIN || max > S32_MAX)
  setU32(to, low | 0, high | 0, low < 0 && high >= 0)
}

function add64(a: Register, b: Register): void {
  const sminHi = addHi(a.sminHi, a.sminLo, b.sminHi, b.sminLo)
  const smaxHi = addHi(a.smaxHi, a.smaxLo, b.smaxHi, b.smaxLo)
  const overflows =
    ((a.sminHi ^ sminHi) & (b.sminHi ^ sminHi)) < 0 || ((a.smaxHi ^ smaxHi) & (b.smaxHi ^ smaxHi)) < 0
  setSigned(a, sminHi, (a.sminLo + b.sminLo) | 0, smaxHi, (a.smaxLo + b.smaxLo) | 0, overflows)
  const uminLo = (a.uminLo + b.uminLo) | 0
  const uminHi = addHi(a.uminHi, a.uminLo, b.uminHi, b.uminLo)
  const umaxLo = (a.umaxLo + b.umaxLo) | 0
  const umaxHi = addHi(a.umaxHi, a.umaxLo, b.umaxHi, b.umaxLo)
  const minWraps = ult(uminHi, uminLo, a.uminHi, a.uminLo)
  const maxWraps = ult(umaxHi, umaxLo, a.umaxHi, a.umaxLo)
  setUnsigned(a, uminHi, uminLo, umaxHi, umaxLo, !minWraps && maxWraps)
}

function sub64(to: Register, a: Register, b: Register): void {
  const sminHi = subHi(a.sminHi, a.sminLo, b.smaxHi, b.smaxLo)
  const sminLo = (a.sminLo - b.smaxLo) | 0
  const smaxHi = subHi(a.smaxHi, a.smaxLo, b.sminHi, b.sminLo)
  const smaxLo = (a.smaxLo - b.sminLo) | 0
  const overflows =
    ((a.sminHi ^ b.smaxHi) & (a.sminHi ^ sminHi)) < 0 || ((a.smaxHi ^ b.sminHi) & (a.smaxHi ^ smaxHi)) < 0
  const uminHi = subHi(a.uminHi, a.uminLo, b.umaxHi, b.umaxLo)
  const uminLo = (a.uminLo - b.umaxLo) | 0
  const umaxHi = subHi(a.umaxHi, a.umaxLo, b.uminHi, b.uminLo)
  const umaxLo = (a.umaxLo - b.uminLo) | 0
  const minWraps = ult(a.uminHi, a.uminLo, b.umaxHi, b.umaxLo)
  const maxWraps = ult(a.umaxHi, a.umaxLo, b.uminHi, b.uminLo)
  setSigned(to, sminHi, sminLo, smaxHi, smaxLo, overflows)
  setUnsigned(to, uminHi, uminLo, umaxHi, umaxLo, minWraps && !maxWraps)
}

function subtract(to: Register, a: Register, b: Register): void {
  sub32(to, a, b)
  sub64(to, a, b)
  tnum.tnumSub(to, a, b)
}

const operand = new Register()

function negate(register: Register): void {
  copyValue(operand, register)
  setConstant(register, 0, 0)
  sub32(register, register, operand)
  sub64(register, register, operand)
  tnum.tnumNeg(register, operand)
}

function mul32(a: Register, b: Register): void {
  const low = (a.u32Min >>> 0) * (b.u32Min >>> 0)
  const high = (a.u32Max >>> 0) * (b.u32Max >>> 0)
  const first = a.s32Min * b.s32Min
  const second = a.s32Min * b.s32Max
  const third = a.s32Max * b.s32Min
  const fourth = a.s32Max * b.s32Max
  const min = Math.min(first, second, third, fourth)
  const max = Math.max(first, second, third, fourth)
  setS32(a, min, max, min < S32_MIN || max > S32_MAX)
  setU32(a, low | 0, high | 0, high > 0xffff_ffff)
}

function mul64(a: Register, b: Register): void {
  const wraps = umulOverflows(a.umaxHi, a.umaxLo, b.umaxHi, b.umaxLo)
  const uminHi = mulHi(a.uminHi, a.uminLo, b.uminHi, b.uminLo)
  const uminLo = Math.imul(a.uminLo, b.uminLo)
  const umaxHi = mulHi(a.umaxHi, a.umaxLo, b.umaxHi, b.umaxLo)
  const umaxLo = Math.imul(a.umaxLo, b.umaxLo)
  mulSigned(a, b)
  setUnsigned(a, uminHi, uminLo, umaxHi, umaxLo, wraps)
}

/** The least and the greatest of the products of the ranges' ends. */
function mulSigned(a: Register, b: Register): void {
  let minHi = S64_MAX_HI
  let minLo = S64_MAX_LO
  let maxHi = S64_MIN_HI
  let maxLo = S64_MIN_LO
  for (let i = 0; i < 4; i++) {
    const xHi = (i & 1) === 0 ? a.sminHi : a.smaxHi
    const xLo = (i & 1) === 0 ? a.sminLo : a.smaxLo
    const yHi = (i & 2) === 0 ? b.sminHi : b.smaxHi
    const yLo = (i & 2) === 0 ? b.sminLo : b.smaxLo
    if (smulOverflows(xHi, xLo, yHi, yLo)) return setUnboundedSigned(a)
    const hi = mulHi(xHi, xLo, yHi, yLo)
    const lo = Math.imul(xLo, yLo)
    if (slt(hi, lo, minHi, minLo)) {
      minHi = hi
      minLo = lo
    }
    if (slt(maxHi, maxLo, hi, lo)) {
      maxHi = hi
      maxLo = lo
    }
  }
  setSigned(a, minHi, minLo, maxHi, maxLo, false)
}

/** Signed ranges of a bitwise result: those of the unsigned range, where its ends have the same sign. */
function signsFollow(register: Register): void {
  setS32(register, register.u32Min, register.u32Max, register.u32Min > register.u32Max)
  const { uminHi, uminLo, umaxHi, umaxLo } = register
  setSigned(register, uminHi, uminLo, umaxHi, umaxLo, slt(umaxHi, umaxLo, uminHi, uminLo))
}

function and(a: Register, b: Register): void {
  tnum.tnumAnd(a, a, b)
  // Not more than either, not less than the bits that are surely set.
  a.u32Min = a.valueLo
  if (ult32(b.u32Max, a.u32Max)) a.u32Max = b.u32Max
  a.uminHi = a.valueHi
  a.uminLo = a.valueLo
  if (ult(b.umaxHi, b.umaxLo, a.umaxHi, a.umaxLo)) {
    a.umaxHi = b.umaxHi
    a.umaxLo = b.umaxLo
  }
  bitwiseDone(a)
}

function or(a: Register, b: Register): void {
  tnum.tnumOr(a, a, b)
  // Not less than either, not more than the bits that may be set.
  if (ult32(a.u32Min, b.u32Min)) a.u32Min = b.u32Min
  a.u32Max = a.valueLo | a.maskLo
  if (ult(a.uminHi, a.uminLo, b.uminHi, b.uminLo)) {
    a.uminHi = b.uminHi
    a.uminLo = b.uminLo
  }
  a.umaxHi = a.valueHi | a.maskHi
  a.umaxLo = a.valueLo | a.maskLo
  bitwiseDone(a)
}

function xor(a: Register, b: Register): void {
  tnum.tnumXor(a, a, b)
  a.u32Min = a.valueLo
  a.u32Max = a.valueLo | a.maskLo
  a.uminHi = a.valueHi
  a.uminLo = a.valueLo
  a.umaxHi = a.valueHi | a.maskHi
  a.umaxLo = a.valueLo | a.maskLo
  bitwiseDone(a)
}

function bitwiseDone(register: Register): void {
  if (tnum.isConst(register)) {
    setConstant(register, register.valueHi, register.valueLo)
    return
  }
  if (register.maskLo === 0) {
    register.u32Min = register.u32Max = register.valueLo
  }
  signsFollow(register)
  boundsFromTnum(register)
}

/** The unsigned 32-bit range; the signs are lost. */
function shiftLeftRange32(register: Register, by: number): void {
  setS32(register, 0, 0, true)
  const lost = by > 0 && register.u32Max >>> (32 - by) !== 0
  setU32(register, register.u32Min << by, register.u32Max << by, lost)
}

function shiftLeft32(register: Register, by: number): void {
  shiftLeftRange32(register, by)
  tnum.setTnum(register, 0, register.valueLo << by, 0, register.maskLo << by)
  setUnbounded64(register)
  boundsFromTnum32(register)
}

function shiftLeft64(register: Register, by: number): void {
  // A shift by 32 is half of a sign extension: what is known of the lower half's sign is kept.
  const half = by === 32
  register.smaxHi = half && register.s32Max >= 0 ? register.s32Max : S64_MAX_HI
  register.smaxLo = half && register.s32Max >= 0 ? 0 : S64_MAX_LO
  register.sminHi = half && register.s32Min >= 0 ? register.s32Min : S64_MIN_HI
  register.sminLo = 0
  const lost =
    by > 0 && (shrHi(register.umaxHi, 64 - by) | shrLo(register.umaxHi, register.umaxLo, 64 - by)) !== 0
  const { uminHi, uminLo, umaxHi, umaxLo } = register
  setUnsigned(
    register,
    shlHi(uminHi, uminLo, by),
    shlLo(uminLo, by),
    shlHi(umaxHi, umaxLo, by),
    shlLo(umaxLo, by),
    lost,
  )
  if (by < 32) shiftLeftRange32(register, by)
  else setUnbounded32(register)
  tnum.tnumShl(register, register, by)
  boundsFromTnum(register)
}

function shiftRight32(register: Register, by: number): void {
  setS32(register, 0, 0, true)
  tnum.setTnum(register, 0, (register.valueLo >>> by) | 0, 0, (register.maskLo >>> by) | 0)
  register.u32Min = (register.u32Min >>> by) | 0
  register.u32Max = (register.u32Max >>> by) | 0
  setUnbounded64(register)
  boundsFromTnum32(register)
}

function shiftRight64(register: Register, by: number): void {
  const { uminHi, uminLo, umaxHi, umaxLo } = register
  setUnboundedSigned(register)
  tnum.tnumShr(register, register, by)
  setUnsigned(
    register,
    shrHi(uminHi, by),
    shrLo(uminHi, uminLo, by),
    shrHi(umaxHi, by),
    shrLo(umaxHi, umaxLo, by),
    false,
  )
  setUnbounded32(register)
  boundsFromTnum(register)
}

function shiftArithmetic32(register: Register, by: number): void {
  register.s32Min >>= by
  register.s32Max >>= by
  tnum.tnumSar32(register, register, by)
  setU32(register, 0, 0, true)
  setUnbounded64(register)
  boundsFromTnum32(register)
}

function shiftArithmetic64(register: Register, by: number): void {
  const { sminHi, sminLo, smaxHi, smaxLo } = register
  setSigned(
    register,
    sarHi(sminHi, by),
    sarLo(sminHi, sminLo, by),
    sarHi(smaxHi, by),
    sarLo(smaxHi, smaxLo, by),
    false,
  )
  tnum.tnumSar(register, register, by)
  setUnboundedUnsigned(register)
  setUnbounded32(register)
  boundsFromTnum(register)
}
