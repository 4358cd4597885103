/** Which registers' values may still be read at each instruction: the others don't make states different. */
import { ATOMIC, ATOMIC_OPERATIONS, CLASS, OP } from '../../isa/opcodes.js'
import { helperPrototype } from '../../linux/helper-prototypes.js'
import type { Code } from './code.js'
import { ALU } from './values/scalar-alu.js'

const ALL = 0xffff
/** r0…r5: gone after a call. */
const CALLER_SAVED = 0b11_1111
const ARGUMENTS = 0b11_1110

/** Bit i of entry n: register i is alive before instruction n. */
export function liveRegisters(code: Code, programType: number): Uint16Array {
  const { length } = code
  const live = new Uint16Array(length)
  const reads = new Uint16Array(length)
  const writes = new Uint16Array(length)
  const update = (slot: number): boolean => {
    const next = code.nextOf(slot)
    const branch = code.branchOf(slot)
    const after = (next < 0 ? 0 : (live[next] ?? 0)) | (branch < 0 ? 0 : (live[branch] ?? 0))
    const before = ((after & ~(writes[slot] as number)) | (reads[slot] as number)) & ALL
    if (before === live[slot]) return false
    live[slot] = before
    return true
  }
  /** Where what comes later isn't known yet: at jumps backwards. */
  const pending: number[] = []
  for (let slot = length - 1; slot >= 0; slot--) {
    if (slot > 0 && code.isWide(slot - 1)) continue
    const effect = effects(code, slot, programType)
    reads[slot] = effect & ALL
    writes[slot] = effect >>> 16
    update(slot)
    if (code.jumpsBack(slot)) pending.push(slot)
  }
  for (let slot = pending.pop(); slot !== undefined; slot = pending.pop()) {
    if (!update(slot)) continue
    const { before, origins } = code.edges
    for (let i = before[slot] as number; i < (before[slot + 1] as number); i++)
      pending.push(origins[i] as number)
  }
  return live
}

/** Registers that an instruction writes, shifted by 16, and those that it reads. */
function effects(code: Code, slot: number, programType: number): number {
  const opcode = code.opcodeAt(slot)
  const dst = 1 << code.dstAt(slot)
  const src = 1 << code.srcAt(slot)
  const isRegister = (opcode & 8) !== 0
  switch (opcode & 7) {
    case CLASS.LD:
      return opcode === OP.LDDW ? writes(dst) : ALL
    case CLASS.LDX:
      return writes(dst) | src
    case CLASS.ST:
      return dst
    case CLASS.STX: {
      if ((opcode & 0xe0) !== 0xc0) return dst | src
      const operation = code.immAt(slot)
      if (operation === ATOMIC.CMPXCHG) return writes(1) | dst | src | 1
      if (operation === ATOMIC.LOAD_ACQUIRE) return writes(dst) | src
      return (ATOMIC_OPERATIONS.get(operation)?.fetch === true ? writes(src) : 0) | dst | src
    }
    case CLASS.ALU:
    case CLASS.ALU64: {
      const operation = opcode & 0xf0
      if (operation === ALU.END) return writes(dst) | dst
      if (operation === ALU.MOV) return writes(dst) | (isRegister ? src : 0)
      return writes(dst) | dst | (isRegister ? src : 0)
    }
    default:
      if (opcode === OP.EXIT) return 1
      if (opcode === OP.CALL) return writes(CALLER_SAVED) | argumentsOf(code, slot, programType)
      if (code.isGoto(slot) || opcode === OP.MAY_GOTO) return 0
      return dst | (isRegister ? src : 0)
  }
}

function writes(registers: number): number {
  return registers << 16
}

function argumentsOf(code: Code, slot: number, programType: number): number {
  const prototype = code.isHelperCall(slot) ? helperPrototype(code.immAt(slot), programType) : undefined
  const count = prototype?.args.length ?? code.kfuncAt(slot)?.params.length
  return count === undefined ? ARGUMENTS : ((1 << (count + 1)) - 1) & ARGUMENTS
}
