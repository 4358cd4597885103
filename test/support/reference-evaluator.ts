/**
 * RFC 9669's arithmetic and jumps again, in BigInt and as slowly as it likes: what the interpreter is compared with.
 * Programs have forward jumps only.
 */
import type { Instruction } from '../../lib/isa/instruction.js'
import { OP, opcodeInfo } from '../../lib/isa/opcodes.js'

const u = (bits: number, value: bigint): bigint => BigInt.asUintN(bits, value)
const s = (bits: number, value: bigint): bigint => BigInt.asIntN(bits, value)

function divide(bits: number, a: bigint, b: bigint, signed: boolean): bigint {
  if (u(bits, b) === 0n) return 0n
  return signed ? s(bits, a) / s(bits, b) : u(bits, a) / u(bits, b)
}

function modulo(bits: number, a: bigint, b: bigint, signed: boolean): bigint {
  if (u(bits, b) === 0n) return a
  return signed ? s(bits, a) % s(bits, b) : u(bits, a) % u(bits, b)
}

function alu(name: string, bits: number, a: bigint, b: bigint, signed: boolean): bigint {
  const shift = b & BigInt(bits - 1)
  switch (name) {
    case 'add':
      return a + b
    case 'sub':
      return a - b
    case 'mul':
      return a * b
    case 'div':
      return divide(bits, a, b, signed)
    case 'mod':
      return modulo(bits, a, b, signed)
    case 'or':
      return a | b
    case 'and':
      return a & b
    case 'xor':
      return a ^ b
    case 'lsh':
      return a << shift
    case 'rsh':
      return u(bits, a) >> shift
    case 'arsh':
      return s(bits, a) >> shift
    default:
      throw new Error(`no ALU operation ${name}`)
  }
}

function holds(name: string, bits: number, a: bigint, b: bigint): boolean {
  const [x, y] =
    name.startsWith('js') && name !== 'jset' ? [s(bits, a), s(bits, b)] : [u(bits, a), u(bits, b)]
  switch (name) {
    case 'jeq':
      return x === y
    case 'jne':
      return x !== y
    case 'jset':
      return (x & y) !== 0n
    case 'jgt':
    case 'jsgt':
      return x > y
    case 'jge':
    case 'jsge':
      return x >= y
    case 'jlt':
    case 'jslt':
      return x < y
    case 'jle':
    case 'jsle':
      return x <= y
    default:
      throw new Error(`no jump ${name}`)
  }
}

function swap(bits: number, value: bigint): bigint {
  let result = 0n
  for (let i = 0; i < bits; i += 8) result = (result << 8n) | ((value >> BigInt(i)) & 0xffn)
  return result
}

/** Runs to the exit. @returns all registers, unsigned */
export function evaluate(code: readonly Instruction[], initial: readonly bigint[]): bigint[] {
  const r = initial.map((value) => u(64, value))
  for (let pc = 0; ; pc++) {
    const insn = code[pc]
    const info = insn && opcodeInfo(insn.opcode)
    if (insn === undefined || info === undefined) throw new Error(`no instruction at ${pc}`)
    const a = r[insn.dst] ?? 0n
    const b = info.register ? (r[insn.src] ?? 0n) : BigInt(insn.imm)
    switch (info.kind) {
      case 'exit':
        return r
      case 'alu':
        r[insn.dst] = u(
          info.bits,
          alu(info.name, info.bits, u(info.bits, a), u(info.bits, b), insn.offset === 1),
        )
        break
      case 'mov':
        r[insn.dst] = u(info.bits, insn.offset === 0 ? b : s(insn.offset, b))
        break
      case 'neg':
        r[insn.dst] = u(info.bits, -a)
        break
      case 'end':
      case 'bswap':
        r[insn.dst] = insn.opcode === OP.LE ? u(insn.imm, a) : swap(insn.imm, u(insn.imm, a))
        break
      case 'lddw':
        r[insn.dst] = (u(32, BigInt(code[pc + 1]?.imm ?? 0)) << 32n) | u(32, BigInt(insn.imm))
        pc++
        break
      case 'ja':
        pc += info.bits === 32 ? insn.imm : insn.offset
        break
      case 'jump':
        if (holds(info.name, info.bits, a, b)) pc += insn.offset
        break
      default:
        throw new Error(`${info.kind} is not evaluated`)
    }
  }
}
