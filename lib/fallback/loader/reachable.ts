/**
 * Which instructions a program can reach, as far as constants decide it. Linux's verifier never looks at what stands behind a condition
 * that is known to be false; that is how programs guard what a kernel may lack.
 *
 * Registers are followed as constants: immediates, arithmetic on them, and loads from frozen global data. Whatever else is unknown,
 * so the answer errs on the side of "reachable".
 */
import { SLOT } from '../../isa/instruction.js'
import { CLASS, OP, PSEUDO_CALL, PSEUDO_LDDW } from '../../isa/opcodes.js'
import { KERNEL_HI } from '../memory.js'

/** Reads `size` bytes of constant memory at a kernel address (low half); undefined: not constant. */
export type ConstantReader = (address: number, size: number) => bigint | undefined

/** A register: 64 bits without a sign, or unknown. */
type Value = bigint | undefined
type State = Value[]

const REGISTERS = 11
/** Joins lose constants, so states settle quickly; beyond this everything counts as reachable. */
const MAX_VISITS_A_SLOT = 64

/**
 * @param code linked and relocated
 * @returns one byte a slot: 1 if it can be reached
 */
export function reachableSlots(code: Uint8Array, readConstant: ConstantReader): Uint8Array {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength)
  const slots = code.length / SLOT
  const reached = new Uint8Array(slots)
  const isTarget = jumpTargets(view, slots)
  /** Of slots that are jumped to: elsewhere control comes from the slot before, and takes its state along. */
  const states: (State | undefined)[] = Array.from({ length: slots })
  const pending: number[] = []
  let budget = slots * MAX_VISITS_A_SLOT

  const flow = (slot: number, state: State): void => {
    if (slot < 0 || slot >= slots) return
    const known = states[slot]
    if (known === undefined) {
      states[slot] = [...state]
      reached[slot] = 1
      pending.push(slot)
      return
    }
    let changed = false
    for (let r = 0; r < REGISTERS; r++) {
      if (known[r] === undefined || known[r] === state[r]) continue
      known[r] = undefined
      changed = true
    }
    if (changed) pending.push(slot)
  }

  const unknown = (): State => Array.from({ length: REGISTERS })
  const analysis = { flow, unknown, readConstant }
  flow(0, unknown())
  for (let from = pending.pop(); from !== undefined; from = pending.pop()) {
    const state = [...(states[from] ?? unknown())]
    for (let slot = from; ;) {
      if (--budget < 0) return reached.fill(1)
      const next = step(view, slot, state, analysis)
      if (next < 0 || next >= slots) break
      if (isTarget[next] === 1) {
        flow(next, state)
        break
      }
      reached[next] = 1
      slot = next
    }
  }
  return reached
}

/** @returns one byte a slot: 1 if a jump leads there */
function jumpTargets(view: DataView, slots: number): Uint8Array {
  const targets = new Uint8Array(slots)
  for (let slot = 0; slot < slots; slot++) {
    const opcode = view.getUint8(slot * SLOT)
    const klass = opcode & 0x07
    if (opcode === OP.LDDW && view.getUint8(slot * SLOT + 1) >> 4 === PSEUDO_LDDW.FUNC) {
      targets[slot + 1 + view.getInt32(slot * SLOT + 4, true)] = 1
    } else if (klass === CLASS.JMP || klass === CLASS.JMP32) {
      const isWide = opcode === OP.JA32 || opcode === OP.CALL
      const distance = isWide ? view.getInt32(slot * SLOT + 4, true) : view.getInt16(slot * SLOT + 2, true)
      targets[slot + 1 + distance] = 1
    }
  }
  return targets
}

interface Analysis {
  readonly flow: (slot: number, state: State) => void
  readonly unknown: () => State
  readonly readConstant: ConstantReader
}

