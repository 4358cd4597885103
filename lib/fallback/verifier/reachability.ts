/**
 * Which instructions can be reached, and which registers surely hold nothing there.
 *
 * Linux never looks at a branch that a constant closes: libbpf relies on it, when it leaves invalid calls where a CO-RE
 * relocation can't be resolved. So constants in registers are followed here (not those in memory), function by function.
 */
import type { Instruction } from '../../isa/instruction.js'
import { OP, PSEUDO_CALL, PSEUDO_LDDW, opcodeInfo } from '../../isa/opcodes.js'
import type { OpcodeInfo } from '../../isa/opcodes.js'

/** Uninitialised on every path, unknown, or a constant (64 bits, unsigned). */
type Value = 'uninitialised' | 'unknown' | bigint
type State = Value[]

export interface Reached {
  /** For each slot the state of r0…r10 before it; undefined where it can't be reached. */
  readonly states: readonly (readonly Value[] | undefined)[]
  /** Whether it is known where the instruction in a reachable slot leads: false for undecided jumps. */
  readonly decided: (slot: number) => boolean
}

const REGISTERS = 11

/** @param starts slots at which functions start; the first is the entry function */
export function reachableInstructions(
  instructions: readonly Instruction[],
  starts: readonly number[],
): Reached {
  const states: (State | undefined)[] = Array.from({ length: instructions.length })
  const pending: number[] = []
  const functions = new Set<number>()

  const flow = (slot: number, state: State): void => {
    const known = states[slot]
    if (known === undefined) states[slot] = [...state]
    else if (!join(known, state)) return
    pending.push(slot)
  }
  const enter = (start: number): void => {
    if (functions.has(start)) return
    functions.add(start)
    flow(start, entryState(start === starts[0] ? 1 : 5))
  }

  enter(starts[0] ?? 0)
  for (let slot = pending.pop(); slot !== undefined; slot = pending.pop()) {
    const insn = instructions[slot]
    const before = states[slot]
    if (insn === undefined || before === undefined) continue
    const info = opcodeInfo(insn.opcode)
    if (info === undefined) continue
    const state = [...before]
    switch (info.kind) {
      case 'exit':
        break
      case 'ja':
        flow(slot + 1 + (insn.opcode === OP.JA32 ? insn.imm : insn.offset), state)
        break
      case 'may_goto':
        flow(slot + 1, state)
        flow(slot + 1 + insn.offset, state)
        break
      case 'jump': {
        const taken = jumpOutcome(info, insn, state)
        if (taken !== true) flow(slot + 1, state)
        if (taken !== false) flow(slot + 1 + insn.offset, state)
        break
      }
      case 'call':
        if (insn.src === PSEUDO_CALL.LOCAL) enter(slot + 1 + insn.imm)
        state[0] = 'unknown'
        state.fill('uninitialised', 1, 6)
        flow(slot + 1, state)
        break
      case 'lddw':
        if (insn.src === PSEUDO_LDDW.FUNC) enter(slot + 1 + insn.imm)
        assign(state, insn.dst, insn.src === PSEUDO_LDDW.IMM ? wide(insn, instructions[slot + 1]) : 'unknown')
        flow(slot + 2, state)
        break
      case 'packet':
        state[0] = 'unknown'
        state.fill('uninitialised', 1, 6)
        flow(slot + 1, state)
        break
      case 'atomic':
        assign(state, 0, state[0] === 'uninitialised' ? 'uninitialised' : 'unknown')
        for (const register of [insn.dst, insn.src])
          if (state[register] !== 'uninitialised' || insn.imm === LOAD_ACQUIRE)
            assign(state, register, 'unknown')
        flow(slot + 1, state)
        break
      case 'mov':
        assign(state, insn.dst, moved(info, insn, state))
        flow(slot + 1, state)
        break
      case 'store':
        flow(slot + 1, state)
        break
      case 'alu':
      case 'neg':
      case 'end':
      case 'bswap':
      case 'load':
        assign(state, insn.dst, info.kind === 'alu' ? computed(info, insn, state) : 'unknown')
        flow(slot + 1, state)
    }
  }
  const decided = (slot: number): boolean => {
    const insn = instructions[slot]
    const state = states[slot]
    const info = insn && opcodeInfo(insn.opcode)
    if (insn === undefined || info === undefined || state === undefined) return false
    if (info.kind === 'jump') return jumpOutcome(info, insn, state) !== undefined
    return info.kind !== 'may_goto'
  }
  return { states, decided }
}

