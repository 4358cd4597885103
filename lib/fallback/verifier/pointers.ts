/**
 * Contexts, maps and their values: what Linux refuses at load and the engine couldn't see, or only too late.
 *
 * Registers are followed along all paths that constants leave open, not the stack, and not ranges. So it never says more than is
 * sure: a program that is refused here does the same wrong thing on every path that leads to the instruction.
 */
import type { Instruction } from '../../isa/instruction.js'
import { OP, PSEUDO_CALL, PSEUDO_LDDW, opcodeInfo } from '../../isa/opcodes.js'
import type { OpcodeInfo } from '../../isa/opcodes.js'
import { BPF_MAP_FLAGS, BPF_MAP_TYPE } from '../../linux/map-types.js'
import type { MapAttributes } from '../maps/types.js'
import { problemOf } from './pointer-checks.js'
import type { PointerProgram } from './pointer-program.js'
import { rejection } from './reject.js'
import { compared, join, moved, nullChecked, REGISTERS, scalar, type State, type Value } from './values.js'

const LOOKUP = 1
const LOOKUP_PERCPU = 195
const CURRENT_TASK = 35
/** Their look-ups with a constant index surely find something: Linux 6.14 knows. */
const ARRAYS: ReadonlySet<number> = new Set([BPF_MAP_TYPE.ARRAY, BPF_MAP_TYPE.PERCPU_ARRAY])

/**
 * @returns bytes of the context that the program reads or writes: what BPF_PROG_TEST_RUN and attaching ask for
 * @throws BpfError VERIFIER_REJECTED
 */
export function checkPointers(program: PointerProgram): number {
  let contextSize = 0
  const states = statesOf(program)
  states.forEach((state, slot) => {
    const insn = program.instructions[slot]
    const info = insn && opcodeInfo(insn.opcode)
    if (state === undefined || insn === undefined || info === undefined) return
    const problem = problemOf(program, insn, info, state)
    if (problem !== undefined) {
      const { errno, text, detail } = problem
      throw rejection(program, errno, text, {
        insn: slot,
        simulated: true,
        ...(detail !== undefined && { detail }),
      })
    }
    contextSize = Math.max(contextSize, contextEnd(insn, info, state))
  })
  return contextSize
}

/** End of the bytes of the context that an instruction accesses, or 0. */
function contextEnd(insn: Instruction, info: OpcodeInfo, state: State): number {
  if (info.kind !== 'load' && info.kind !== 'store') return 0
  const base = state[info.kind === 'load' ? insn.src : insn.dst]
  return base?.kind === 'context' ? base.offset + insn.offset + info.bits / 8 : 0
}

function statesOf(program: PointerProgram): readonly (State | undefined)[] {
  const { instructions, reached } = program
  const states: (State | undefined)[] = Array.from({ length: instructions.length })
  const pending: number[] = []
  const flow = (slot: number, state: State): void => {
    const known = states[slot]
    if (reached[slot] !== 1 || slot >= instructions.length) return
    if (known === undefined) states[slot] = [...state]
    else if (!join(known, state)) return
    pending.push(slot)
  }
  const entry: State = Array.from({ length: REGISTERS })
  if (program.context !== undefined) entry[1] = { kind: 'context', offset: 0 }
  flow(0, entry)
  for (let slot = pending.pop(); slot !== undefined; slot = pending.pop()) {
    const insn = instructions[slot]
    const before = states[slot]
    const info = insn && opcodeInfo(insn.opcode)
    if (insn !== undefined && before !== undefined && info !== undefined)
      follow(program, slot, insn, info, [...before], flow)
  }
  return states
}

