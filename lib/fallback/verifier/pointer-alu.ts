/** Arithmetic with pointers: which have any, and how far. */
import { checkMapValue } from './memory-access.js'
import { denied, invalid, Rejection } from './rejection.js'
import { afterMove, beforeMove } from './speculation.js'
import { STACK_SIZE } from './state.js'
import { MAX_VARIABLE_OFFSET } from './stack.js'
import { typeName } from './type-names.js'
import { syncBounds } from './values/bounds.js'
import {
  cloneRegister,
  FLAG,
  isPacketPointer,
  KIND,
  type Register,
  setUnbounded32,
  UNKNOWN,
} from './values/register.js'
import { ALU, computeScalar } from './values/scalar-alu.js'
import { constantNumber, sminNumber } from './values/numbers.js'
import { isConst, tnumText } from './values/tnum.js'
import { S64_MIN_HI, signedText } from './values/wide.js'
import type { Verification } from './verification.js'

/** How ALU operations are written, by the high four bits of their opcodes. */
export const SYMBOLS: Readonly<Record<number, string>> = {
  [ALU.ADD]: '+=',
  [ALU.SUB]: '-=',
  [ALU.MUL]: '*=',
  [ALU.DIV]: '/=',
  [ALU.OR]: '|=',
  [ALU.AND]: '&=',
  [ALU.LSH]: '<<=',
  [ALU.RSH]: '>>=',
  [ALU.NEG]: 'neg',
  [ALU.MOD]: '%=',
  [ALU.XOR]: '^=',
  [ALU.ARSH]: 's>>=',
}

/** Kinds that may move. The others only by 0, or not at all. */
const MOVABLE: ReadonlySet<number> = new Set([
  KIND.CTX,
  KIND.MAP_VALUE,
  KIND.MAP_KEY,
  KIND.STACK,
  KIND.PACKET_META,
  KIND.PACKET,
  KIND.TP_BUFFER,
  KIND.BTF_ID,
  KIND.MEM,
  KIND.BUF,
  KIND.FUNC,
  KIND.DYNPTR,
])

/**
 * Computes pointer plus or minus number.
 *
 * @param number   register that takes the result
 * @param src      register of the second operand; -1: it is immediate
 * @param reversed the pointer is the second operand
 */
export function movePointer(
  env: Verification,
  number: number,
  src: number,
  base: Register,
  by: Register,
  operation: number,
  wide: boolean,
  reversed: boolean,
): Register {
  const known = isConst(by)
  if (!wide) {
    if (operation === ALU.SUB && env.mayLeak) return UNKNOWN
    denied(`R${number} 32-bit pointer arithmetic prohibited`)
  }
  const name = typeName(base)
  if ((base.flags & FLAG.MAYBE_NULL) !== 0)
    denied(`R${number} pointer arithmetic on ${name} prohibited, null-check it first`)
  if (base.kind === KIND.MEM && (base.flags & FLAG.UNTRUSTED) !== 0) {
    // Such memory is read where that is possible, wherever that is: Linux leaves the result what it was, even a number that it isn't any more.
    if (reversed) env.numbersAreWrong = true
    return reversed ? by : base
  }
  if (!mayMove(base, by, known, operation)) denied(`R${number} pointer arithmetic on ${name} prohibited`)
  checkSane(by, name)
  checkSane(base, name)
  const move = beforeMove(env, number, src, base, by, operation, reversed)
  const result = cloneRegister(base)
  setUnbounded32(result)
  if (reversed && base.frame !== 0) {
    // Linux 6.18 takes it for a pointer into the first frame: its verdict, but no proof.
    result.frame = 0
    env.framesAreMixed = true
  }
  if (operation === ALU.ADD) {
    const fixed = known ? base.offset + constantNumber(by) : Infinity
    if (fixed === (fixed | 0)) result.offset = fixed
    else addVariable(env, result, base, by, ALU.ADD, true)
  } else if (operation === ALU.SUB) {
    if (reversed) denied(`R${number} tried to subtract pointer from scalar`)
    if (base.kind === KIND.STACK) denied(`R${number} subtraction from stack pointer prohibited`)
    const fixed = known ? base.offset - constantNumber(by) : Infinity
    if (fixed === (fixed | 0)) result.offset = fixed
    else addVariable(env, result, base, by, ALU.SUB, by.sminHi < 0)
  } else if (operation === ALU.AND || operation === ALU.OR || operation === ALU.XOR) {
    denied(`R${number} bitwise operator ${SYMBOLS[operation]} on pointer prohibited`)
  } else {
    denied(`R${number} pointer arithmetic with ${SYMBOLS[operation]} operator prohibited`)
  }
  checkSane(result, name)
  syncBounds(result)
  checkMoved(env, number, result)
  afterMove(env, move, result)
  return result
}

function mayMove(base: Register, by: Register, known: boolean, operation: number): boolean {
  if (MOVABLE.has(base.kind)) return true
  if (!known) return false
  if (base.kind === KIND.FLOW_KEYS) return true
  return base.kind === KIND.MAP_PTR && operation === ALU.ADD && (by.valueLo | by.valueHi) === 0
}

/** Without CAP_PERFMON a pointer must stay within its memory even where nobody accesses it. */
function checkMoved(env: Verification, number: number, moved: Register): void {
  if (env.speculation === undefined) return
  const { offset } = moved
  if (moved.kind === KIND.STACK) {
    const range = 'prohibited for !root'
    if (!isConst(moved))
      denied(
        `R${number} variable stack access ${range}, var_off=${tnumText(moved)} off=${offset + moved.valueLo}`,
      )
    const at = offset + constantNumber(moved)
    if (at >= 0 || at < -STACK_SIZE)
      denied(`R${number} stack pointer arithmetic goes out of range, ${range}; off=${at}`)
  } else if (moved.kind === KIND.MAP_VALUE) {
    try {
      checkMapValue(number, moved, offset, 1, false)
    } catch (error) {
      if (!(error instanceof Rejection)) throw error
      const lines = [...error.details, error.reason]
      denied(`R${number} pointer arithmetic of map value goes out of range, prohibited for !root`, ...lines)
    }
  }
}

/** A new base: a variable amount is part of the pointer now. */
function addVariable(
  env: Verification,
  result: Register,
  base: Register,
  by: Register,
  operation: number,
  forgetsRange: boolean,
): void {
  computeScalar(result, operation, by, true)
  setUnbounded32(result)
  if (!isPacketPointer(base)) return
  result.id = env.newId()
  if (forgetsRange) result.range = 0
}

/** Offsets are limited, so that sums of them never overflow. */
function checkSane(register: Register, name: string): void {
  if (isConst(register)) {
    const value = constantNumber(register)
    if (value >= MAX_VARIABLE_OFFSET || value <= -MAX_VARIABLE_OFFSET)
      invalid(
        `math between ${name} pointer and ${signedText(register.valueHi, register.valueLo)} is not allowed`,
      )
  }
  const { offset } = register
  if (register.kind !== KIND.SCALAR && (offset >= MAX_VARIABLE_OFFSET || offset <= -MAX_VARIABLE_OFFSET))
    invalid(`${name} pointer offset ${offset} is not allowed`)
  if (register.sminHi === S64_MIN_HI && register.sminLo === 0)
    invalid(`math between ${name} pointer and register with unbounded min value is not allowed`)
  const smin = sminNumber(register)
  if (smin >= MAX_VARIABLE_OFFSET || smin <= -MAX_VARIABLE_OFFSET)
    invalid(`value ${signedText(register.sminHi, register.sminLo)} makes ${name} pointer be out of bounds`)
}