const LOAD_ACQUIRE = 0x100

function entryState(args: number): State {
  const state: State = Array.from({ length: REGISTERS }, () => 'uninitialised')
  state.fill('unknown', 1, 1 + args)
  state[10] = 'unknown'
  return state
}

function assign(state: State, register: number, value: Value): void {
  if (register < 10) state[register] = value
}

/** Merges another path's state; values only ever lose information, so that it ends. @returns whether anything changed */
function join(known: State, other: State): boolean {
  let changed = false
  for (let i = 0; i < REGISTERS; i++) {
    const a = known[i] ?? 'unknown'
    const b = other[i] ?? 'unknown'
    if (a === b || a === 'unknown' || (b === 'uninitialised' && a !== 'uninitialised')) continue
    known[i] = a === 'uninitialised' ? b : 'unknown'
    changed = true
  }
  return changed
}

function wide(insn: Instruction, second: Instruction | undefined): bigint {
  return (BigInt((second?.imm ?? 0) >>> 0) << 32n) | BigInt(insn.imm >>> 0)
}

function operand(info: OpcodeInfo, insn: Instruction, state: State): Value {
  return info.register ? (state[insn.src] ?? 'unknown') : BigInt.asUintN(64, BigInt(insn.imm))
}

function moved(info: OpcodeInfo, insn: Instruction, state: State): Value {
  const value = operand(info, insn, state)
  if (typeof value !== 'bigint' || (info.register && insn.offset !== 0)) return 'unknown'
  return info.bits === 32 ? BigInt.asUintN(32, value) : value
}

const FOLDED: ReadonlyMap<string, (a: bigint, b: bigint, bits: bigint) => bigint> = new Map([
  ['add', (a, b) => a + b],
  ['sub', (a, b) => a - b],
  ['mul', (a, b) => a * b],
  ['and', (a, b) => a & b],
  ['or', (a, b) => a | b],
  ['xor', (a, b) => a ^ b],
  ['lsh', (a, b, bits) => a << (b & (bits - 1n))],
  ['rsh', (a, b, bits) => a >> (b & (bits - 1n))],
])

function computed(info: OpcodeInfo, insn: Instruction, state: State): Value {
  const a = state[insn.dst]
  const b = operand(info, insn, state)
  const fold = FOLDED.get(info.name)
  if (typeof a !== 'bigint' || typeof b !== 'bigint' || fold === undefined) return 'unknown'
  return BigInt.asUintN(
    info.bits,
    fold(BigInt.asUintN(info.bits, a), BigInt.asUintN(info.bits, b), BigInt(info.bits)),
  )
}

const COMPARED: ReadonlyMap<string, (a: bigint, b: bigint) => boolean> = new Map([
  ['jeq', (a, b) => a === b],
  ['jne', (a, b) => a !== b],
  ['jgt', (a, b) => a > b],
  ['jge', (a, b) => a >= b],
  ['jlt', (a, b) => a < b],
  ['jle', (a, b) => a <= b],
  ['jset', (a, b) => (a & b) !== 0n],
])
const COMPARED_SIGNED: ReadonlyMap<string, (a: bigint, b: bigint) => boolean> = new Map([
  ['jsgt', (a, b) => a > b],
  ['jsge', (a, b) => a >= b],
  ['jslt', (a, b) => a < b],
  ['jsle', (a, b) => a <= b],
])

/** undefined: may go either way. */
function jumpOutcome(info: OpcodeInfo, insn: Instruction, state: State): boolean | undefined {
  const a = state[insn.dst]
  const b = operand(info, insn, state)
  if (typeof a !== 'bigint' || typeof b !== 'bigint') return undefined
  const signed = COMPARED_SIGNED.get(info.name)
  if (signed !== undefined) return signed(BigInt.asIntN(info.bits, a), BigInt.asIntN(info.bits, b))
  return COMPARED.get(info.name)?.(BigInt.asUintN(info.bits, a), BigInt.asUintN(info.bits, b))
}