function follow(
  program: PointerProgram,
  slot: number,
  insn: Instruction,
  info: OpcodeInfo,
  state: State,
  flow: (slot: number, state: State) => void,
): void {
  const next = slot + 1
  switch (info.kind) {
    case 'exit':
      return
    case 'ja':
      return flow(next + (insn.opcode === OP.JA32 ? insn.imm : insn.offset), state)
    case 'may_goto':
      flow(next + insn.offset, state)
      return flow(next, state)
    case 'jump': {
      const [taken, straight] = branches(insn, info, state)
      flow(next + insn.offset, taken)
      return flow(next, straight)
    }
    case 'lddw': {
      state[insn.dst] = wideImmediate(program, insn, program.instructions[next])
      if (insn.src === PSEUDO_LDDW.FUNC) flow(next + insn.imm, Array.from({ length: REGISTERS }))
      return flow(slot + 2, state)
    }
    case 'call': {
      if (insn.src === PSEUDO_CALL.LOCAL)
        flow(
          next + insn.imm,
          state.map((value, i) => argument(value, i)),
        )
      const result = insn.src === PSEUDO_CALL.HELPER ? resultOf(insn.imm, state, slot) : undefined
      state.fill(undefined, 0, 6)
      state[0] = result
      return flow(next, state)
    }
    case 'packet':
      state.fill(undefined, 0, 6)
      break
    case 'atomic':
      // It may fetch into the source register or r0.
      state[0] = state[insn.src] = state[insn.dst === insn.src ? 0 : insn.src] = undefined
      break
    case 'mov':
      state[insn.dst] = copied(insn, info, state)
      break
    case 'alu':
      state[insn.dst] = computed(insn, info, state)
      break
    case 'load':
      state[insn.dst] = loaded(program, insn, info, state[insn.src])
      break
    case 'neg':
    case 'end':
    case 'bswap':
      state[insn.dst] = state[insn.dst]?.kind === 'scalar' ? scalar(false) : undefined
      break
    case 'store':
  }
  flow(next, state)
}

/** What a function is sure of: numbers may decide its branches, which is not followed here. */
function argument(value: Value, register: number): Value {
  if (register < 1 || register > 5 || value?.kind === 'scalar') return undefined
  return value?.kind === 'element' && value.lookup >= 0 ? undefined : value
}

function branches(
  insn: Instruction,
  info: OpcodeInfo,
  before: State,
): readonly [taken: State, straight: State] {
  let state = compared(before)
  const pointer = state[insn.dst]
  const other = info.register ? state[insn.src] : undefined
  const isNullCheck = (info.name === 'jeq' || info.name === 'jne') && !info.register && insn.imm === 0
  if (isNullCheck && pointer?.kind === 'element' && pointer.lookup >= 0) {
    const found = nullChecked(state, pointer.lookup, true)
    const missing = nullChecked(state, pointer.lookup, false)
    return info.name === 'jeq' ? [missing, found] : [found, missing]
  }
  // Any other comparison may be a check for null too: with a register that holds 0, from either side.
  for (const value of [pointer, other])
    if (value?.kind === 'element' && value.lookup >= 0) state = nullChecked(state, value.lookup, true)
  return [state, state]
}

function wideImmediate(program: PointerProgram, insn: Instruction, second: Instruction | undefined): Value {
  if (insn.src !== PSEUDO_LDDW.IMM) return undefined
  const reference = program.resolve(insn.imm >>> 0, second?.imm ?? 0)
  if (reference === undefined) return scalar(false)
  const { map, offset } = reference
  return offset === undefined ? { kind: 'map', map } : { kind: 'element', map, offset, lookup: -1 }
}

function resultOf(helper: number, state: State, slot: number): Value {
  if (helper === CURRENT_TASK) return scalar(true)
  const map = state[1]
  if ((helper !== LOOKUP && helper !== LOOKUP_PERCPU) || map?.kind !== 'map') return undefined
  return { kind: 'element', map: map.map, offset: 0, lookup: ARRAYS.has(map.map.type) ? -1 : slot }
}

function copied(insn: Instruction, info: OpcodeInfo, state: State): Value {
  if (!info.register) return scalar(false)
  const value = state[insn.src]
  if (info.bits === 64 && insn.offset === 0) return value
  return value?.kind === 'scalar' ? scalar(value.varies && insn.offset === 0) : undefined
}

function computed(insn: Instruction, info: OpcodeInfo, state: State): Value {
  const left = state[insn.dst]
  const right = info.register ? state[insn.src] : scalar(false)
  if (left?.kind === 'scalar' && right?.kind === 'scalar') return scalar(false)
  if (info.register || info.bits !== 64) return undefined
  if (info.name === 'add') return moved(left, insn.imm)
  return info.name === 'sub' ? moved(left, -insn.imm) : undefined
}

function loaded(program: PointerProgram, insn: Instruction, info: OpcodeInfo, base: Value): Value {
  if (base?.kind === 'element') return scalar(!isConstant(base.map))
  if (base?.kind !== 'context' || program.context === undefined) return undefined
  return program.context.isNumber(base.offset + insn.offset, info.bits / 8) ? scalar(true) : undefined
}

/** Linux reads frozen global data as constants. */
function isConstant({ flags }: MapAttributes): boolean {
  return (flags & BPF_MAP_FLAGS.BPF_F_RDONLY_PROG) !== 0
}
