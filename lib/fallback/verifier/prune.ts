/**
 * Pruning: where to keep states, when a path is covered by a kept one, and when a loop makes no progress.
 *
 * How often states are kept is a heuristic that decides how many instructions are processed; it is Linux's, so that a program that is too
 * complex there is so here.
 */
import { COMPARE, statesEqual } from './equal.js'
import { inheritPrecision, markAllPrecise } from './precision.js'
import { isActive, turnsDiffer } from './iterators.js'
import { EINVAL, Rejection } from './rejection.js'
import { stateText } from './state-text.js'
import { copyState, EMPTY_SLOT, FRAME_POINTER, frameInsn, type State } from './state.js'
import { NOT_INIT } from './values/register.js'
import type { BackEdge, Verification } from './verification.js'

/** States are kept this far apart, at least … */
const JUMPS_APART = 2
const INSTRUCTIONS_APART = 8
/** … and in loops this far: each turn has states of its own, which help nobody. */
const LOOP_JUMPS_APART = 20
const LOOP_INSTRUCTIONS_APART = 100
/** Longer histories make walking back slow. */
const MAX_HISTORY = 40
/** A state that misses so much more often than it hits is dropped. */
const MISSES_A_HIT = 3
const MISSES_A_HIT_IN_LOOP = 64
const MAX_ROUNDS = 64

/** @returns true: the path is covered, and ends here */
export function isCovered(env: Verification): boolean {
  const { state, insn } = env
  const force =
    env.alwaysCheckpoint || env.marks.forceCheckpoint[insn] === 1 || (state.history?.count ?? 0) > MAX_HISTORY
  const jumps = env.jumpsProcessed - env.previousJumps
  const instructions = env.insnsProcessed - env.previousInsns
  const inLoop = !force && jumps < LOOP_JUMPS_APART && instructions < LOOP_INSTRUCTIONS_APART
  let keep = force || (jumps >= JUMPS_APART && instructions >= INSTRUCTIONS_APART)
  const place = env.placeOf(state, insn)
  const list = env.explored[place]
  if (list === undefined) {
    if (keep) env.explored[place] = [keepState(env)]
    return false
  }
  cleanStates(env, list)
  const count = list.length
  for (let i = list.length - 1; i >= 0; i--) {
    const kept = list[i] as State
    if (kept.insn !== insn) continue
    let unfinished = false
    if (kept.branches > 0) {
      const outcome = compareWithLoop(env, kept)
      if (outcome === MISS) {
        if (inLoop) keep = false
        miss(env, list, i, keep)
        continue
      }
      unfinished = true
    } else {
      unfinished = hasBackEdges(env, kept)
      if (!statesEqual(env, kept, state, unfinished ? COMPARE.WITHIN : COMPARE.COVERED)) {
        miss(env, list, i, keep)
        continue
      }
    }
    kept.hits++
    if (env.marks.jumpPoint[insn] === 1) env.remember(-1)
    inheritPrecision(env, kept, state, insn)
    if (unfinished) addBackEdge(env, kept)
    return true
  }
  if (count > env.statesAtInsn) env.statesAtInsn = count
  if (keep) list.push(keepState(env))
  return false
}

const MISS = 0
const HIT = 1

/** Compares with a state on the same path, or on one that isn't finished. */
function compareWithLoop(env: Verification, kept: State): number {
  const { state, insn, code } = env
  const older = kept.current
  const newer = state.current
  if (older.callback?.async === true && older.asyncEntries !== newer.asyncEntries) return MISS
  if (code.isMayGoto(insn)) {
    if (kept.mayGotoDepth !== state.mayGotoDepth && statesEqual(env, kept, state, COMPARE.WITHIN)) return HIT
  }
  if (code.isIteratorNext(insn))
    return statesEqual(env, kept, state, COMPARE.WITHIN) && isActive(env) ? HIT : MISS
  if (code.callsCallback(insn)) return statesEqual(env, kept, state, COMPARE.WITHIN) ? HIT : MISS
  if (
    mayBeLooping(kept, state) &&
    kept.mayGotoDepth === state.mayGotoDepth &&
    kept.callbackUnrollDepth === state.callbackUnrollDepth &&
    statesEqual(env, kept, state, COMPARE.EXACT) &&
    !turnsDiffer(kept, state)
  )
    throw endlessLoop(env, kept)
  return MISS
}

function endlessLoop({ insn, state, log }: Verification, kept: State): Rejection {
  const rejection = new Rejection(EINVAL, `infinite loop detected at insn ${insn}`)
  const frame = state.frames.length - 1
  if (log !== undefined)
    rejection.sequel = [`cur state:${stateText(state, frame)}`, `old state:${stateText(kept, frame)}`]
  return rejection
}

/** Quickly says no: a register of the frame at hand differs. */
function mayBeLooping(kept: State, state: State): boolean {
  if (kept.frames.length !== state.frames.length) return false
  const older = kept.current.registers
  const newer = state.current.registers
  for (let i = 0; i < FRAME_POINTER; i++) {
    const a = older[i]
    const b = newer[i]
    if (a === b || a === undefined || b === undefined) continue
    if (a.kind !== b.kind || a.valueLo !== b.valueLo || a.maskLo !== b.maskLo) return false
    if (a.uminLo !== b.uminLo || a.umaxLo !== b.umaxLo || a.offset !== b.offset) return false
  }
  return true
}

