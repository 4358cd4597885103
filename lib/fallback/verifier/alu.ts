/** Instructions of classes ALU and ALU64. */
import { ADDRESS_CAST, CLASS } from '../../isa/opcodes.js'
import { BPF_MAP_TYPE as M } from '../../linux/map-types.js'
import { withScalarId } from './linked.js'
import { checkWritable, readRegister } from './operands.js'
import { movePointer, SYMBOLS } from './pointer-alu.js'
import { markPrecise } from './precision.js'
import { denied, invalid, Unmodelled } from './rejection.js'
import { syncBounds, zeroExtend32 } from './values/bounds.js'
import {
  cloneRegister,
  constantScalar,
  fitsBits,
  immediate,
  KIND,
  type Register,
  setConstant,
  UNKNOWN,
} from './values/register.js'
import { ALU, computeScalar } from './values/scalar-alu.js'
import { signExtend, signExtend32, swapBytes } from './values/extend.js'
import { isConst } from './values/tnum.js'
import { S32_MIN } from './values/wide.js'
import type { Verification } from './verification.js'

const SIGN_EXTENSIONS: ReadonlySet<number> = new Set([8, 16, 32])

export function simulateAlu(env: Verification): void {
  const { code, insn } = env
  const opcode = code.opcodeAt(insn)
  const operation = opcode & 0xf0
  if (operation === ALU.END || operation === ALU.NEG) return unary(env, opcode, operation)
  if (operation === ALU.MOV) return move(env, opcode)
  binary(env, opcode, operation)
}

function unary(env: Verification, opcode: number, operation: number): void {
  const { code, insn } = env
  const dst = code.dstAt(insn)
  const imm = code.immAt(insn)
  const neg = operation === ALU.NEG
  const wide = (opcode & 7) === CLASS.ALU64
  const unused = neg
    ? (opcode & 8) !== 0 || imm !== 0
    : (imm !== 16 && imm !== 32 && imm !== 64) || (wide && (opcode & 8) !== 0)
  if (code.srcAt(insn) !== 0 || code.offset[insn] !== 0 || unused)
    invalid(neg ? 'BPF_NEG uses reserved fields' : 'BPF_END uses reserved fields')
  const register = readRegister(env, dst)
  checkWritable(dst)
  if (env.isSecret(register)) denied(`R${dst} pointer arithmetic prohibited`)
  if (register.kind !== KIND.SCALAR) {
    env.registers[dst] = UNKNOWN
    return
  }
  const result = cloneRegister(register)
  result.id = 0
  result.addedConst = 0
  result.offset = 0
  if (neg) computeScalar(result, ALU.NEG, register, wide)
  // On little-endian machines, "to little endian" (le) swaps nothing.
  else swapBytes(result, imm, wide || (opcode & 8) !== 0)
  env.registers[dst] = result
}

function move(env: Verification, opcode: number): void {
  const { code, insn, registers } = env
  const dst = code.dstAt(insn)
  const src = code.srcAt(insn)
  const wide = (opcode & 7) === CLASS.ALU64
  const offset = code.offset[insn] as number
  if ((opcode & 8) === 0) {
    if (src !== 0 || offset !== 0) invalid('BPF_MOV uses reserved fields')
    checkWritable(dst)
    const imm = code.immAt(insn)
    registers[dst] = constantScalar(wide ? imm >> 31 : 0, imm)
    return
  }
  if (wide && offset === 1) return castAddress(env, dst, src)
  if (wide && offset === -1) throw new Unmodelled('address of per-CPU memory')
  const extends_ = SIGN_EXTENSIONS.has(offset) && (wide || offset !== 32)
  if ((offset !== 0 && !extends_) || code.immAt(insn) !== 0) invalid('BPF_MOV uses reserved fields')
  const source = readRegister(env, src)
  checkWritable(dst)
  registers[dst] = wide ? moved64(env, source, src, offset) : moved32(env, source, src, offset)
}

const { FROM_ARENA, TO_ARENA } = ADDRESS_CAST

function castAddress(env: Verification, dst: number, src: number): void {
  const imm = env.code.immAt(env.insn)
  if (imm !== FROM_ARENA && imm !== TO_ARENA)
    invalid('addr_space_cast insn can only convert between address space 1 and 0')
  if (!hasArena(env))
    invalid('addr_space_cast insn can only be used in a program that has an associated arena')
  readRegister(env, src)
  checkWritable(dst)
  if (imm === TO_ARENA) {
    env.registers[dst] = UNKNOWN
    return
  }
  const address = cloneRegister(UNKNOWN)
  address.kind = KIND.ARENA
  env.registers[dst] = address
}

function hasArena({ program }: Verification): boolean {
  for (const { map } of program.mapReferences.values()) if (map.type === M.ARENA) return true
  return false
}

/** Gives the source an id, so that the copy is known to be equal. */
function linked(env: Verification, source: Register, number: number): Register {
  const known = withScalarId(env, source)
  env.registers[number] = known
  return known
}

function moved64(env: Verification, source: Register, number: number, offset: number): Register {
  if (offset === 0) return source.kind === KIND.SCALAR ? linked(env, source, number) : source
  if (env.isSecret(source)) denied(`R${number} sign-extension part of pointer`)
  if (source.kind !== KIND.SCALAR) return UNKNOWN
  return extended(env, source, number, offset, true)
}

