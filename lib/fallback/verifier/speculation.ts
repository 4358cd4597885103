/**
 * What a processor may do ahead of a branch that it predicts wrongly. To programs without CAP_PERFMON nothing may be open there either: their
 * verifier follows such paths too, and pointers may only move so that Linux can mask how far (Spectre variants 1 and 4).
 *
 * What is unsafe on such a path only refuses nothing: Linux puts a barrier before it, and the path ends there.
 */
import type { Mask } from './barriers.js'
import { denied } from './rejection.js'
import { STACK_SIZE } from './state.js'
import { ALU } from './values/scalar-alu.js'
import { constantNumber, sminNumber, umaxNumber } from './values/numbers.js'
import { KIND, type Register, UNKNOWN } from './values/register.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

/** The other way of a branch that is decided: registers that it compares may be anything there. */
export function speculateBranch(env: Verification, target: number, dst: number, src: number): void {
  if (env.speculation === undefined) return
  const { registers } = env.push(target, env.insn, true).current
  registers[dst] = UNKNOWN
  if (src >= 0) registers[src] = UNKNOWN
}

const PROHIBITED = 'pointer arithmetic with it prohibited for !root'

/** Where a move of a pointer stands: the limit before it. */
export interface PointerMove {
  readonly number: number
  readonly src: number
  readonly operation: number
  readonly reversed: boolean
  readonly by: Register
  readonly before: Mask | undefined
}

/**
 * Before a pointer moves by what a register holds.
 *
 * @param src register of the second operand; -1: it is immediate, and nothing can go wrong
 */
export function beforeMove(
  env: Verification,
  number: number,
  src: number,
  base: Register,
  by: Register,
  operation: number,
  reversed: boolean,
): PointerMove | undefined {
  const { speculation, insn } = env
  if (speculation === undefined || src < 0) return undefined
  if (operation !== ALU.ADD && operation !== ALU.SUB) return undefined
  if (speculation.barrierBefore[insn] === 1) return undefined
  const constant = isConst(by)
  let before: Mask | undefined
  if (!env.state.speculative) {
    const negative = by.sminHi < 0
    if (!constant && negative !== by.smaxHi < 0)
      denied(`R${reversed ? number : src} has unknown scalar with mixed signed bounds, ${PROHIBITED}`)
    const toLeft = (operation === ALU.ADD && negative) || (operation === ALU.SUB && !negative)
    const way = (negative ? 1 : 0) | (constant ? 2 : 0) | (reversed ? 4 : 0) | (toLeft ? 8 : 0)
    before = { way, limit: limitOf(reversed ? src : number, base, operation, toLeft) }
    if (!constant) speculation.comparesLimits = true
  }
  // Masked, the number may be 0.
  if (!constant) env.push(insn + 1, insn, true).current.registers[number] = base
  return { number, src, operation, reversed, by, before }
}

function verb(operation: number): string {
  return operation === ALU.ADD ? 'add' : 'sub'
}

function limitOf(number: number, base: Register, operation: number, toLeft: boolean): number {
  let most: number
  let limit: number
  if (base.kind === KIND.STACK) {
    most = STACK_SIZE + (toLeft ? 1 : 0)
    limit = -(constantNumber(base) + base.offset)
  } else if (base.kind === KIND.MAP_VALUE) {
    most = base.map?.valueSize ?? 0
    limit = (toLeft ? sminNumber(base) : umaxNumber(base)) + base.offset
  } else return denied(`R${number} has pointer with unsupported alu operation, ${PROHIBITED}`)
  if (limit >= most || limit < 0)
    denied(`R${number} tried to ${verb(operation)} beyond pointer bounds, ${PROHIBITED}`)
  return limit
}

/** The pointer has moved: it must still point into its memory, and be masked as on other paths. */
export function afterMove(env: Verification, move: PointerMove | undefined, result: Register): void {
  const { speculation, insn } = env
  if (move?.before === undefined || speculation === undefined || env.state.speculative) return
  const { number, src, operation, reversed, before } = move
  const limit = Math.abs(
    before.limit - limitOf(reversed ? src : number, result, operation, (before.way & 8) !== 0),
  )
  const known = speculation.maskOf(insn)
  const mask = { way: before.way & 7, limit }
  if (known !== undefined && (known.way !== mask.way || known.limit !== limit))
    denied(`R${number} tried to ${verb(operation)} from different maps, paths or scalars, ${PROHIBITED}`)
  speculation.setMask(insn, mask)
}