/** Changes the state as the instruction does. @returns where control goes on but for jumps, or -1 */
function step(view: DataView, slot: number, state: State, { flow, unknown, readConstant }: Analysis): number {
  const at = slot * SLOT
  const opcode = view.getUint8(at)
  const dst = view.getUint8(at + 1) & 0x0f
  const src = view.getUint8(at + 1) >> 4
  const offset = view.getInt16(at + 2, true)
  const imm = view.getInt32(at + 4, true)
  const next = slot + 1
  switch (opcode & 0x07) {
    case CLASS.LD:
      if (opcode === OP.LDDW && next < view.byteLength / SLOT) {
        const high = view.getUint32(at + SLOT + 4, true)
        state[dst] = src === PSEUDO_LDDW.IMM ? (BigInt(high) << 32n) | BigInt(imm >>> 0) : undefined
        if (src === PSEUDO_LDDW.FUNC) flow(next + imm, unknown())
        return slot + 2
      }
      state.fill(undefined, 0, 6)
      break
    case CLASS.LDX:
      state[dst] = loadConstant(opcode, state[src], offset, readConstant)
      break
    case CLASS.STX:
      // Atomic operations may fetch into the source register or r0.
      if ((opcode & 0xe0) === 0xc0) state[src] = state[0] = undefined
      break
    case CLASS.ALU:
    case CLASS.ALU64:
      state[dst] = compute(opcode, state[dst], (opcode & 0x08) === 0 ? signExtend(imm) : state[src], offset)
      break
    case CLASS.JMP:
    case CLASS.JMP32: {
      if (opcode === OP.EXIT) return -1
      if (opcode === OP.CALL) {
        if (src === PSEUDO_CALL.LOCAL) flow(next + imm, unknown())
        state.fill(undefined, 0, 6)
        break
      }
      if (opcode === OP.JA || opcode === OP.JA32) {
        flow(next + (opcode === OP.JA ? offset : imm), state)
        return -1
      }
      const taken = decide(opcode, state[dst], (opcode & 0x08) === 0 ? signExtend(imm) : state[src])
      if (taken !== false) flow(next + offset, state)
      if (taken === true) return -1
      break
    }
    default:
  }
  return next
}

function signExtend(imm: number): bigint {
  return BigInt.asUintN(64, BigInt(imm))
}

const BYTES: Readonly<Record<number, number>> = { 0x10: 1, 0x08: 2, 0x00: 4, 0x18: 8 }
const MODE_MEM = 0x60

function loadConstant(opcode: number, base: Value, offset: number, readConstant: ConstantReader): Value {
  if ((opcode & 0xe0) !== MODE_MEM || base === undefined) return undefined
  const address = BigInt.asUintN(64, base + BigInt(offset))
  if (Number(BigInt.asIntN(32, address >> 32n)) !== KERNEL_HI) return undefined
  return readConstant(Number(address & 0xffffffffn), BYTES[opcode & 0x18] ?? 0)
}

/** High four bits of the opcodes whose result is followed. */
const ARITHMETIC: Readonly<Record<number, (a: bigint, b: bigint, bits: number) => bigint>> = {
  0x00: (a, b) => a + b,
  0x10: (a, b) => a - b,
  0x20: (a, b) => a * b,
  0x40: (a, b) => a | b,
  0x50: (a, b) => a & b,
  0x60: (a, b, bits) => a << (b & BigInt(bits - 1)),
  0x70: (a, b, bits) => a >> (b & BigInt(bits - 1)),
  0xa0: (a, b) => a ^ b,
  0xc0: (a, b, bits) => BigInt.asIntN(bits, a) >> (b & BigInt(bits - 1)),
}
const MOV = 0xb0

function compute(opcode: number, left: Value, right: Value, offset: number): Value {
  const bits = (opcode & 0x07) === CLASS.ALU64 ? 64 : 32
  const operation = opcode & 0xf0
  if (offset !== 0 || right === undefined) return undefined
  const b = BigInt.asUintN(bits, right)
  if (operation === MOV) return b
  const apply = ARITHMETIC[operation]
  if (apply === undefined || left === undefined) return undefined
  return BigInt.asUintN(bits, apply(BigInt.asUintN(bits, left), b, bits))
}

type Comparison = (a: bigint, b: bigint) => boolean
const UNSIGNED: Readonly<Record<number, Comparison>> = {
  0x10: (a, b) => a === b,
  0x20: (a, b) => a > b,
  0x30: (a, b) => a >= b,
  0x40: (a, b) => (a & b) !== 0n,
  0x50: (a, b) => a !== b,
  0xa0: (a, b) => a < b,
  0xb0: (a, b) => a <= b,
}
const SIGNED: Readonly<Record<number, Comparison>> = {
  0x60: (a, b) => a > b,
  0x70: (a, b) => a >= b,
  0xc0: (a, b) => a < b,
  0xd0: (a, b) => a <= b,
}

/** Whether a jump is taken; undefined: it may be or not. */
function decide(opcode: number, left: Value, right: Value): boolean | undefined {
  if (left === undefined || right === undefined) return undefined
  const bits = (opcode & 0x07) === CLASS.JMP ? 64 : 32
  const operation = opcode & 0xf0
  const signed = SIGNED[operation]
  if (signed !== undefined) return signed(BigInt.asIntN(bits, left), BigInt.asIntN(bits, right))
  return UNSIGNED[operation]?.(BigInt.asUintN(bits, left), BigInt.asUintN(bits, right))
}