function miss(env: Verification, list: State[], index: number, counts: boolean): void {
  const kept = list[index] as State
  if (counts) kept.misses++
  const inLoop = env.marks.forceCheckpoint[env.insn] === 1 && kept.branches > 0
  const allowed = inLoop ? MISSES_A_HIT_IN_LOOP : MISSES_A_HIT
  if (kept.misses <= kept.hits * allowed + allowed) return
  list.splice(index, 1)
  kept.dropped = true
  if (kept.branches === 0 && !hasBackEdges(env, kept)) env.heldStates--
}

/** Counts what is held at once: kept states, dropped ones that lie on paths which haven't ended, and the ends of loops. */
function hold(env: Verification): void {
  env.heldStates++
  if (env.heldStates > env.peakStates) env.peakStates = env.heldStates
}

/** @returns what is kept of the path */
function keepState(env: Verification): State {
  const { state, insn } = env
  env.totalStates++
  hold(env)
  env.previousJumps = env.jumpsProcessed
  env.previousInsns = env.insnsProcessed
  const kept = copyState(state)
  kept.insn = insn
  kept.branches = 1
  enterComponent(env, kept)
  state.parent = kept
  state.firstInsn = insn
  state.depth = kept.depth + 1
  state.history = undefined
  env.entry = undefined
  return kept
}

/** Takes out of finished states what nobody reads any more. */
function cleanStates(env: Verification, list: readonly State[]): void {
  const { state } = env
  for (const kept of list) {
    if (kept.cleaned || kept.branches > 0 || kept.insn !== env.insn) continue
    if (!sameCallSites(kept, state) || hasBackEdges(env, kept)) continue
    clean(env, kept)
  }
}

function sameCallSites(a: State, b: State): boolean {
  return (
    a.frames.length === b.frames.length &&
    a.frames.every((frame, i) => frame.callSite === b.frames[i]?.callSite)
  )
}

function clean(env: Verification, kept: State): void {
  const isLive = env.stackLiveness.query(kept)
  kept.cleaned = true
  kept.frames.forEach((frame, index) => {
    const live = env.liveRegisters[frameInsn(kept, index)] ?? 0
    for (let i = 0; i < FRAME_POINTER; i++) if ((live & (1 << i)) === 0) frame.registers[i] = NOT_INIT
    for (let i = 0; i < frame.stack.length; i++) if (!isLive(index, i)) frame.stack[i] = EMPTY_SLOT
  })
}

/** A path has ended: so have the states on it that have no other. */
export function endPath(env: Verification, ended: State): void {
  let state: State | undefined = ended
  while (state !== undefined) {
    state.branches--
    if (state.branches > 0) return
    if (state !== ended) {
      leaveComponent(env, state)
      if (state.dropped && !hasBackEdges(env, state)) env.heldStates--
    }
    state = state.parent
  }
}

/** The visit of the outermost loop that a state belongs to: chain of calls to it, and component. */
function visitKey(env: Verification, state: State): string | undefined {
  for (let i = 0; i < state.frames.length; i++) {
    const component = env.component[frameInsn(state, i)] ?? 0
    if (component === 0) continue
    const chain = state.frames.slice(0, i).map((_, caller) => `${frameInsn(state, caller)},`)
    return `${chain.join('')}#${component}`
  }
  return undefined
}

function enterComponent(env: Verification, kept: State): void {
  const key = visitKey(env, kept)
  if (key === undefined) return
  const visit = env.visits.get(key)
  if (visit === undefined) env.visits.set(key, { entry: kept, backEdges: undefined })
  else visit.entry ??= kept
  if (env.visits.get(key)?.entry === kept) remarkVisit(env, 'enter', key)
}

function remarkVisit(env: Verification, what: string, key: string): void {
  env.log?.detailed?.remark(`SCC ${what} (${key.replace('#', '')})`)
}

function leaveComponent(env: Verification, kept: State): void {
  if (env.visits.size === 0) return
  const key = visitKey(env, kept)
  const visit = key === undefined ? undefined : env.visits.get(key)
  if (key === undefined || visit === undefined || visit.entry !== kept) return
  remarkVisit(env, 'exit', key)
  visit.entry = undefined
  const { backEdges } = visit
  visit.backEdges = undefined
  if (backEdges === undefined) return
  env.heldStates -= backEdges.length
  for (let round = 0, changed = true; changed; round++) {
    changed = false
    if (round >= MAX_ROUNDS) {
      for (const { state } of backEdges) markAllPrecise(state)
      return
    }
    // The last one first, as Linux does.
    for (let i = backEdges.length - 1; i >= 0; i--) {
      const { state, equal } = backEdges[i] as BackEdge
      if (inheritPrecision(env, equal, state, state.insn)) changed = true
    }
  }
}

function hasBackEdges(env: Verification, kept: State): boolean {
  if (env.visits.size === 0) return false
  const key = visitKey(env, kept)
  return key !== undefined && env.visits.get(key)?.backEdges !== undefined
}

function addBackEdge(env: Verification, kept: State): void {
  const key = visitKey(env, kept)
  const visit = key === undefined ? undefined : env.visits.get(key)
  if (key === undefined || visit === undefined) return
  remarkVisit(env, 'backedge', key)
  const state = copyState(env.state)
  state.insn = env.insn
  visit.backEdges ??= []
  visit.backEdges.push({ state, equal: kept })
  hold(env)
}
