/** What must hold of a number's ranges and tnum; where it doesn't, the path is one that no run takes. */
import { setUnbounded32, setUnbounded64, type Register } from './register.js'
import { isConst } from './tnum.js'
import { slt, ult, ult32 } from './wide.js'

/**
 * Takes the ranges of a number away if they contradict each other or the tnum, as Linux does since 6.8: what follows from a contradiction is anything, and
 * ranges without a value would decide later branches. The tnum stays.
 *
 * @returns whether there was nothing to take away
 */
export function keepInvariants(register: Register): boolean {
  if (isConsistent(register)) return true
  setUnbounded64(register)
  setUnbounded32(register)
  return false
}

function isConsistent(register: Register): boolean {
  const { uminHi, uminLo, umaxHi, umaxLo, sminHi, sminLo, smaxHi, smaxLo } = register
  const { u32Min, u32Max, s32Min, s32Max, valueHi, valueLo, maskLo } = register
  if (
    ult(umaxHi, umaxLo, uminHi, uminLo) ||
    slt(smaxHi, smaxLo, sminHi, sminLo) ||
    ult32(u32Max, u32Min) ||
    s32Max < s32Min
  )
    return false
  if (maskLo !== 0) return true
  if (u32Min !== valueLo || u32Max !== valueLo || s32Min !== valueLo || s32Max !== valueLo) return false
  return (
    !isConst(register) ||
    (uminHi === valueHi &&
      uminLo === valueLo &&
      umaxHi === valueHi &&
      umaxLo === valueLo &&
      sminHi === valueHi &&
      sminLo === valueLo &&
      smaxHi === valueHi &&
      smaxLo === valueLo)
  )
}
