/**
 * The control-flow graph: that every instruction can be reached and none is half of another; and where states are compared and
 * jumps remembered.
 */
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
export function checkControlFlow(code: Code, subprograms: readonly Subprogram[], loops = true): FlowMarks {
  const marks: FlowMarks = {
    prunePoint: new Uint8Array(code.length),
    jumpPoint: new Uint8Array(code.length),
    forceCheckpoint: new Uint8Array(code.length),
  }
  if (!loops) checkNoLoops(code)
  const seen = new Uint8Array(code.length)
  const pending = [0]
  for (let slot = pending.pop(); slot !== undefined; slot = pending.pop()) {
    if (seen[slot] === 1) continue
    seen[slot] = 1
    visit(code, slot, marks, pending)
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

/** Refuses jumps back to what leads to them. */
function checkNoLoops(code: Code): void {
  const OPEN = 1
  const DONE = 2
  const state = new Uint8Array(code.length)
  const pending = [0]
  for (let slot = pending.at(-1); slot !== undefined; slot = pending.at(-1)) {
    if (state[slot] !== 0) {
      state[slot] = DONE
      pending.pop()
      continue
    }
    state[slot] = OPEN
    for (const next of [code.branchOf(slot), code.nextOf(slot)]) {
      if (next < 0 || next >= code.length || state[next] === DONE) continue
      if (state[next] === OPEN) malformed(slot, `back-edge from insn ${slot} to ${next}`)
      pending.push(next)
    }
  }
}

function mark(column: Uint8Array, slot: number): void {
  column[slot] = 1
}

function visit(code: Code, slot: number, marks: FlowMarks, pending: number[]): void {
  const { prunePoint, jumpPoint, forceCheckpoint } = marks
  const push = (target: number, branch: boolean): void => {
    if (target < 0 || target >= code.length)
      malformed(slot, `jump out of range from insn ${slot} to ${target}`)
    if (branch) {
      mark(prunePoint, target)
      mark(jumpPoint, target)
    }
    pending.push(target)
  }
  if (code.isExit(slot)) return
  const next = slot + (code.isWide(slot) ? 2 : 1)
  if (code.isGoto(slot)) {
    push(slot + 1 + code.jumpOffset(slot), true)
    return
  }
  if (code.isJump(slot)) {
    mark(prunePoint, slot)
    if (code.isMayGoto(slot)) mark(forceCheckpoint, slot)
    push(next, false)
    push(slot + 1 + code.jumpOffset(slot), true)
    return
  }
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
  const isCall = code.isLocalCall(slot) || code.isHelperCall(slot) || code.isKfuncCall(slot)
  const entersFunction = code.isLocalCall(slot) || code.isFunctionAddress(slot)
  push(next, false)
  if (isCall || entersFunction) {
    // Behind a call the path may come from another function.
    mark(prunePoint, next)
    mark(jumpPoint, next)
  }
  if (!entersFunction) return
  mark(prunePoint, slot)
  push(slot + 1 + code.immAt(slot), true)
}
