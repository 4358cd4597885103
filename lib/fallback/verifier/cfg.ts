/**
 * The control-flow graph: that every instruction can be reached and none is half of another; and where states are compared and
 * jumps remembered.
 */
import { CLASS, OP } from '../../isa/opcodes.js'
import type { Code } from './code.js'
import { malformed } from './rejection.js'
import type { Subprogram } from './subprograms.js'

export interface FlowMarks {
  /** States are compared there. */
  readonly prunePoint: Uint8Array
  /** Paths remember that they came by. */
  readonly jumpPoint: Uint8Array
  /** A state is always kept there. */
  readonly forceCheckpoint: Uint8Array
}

/** @param loops whether the program may have any: without CAP_BPF it may not */
export function checkControlFlow(
  code: Code,
  subprograms: readonly Subprogram[],
  loops = true,
  exceptionCallback?: Subprogram,
): FlowMarks {
  const marks: FlowMarks = {
    prunePoint: new Uint8Array(code.length),
    jumpPoint: new Uint8Array(code.length),
    forceCheckpoint: new Uint8Array(code.length),
  }
  if (!loops) checkNoLoops(code)
  const seen = new Uint8Array(code.length)
  // What exceptions run, no instruction leads to.
  const pending = exceptionCallback === undefined ? [0] : [exceptionCallback.start, 0]
  for (let start = pending.pop(); start !== undefined; start = pending.pop()) {
    // Straight on as far as it goes; what branches off waits.
    for (let slot = start; slot >= 0 && seen[slot] !== 1;) {
      seen[slot] = 1
      slot = visit(code, slot, marks, pending)
    }
  }
  for (let slot = 0; slot < code.length; slot++) {
    if (seen[slot] !== 1) malformed(slot, `unreachable insn ${slot}`)
    if (!code.isWide(slot)) continue
    if (seen[slot + 1] === 1) malformed(slot, `jump into the middle of ldimm64 insn ${slot}`)
    slot++
  }
  // Functions that are verified on their own start anew.
  for (const subprogram of subprograms) if (subprogram.global) marks.jumpPoint[subprogram.start] = 1
  return marks
}

/** Refuses jumps back to what leads to them. What falls through is followed to its end before a jump is looked at, as in Linux. */
function checkNoLoops(code: Code): void {
  const OPEN = 1
  const DONE = 2
  const state = new Uint8Array(code.length)
  /** Ways that were followed, of each instruction. */
  const followed = new Uint8Array(code.length)
  const path = [0]
  state[0] = OPEN
  for (let slot = path.at(-1); slot !== undefined; slot = path.at(-1)) {
    const way = followed[slot] as number
    if (way === 2) {
      state[slot] = DONE
      path.pop()
      continue
    }
    followed[slot] = way + 1
    const next = way === 0 ? code.nextOf(slot) : code.branchOf(slot)
    if (next < 0 || next >= code.length || state[next] === DONE) continue
    if (state[next] === OPEN) malformed(slot, `back-edge from insn ${slot} to ${next}`)
    state[next] = OPEN
    path.push(next)
  }
}

function mark(column: Uint8Array, slot: number): void {
  column[slot] = 1
}

/** @returns the slot to go on with; -1: none */
function visit(code: Code, slot: number, marks: FlowMarks, pending: number[]): number {
  const opcode = code.opcodeAt(slot)
  if (opcode === OP.EXIT) return -1
  switch (opcode & 7) {
    case CLASS.JMP:
    case CLASS.JMP32:
      if (opcode === OP.CALL) return visitCall(code, slot, marks, pending)
      if (code.isGoto(slot)) return branch(code, slot, slot + 1 + code.jumpOffset(slot), marks)
      mark(marks.prunePoint, slot)
      if (code.isMayGoto(slot)) mark(marks.forceCheckpoint, slot)
      pending.push(within(code, slot, slot + 1))
      return branch(code, slot, slot + 1 + code.jumpOffset(slot), marks)
    case CLASS.LD:
      if (code.isFunctionAddress(slot)) return visitFunction(code, slot, slot + 2, marks, pending)
      return within(code, slot, slot + (opcode === OP.LDDW ? 2 : 1))
    default:
      return within(code, slot, slot + 1)
  }
}

function within(code: Code, slot: number, target: number): number {
  if (target < 0 || target >= code.length) malformed(slot, `jump out of range from insn ${slot} to ${target}`)
  return target
}

function branch(code: Code, slot: number, target: number, { prunePoint, jumpPoint }: FlowMarks): number {
  within(code, slot, target)
  mark(prunePoint, target)
  mark(jumpPoint, target)
  return target
}

function visitCall(code: Code, slot: number, marks: FlowMarks, pending: number[]): number {
  const { prunePoint, jumpPoint, forceCheckpoint } = marks
  if (code.callsAsyncCallback(slot)) mark(prunePoint, slot)
  if (code.callsCallback(slot)) {
    mark(forceCheckpoint, slot)
    mark(prunePoint, slot)
    mark(jumpPoint, slot)
  }
  if (code.isIteratorNext(slot)) {
    mark(forceCheckpoint, slot)
    mark(prunePoint, slot)
  }
  if (code.isLocalCall(slot)) return visitFunction(code, slot, slot + 1, marks, pending)
  // Behind a call the path may come from another function.
  return code.isHelperCall(slot) || code.isKfuncCall(slot)
    ? branch(code, slot, slot + 1, marks)
    : within(code, slot, slot + 1)
}

/** The function that is called, or whose address is loaded, and what comes behind that. */
function visitFunction(code: Code, slot: number, next: number, marks: FlowMarks, pending: number[]): number {
  pending.push(branch(code, slot, next, marks))
  mark(marks.prunePoint, slot)
  return branch(code, slot, slot + 1 + code.immAt(slot), marks)
}