function moved32(env: Verification, source: Register, number: number, offset: number): Register {
  if (env.isSecret(source)) denied(`R${number} partial copy of pointer`)
  if (source.kind !== KIND.SCALAR) {
    const result = cloneRegister(UNKNOWN)
    zeroExtend32(result)
    syncBounds(result)
    return result
  }
  if (offset !== 0) return extended(env, source, number, offset, false)
  if (fitsBits(source, 32)) return linked(env, source, number)
  const result = cloneRegister(source)
  result.id = 0
  result.addedConst = 0
  result.offset = 0
  zeroExtend32(result)
  syncBounds(result)
  return result
}

/** Sign-extends the lowest `bits`; what is less than the sign bit stays what it is. */
function extended(
  env: Verification,
  source: Register,
  number: number,
  bits: number,
  wide: boolean,
): Register {
  const stays = fitsBits(source, bits - 1)
  const from = stays ? linked(env, source, number) : source
  const result = cloneRegister(from)
  if (!stays) {
    result.id = 0
    result.addedConst = 0
    result.offset = 0
  }
  if (wide) signExtend(result, bits)
  else signExtend32(result, bits)
  return result
}

function binary(env: Verification, opcode: number, operation: number): void {
  const { code, insn, registers } = env
  const dst = code.dstAt(insn)
  const src = code.srcAt(insn)
  const offset = code.offset[insn] as number
  const imm = code.immAt(insn)
  const wide = (opcode & 7) === CLASS.ALU64
  const fromRegister = (opcode & 8) !== 0
  const division = operation === ALU.DIV || operation === ALU.MOD
  const unused = (fromRegister ? imm : src) !== 0
  if (unused || (offset !== 0 && !(offset === 1 && division))) invalid('BPF_ALU uses reserved fields')
  const operand = fromRegister ? readRegister(env, src) : immediate(imm)
  const register = readRegister(env, dst)
  if (!fromRegister && division && imm === 0) invalid('div by zero')
  const shift = operation === ALU.LSH || operation === ALU.RSH || operation === ALU.ARSH
  if (!fromRegister && shift && (imm < 0 || imm >= (wide ? 64 : 32))) invalid(`invalid shift ${imm}`)
  checkWritable(dst)
  // Any arithmetic will do: what comes out is within the arena again.
  if (register.kind === KIND.ARENA) return
  registers[dst] = compute(env, operation, dst, register, fromRegister ? src : -1, operand, wide)
}

/** @param src register of the operand; -1: it is immediate */
function compute(
  env: Verification,
  operation: number,
  dst: number,
  register: Register,
  src: number,
  operand: Register,
  wide: boolean,
): Register {
  if (operand.kind !== KIND.SCALAR) {
    if (register.kind !== KIND.SCALAR) {
      // The distance of two pointers, for those who may know it.
      if (operation === ALU.SUB && env.mayLeak) return UNKNOWN
      denied(`R${dst} pointer ${SYMBOLS[operation]} pointer prohibited`)
    }
    markPrecise(env, dst)
    return movePointer(env, dst, src, operand, register, operation, wide, true)
  }
  if (register.kind !== KIND.SCALAR) {
    if (src >= 0) markPrecise(env, src)
    return movePointer(env, dst, src, register, operand, operation, wide, false)
  }
  if (wide && (operation === ALU.AND || operation === ALU.OR)) forkOnSign(env, dst, register, operand, src)
  const current = env.register(dst)
  const result = cloneRegister(current)
  computeScalar(result, operation, operand, wide)
  linkSum(result, current, operation, operand, wide, src === dst || !env.capable)
  return result
}

/** Numbers that are 0 or -1, masked by a constant, are followed apart: compilers make branches of them. */
function forkOnSign(
  env: Verification,
  dst: number,
  register: Register,
  operand: Register,
  src: number,
): void {
  const minusOneOrZero =
    register.sminHi === -1 && register.sminLo === -1 && register.smaxHi === 0 && register.smaxLo === 0
  if (src >= 0 || !minusOneOrZero || !isConst(operand)) return
  // The other one computes it anew.
  const other = env.push(env.insn, env.insn)
  const zero = cloneRegister(register)
  setConstant(zero, 0, 0)
  zero.id = 0
  zero.addedConst = 0
  zero.offset = 0
  other.current.registers[dst] = zero
  const minusOne = cloneRegister(zero)
  setConstant(minusOne, -1, -1)
  env.registers[dst] = minusOne
}

/** A number plus or minus a constant stays linked to the number. */
function linkSum(
  result: Register,
  before: Register,
  operation: number,
  operand: Register,
  wide: boolean,
  unlinked: boolean,
): void {
  const isSum = operation === ALU.ADD || operation === ALU.SUB
  const distance =
    isSum && before.id !== 0 && before.addedConst === 0 && !unlinked ? step(operand, wide) : NaN
  // With 32 bits the upper half goes: it must be 0 before, or nothing is left of the link.
  const negates = operation === ALU.SUB && distance === S32_MIN
  if (Number.isNaN(distance) || negates || (!wide && before.umaxHi !== 0)) {
    result.id = 0
    result.addedConst = 0
    result.offset = 0
    return
  }
  result.id = before.id
  result.addedConst = wide ? 64 : 32
  result.offset = operation === ALU.SUB ? -distance : distance
}

/** A constant that fits 32 bits; else NaN. */
function step(operand: Register, wide: boolean): number {
  const { valueLo } = operand
  const isKnown = wide ? isConst(operand) && operand.valueHi === valueLo >> 31 : operand.maskLo === 0
  return isKnown ? valueLo : NaN
}
