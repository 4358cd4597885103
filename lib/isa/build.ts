/**
 * Instructions from what they mean: `encode([mov64(0, 1), exit()])`. For tests and for code that generates programs.
 *
 * A name that ends in `r` takes a register as its second operand, the others an immediate.
 */
import { BpfError } from '../errors.js'
import type { Instruction } from './instruction.js'
import { CLASS, OP, OPCODES, PSEUDO_CALL } from './opcodes.js'
import type { OpcodeKind } from './opcodes.js'

export type Bits = 8 | 16 | 32 | 64
export type AluName = 'add' | 'sub' | 'mul' | 'div' | 'or' | 'and' | 'lsh' | 'rsh' | 'mod' | 'xor' | 'arsh'
export type JumpName =
  'jeq' | 'jgt' | 'jge' | 'jset' | 'jne' | 'jsgt' | 'jsge' | 'jlt' | 'jle' | 'jslt' | 'jsle'

const SIZE_BITS: Readonly<Record<Bits, number>> = { 32: 0x00, 16: 0x08, 8: 0x10, 64: 0x18 }
const REGISTER_FORM = 0x08

function find(kind: OpcodeKind, name: string, bits: number): number {
  const info = OPCODES.find((o) => o.kind === kind && o.name === name && o.bits === bits && !o.register)
  if (info === undefined) throw new BpfError('BAD_VALUE', `there is no ${bits}-bit instruction named ${name}`)
  return info.opcode
}

/** An instruction field by field. */
export function instruction(opcode: number, dst = 0, src = 0, offset = 0, imm = 0): Instruction {
  return { opcode, dst, src, offset, imm: imm | 0 }
}

export const mov64 = (dst: number, imm: number): Instruction => instruction(OP.MOV64_IMM, dst, 0, 0, imm)
export const mov64r = (dst: number, src: number): Instruction => instruction(OP.MOV64_REG, dst, src)
export const mov32 = (dst: number, imm: number): Instruction => instruction(OP.MOV32_IMM, dst, 0, 0, imm)
export const mov32r = (dst: number, src: number): Instruction => instruction(OP.MOV32_REG, dst, src)
/** Sign-extending moves (v4): `from` is 8, 16 or, into 64 bits, 32. */
export const movsx64 = (dst: number, src: number, from: 8 | 16 | 32): Instruction =>
  instruction(OP.MOV64_REG, dst, src, from)
export const movsx32 = (dst: number, src: number, from: 8 | 16): Instruction =>
  instruction(OP.MOV32_REG, dst, src, from)

/** @param offset 1 makes div and mod signed (v4) */
export const alu64 = (name: AluName, dst: number, imm: number, offset = 0): Instruction =>
  instruction(find('alu', name, 64), dst, 0, offset, imm)
export const alu64r = (name: AluName, dst: number, src: number, offset = 0): Instruction =>
  instruction(find('alu', name, 64) | REGISTER_FORM, dst, src, offset)
export const alu32 = (name: AluName, dst: number, imm: number, offset = 0): Instruction =>
  instruction(find('alu', name, 32), dst, 0, offset, imm)
export const alu32r = (name: AluName, dst: number, src: number, offset = 0): Instruction =>
  instruction(find('alu', name, 32) | REGISTER_FORM, dst, src, offset)
export const neg64 = (dst: number): Instruction => instruction(find('neg', 'neg', 64), dst)
export const neg32 = (dst: number): Instruction => instruction(find('neg', 'neg', 32), dst)
/** Byte order: `le` and `be` convert from the machine's, `bswap` (v4) always swaps. */
export const end = (name: 'le' | 'be' | 'bswap', dst: number, bits: 16 | 32 | 64): Instruction =>
  instruction({ le: OP.LE, be: OP.BE, bswap: OP.BSWAP }[name], dst, 0, 0, bits)

/** Jump offsets count slots from the next instruction. */
export const ja = (offset: number): Instruction => instruction(OP.JA, 0, 0, offset)
export const ja32 = (distance: number): Instruction => instruction(OP.JA32, 0, 0, 0, distance)
export const jump = (name: JumpName, dst: number, imm: number, offset: number): Instruction =>
  instruction(find('jump', name, 64), dst, 0, offset, imm)
export const jumpr = (name: JumpName, dst: number, src: number, offset: number): Instruction =>
  instruction(find('jump', name, 64) | REGISTER_FORM, dst, src, offset)
export const jump32 = (name: JumpName, dst: number, imm: number, offset: number): Instruction =>
  instruction(find('jump', name, 32), dst, 0, offset, imm)
export const jump32r = (name: JumpName, dst: number, src: number, offset: number): Instruction =>
  instruction(find('jump', name, 32) | REGISTER_FORM, dst, src, offset)
export const mayGoto = (offset: number): Instruction => instruction(OP.MAY_GOTO, 0, 0, offset)

export const load = (bits: Bits, dst: number, src: number, offset: number): Instruction =>
  instruction(CLASS.LDX | 0x60 | SIZE_BITS[bits], dst, src, offset)
/** Sign-extending load (v4). */
export const loadSigned = (bits: 8 | 16 | 32, dst: number, src: number, offset: number): Instruction =>
  instruction(CLASS.LDX | 0x80 | SIZE_BITS[bits], dst, src, offset)
export const store = (bits: Bits, dst: number, offset: number, imm: number): Instruction =>
  instruction(CLASS.ST | 0x60 | SIZE_BITS[bits], dst, 0, offset, imm)
export const storer = (bits: Bits, dst: number, offset: number, src: number): Instruction =>
  instruction(CLASS.STX | 0x60 | SIZE_BITS[bits], dst, src, offset)
/** @param operation one of ATOMIC in opcodes.ts, with or without its FETCH */
export const atomic = (
  bits: Bits,
  operation: number,
  dst: number,
  offset: number,
  src: number,
): Instruction => instruction(CLASS.STX | 0xc0 | SIZE_BITS[bits], dst, src, offset, operation)

/** A 64-bit immediate: two slots. @param pseudo one of PSEUDO_LDDW */
export function lddw(dst: number, value: bigint, pseudo = 0): readonly [Instruction, Instruction] {
  const bits = BigInt.asUintN(64, value)
  return [
    instruction(OP.LDDW, dst, pseudo, 0, Number(BigInt.asIntN(32, bits))),
    instruction(0, 0, 0, 0, Number(BigInt.asIntN(32, bits >> 32n))),
  ]
}

export const call = (helper: number): Instruction => instruction(OP.CALL, 0, PSEUDO_CALL.HELPER, 0, helper)
/** A bpf-to-bpf call; the distance counts slots from the next instruction. */
export const callLocal = (distance: number): Instruction =>
  instruction(OP.CALL, 0, PSEUDO_CALL.LOCAL, 0, distance)
export const exit = (): Instruction => instruction(OP.EXIT)
