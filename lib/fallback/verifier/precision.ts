/**
 * Precision: which numbers of kept states mattered.
 *
 * When an instruction is only safe for the value that a number has (a size, an offset, a branch that is decided by it), the path is
 * walked back to where the number came from, and in each kept state on the way the registers and slots that it came from are marked. All
 * other numbers of kept states stand for any number, which is what makes pruning work.
 */
import { ATOMIC, CLASS, OP } from '../../isa/opcodes.js'
import { linkedFrame, linkedIndex, linkedIsSlot } from './linked.js'
import type { PrecisionRemarks } from './precision-remarks.js'
import type { Frame, HistoryEntry, State } from './state.js'
import { FRAME_POINTER, isSpilledScalar, MAX_FRAMES } from './state.js'
import { KIND, type Register } from './values/register.js'
import { beforeAlu, beforeBranch, Tracked } from './tracked.js'
import type { Verification } from './verification.js'

const tracked = new Tracked()
const ARGUMENTS = 0b11_1110
const TAIL_CALL = 12

/** The path can't be walked back: everything is precise. */
class Lost extends Error {}
const LOST = new Lost()

/** The number in a register of the frame at hand must be exactly what it is. */
export function markPrecise(env: Verification, register: number): void {
  const { state } = env
  // Nothing is kept before this point, and nobody wants to know.
  if (state.parent === undefined && env.remarks === undefined) return
  tracked.reset(state.frames.length - 1)
  tracked.set(register)
  trace(env, state, env.insn)
}

/** The number in a stack slot must be exactly what it is. */
export function markSlotPrecise(env: Verification, frame: number, slot: number): void {
  const { state } = env
  if (state.parent === undefined && env.remarks === undefined) return
  tracked.reset(state.frames.length - 1)
  tracked.setSlot(frame, slot)
  trace(env, state, env.insn)
}

/** The path reached what `older` covers: what had to be precise there must be so here. @returns whether a mark is new */
export function inheritPrecision(env: Verification, older: State, state: State, insn: number): boolean {
  tracked.reset(state.frames.length - 1)
  older.frames.forEach((frame, index) => {
    for (let i = 0; i < FRAME_POINTER; i++) {
      if ((frame.preciseRegisters & (1 << i)) === 0) continue
      if ((frame.registers[i] as Register).kind === KIND.SCALAR) tracked.setIn(index, i)
    }
    for (let i = 0; i < frame.stack.length; i++) {
      const precise = i < 32 ? frame.preciseSlotsLow & (1 << i) : frame.preciseSlotsHigh & (1 << (i - 32))
      const slot = frame.stack[i]
      if (precise !== 0 && slot !== undefined && isSpilledScalar(slot)) tracked.setSlot(index, i)
    }
  })
  const { remarks } = env
  if (remarks !== undefined)
    for (let i = older.frames.length - 1; i >= 0; i--) remarks.inherited(i, tracked.in(i))
  return trace(env, state, insn)
}

/** Marks all numbers of all kept states of a path. */
export function markAllPrecise(state: State): void {
  for (let kept = state.parent; kept !== undefined; kept = kept.parent) {
    for (const frame of kept.frames) {
      frame.preciseRegisters = -1
      frame.preciseSlotsLow = -1
      frame.preciseSlotsHigh = -1
    }
  }
}

/** Walks back from an instruction of a path. @returns whether a mark is new */
function trace(env: Verification, start: State, from: number): boolean {
  if (tracked.isEmpty) return false
  let state: State | undefined = start
  let first = start.firstInsn
  let last = from
  let after = -1
  let skip = true
  let changed = false
  const { remarks } = env
  try {
    for (;;) {
      let history: HistoryEntry | undefined = state.history
      remarks?.stretch(tracked.frame, last, first, after)
      if (last < 0) return markEntry(state) || changed
      for (let insn = last; ;) {
        if (skip) skip = false
        else {
          const special = history === undefined ? first : history.insn
          const plain = remarks === undefined ? tracked.stepBackTo(special, env.code, insn) : insn
          if (plain !== insn) {
            if (tracked.isEmpty) return changed
            insn = plain
            after = plain + 1
          }
          stepBack(env, insn, after, history?.insn === insn ? history : undefined)
        }
        if (tracked.isEmpty) return changed
        after = insn
        // Where the path came from: the instruction before, unless it jumped here.
        if (insn === first && (history === undefined || (history.count === 1 && history.insn === insn))) break
        if (history !== undefined && history.insn === insn) {
          insn = history.previous
          history = history.before
        } else insn--
        if (insn < 0) throw LOST
      }
      state = state.parent
      if (state === undefined) break
      if (markState(state, remarks)) changed = true
      if (tracked.isEmpty) return changed
      after = first
      last = state.lastInsn
      first = state.firstInsn
    }
  } catch (error) {
    if (error !== LOST) throw error
  }
  if (!tracked.isEmpty) {
    remarks?.lost(start.frames.length - 1)
    markAllPrecise(start)
    changed = true
  }
  return changed
}

/** At the entry of a function that is verified on its own: its arguments. */
function markEntry(state: State): boolean {
  const frame = state.frames[0]
  if (frame === undefined || (tracked.mask & ~ARGUMENTS) !== 0) throw LOST
  frame.preciseRegisters |= tracked.mask
  tracked.reset(0)
  return true
}

/** Marks what is followed in a kept state; what is marked already, or no number, needn't be followed further. */
function markState(state: State, remarks: PrecisionRemarks | undefined): boolean {
  let changed = false
  for (let index = tracked.frame; index >= 0; index--) {
    const frame = state.frames[index]
    if (frame === undefined) continue
    const mask = tracked.registers[index] as number
    for (let i = 0; mask >>> i !== 0; i++) {
      if ((mask & (1 << i)) === 0) continue
      const isNumber = (frame.registers[i] as Register).kind === KIND.SCALAR
      if (!isNumber || (frame.preciseRegisters & (1 << i)) !== 0) tracked.clearIn(index, i)
      else {
        frame.preciseRegisters |= 1 << i
        changed = true
      }
    }
    if (markSlots(frame, index, 0)) changed = true
    if (markSlots(frame, index, 32)) changed = true
    remarks?.parent(state, index, tracked.in(index))
  }
  return changed
}

function markSlots(frame: Frame, index: number, base: number): boolean {
  const mask = tracked.slots[2 * index + (base >> 5)] as number
  let known = base === 0 ? frame.preciseSlotsLow : frame.preciseSlotsHigh
  let changed = false
  for (let i = 0; i < 32 && mask >>> i !== 0; i++) {
    if ((mask & (1 << i)) === 0) continue
    const slot = frame.stack[base + i]
    if (slot === undefined || !isSpilledScalar(slot) || (known & (1 << i)) !== 0) {
      tracked.clearSlot(index, base + i)
      continue
    }
    known |= 1 << i
    changed = true
  }
  if (base === 0) frame.preciseSlotsLow = known
  else frame.preciseSlotsHigh = known
  return changed
}

/** Slots that have the same id as one that is followed are followed too. */
function followLinked(entry: HistoryEntry | undefined): void {
  const linked = entry?.linked
  if (linked === undefined) return
  const isTracked = (one: number): boolean =>
    linkedIsSlot(one)
      ? tracked.hasSlot(linkedFrame(one), linkedIndex(one))
      : ((tracked.registers[linkedFrame(one)] as number) & (1 << linkedIndex(one))) !== 0
  if (!linked.some(isTracked)) return
  for (const one of linked) {
    if (linkedIsSlot(one)) tracked.setSlot(linkedFrame(one), linkedIndex(one))
    else tracked.setIn(linkedFrame(one), linkedIndex(one))
  }
}

/** Undoes an instruction: what was followed behind it comes from what is followed before it. */
function stepBack(env: Verification, insn: number, after: number, entry: HistoryEntry | undefined): void {
  const { code } = env
  const opcode = code.opcodeAt(insn)
  const klass = opcode & 7
  // The second half of a 64-bit immediate load.
  if (opcode === 0) return
  env.remarks?.step(tracked.frame, tracked.in(tracked.frame), insn)
  followLinked(entry)
  switch (klass) {
    case CLASS.ALU:
    case CLASS.ALU64:
      tracked.mask = beforeAlu(tracked.mask, code.dstAt(insn), code.srcAt(insn), opcode)
      return
    case CLASS.LDX:
      return stepBackLoad(code.dstAt(insn), entry)
    case CLASS.STX:
    case CLASS.ST:
      if (klass === CLASS.STX && (opcode & 0xe0) === 0xc0) return stepBackAtomic(env, insn, entry)
      return stepBackStore(code.dstAt(insn), code.srcAt(insn), klass === CLASS.STX, entry)
    case CLASS.JMP:
    case CLASS.JMP32:
      return stepBackJump(env, insn, after, entry)
    default:
      stepBackWide(code.dstAt(insn), opcode)
      if (opcode !== OP.LDDW && after !== insn + 1 && after >= 0) enterFrame()
  }
}

function stepBackLoad(dst: number, entry: HistoryEntry | undefined): void {
  if (!tracked.has(dst)) return
  tracked.clear(dst)
  // Loads from elsewhere than the stack give numbers that are as precise as they will be.
  if (entry === undefined || entry.stackAccess < 0) return
  tracked.setSlot(entry.stackAccess >> 6, entry.stackAccess & 63)
}

function stepBackStore(dst: number, src: number, isRegister: boolean, entry: HistoryEntry | undefined): void {
  // The base of a store is a pointer: nobody follows it.
  if (tracked.has(dst)) throw LOST
  if (entry === undefined || entry.stackAccess < 0) return
  const frame = entry.stackAccess >> 6
  const slot = entry.stackAccess & 63
  if (!tracked.hasSlot(frame, slot)) return
  tracked.clearSlot(frame, slot)
  if (isRegister) tracked.set(src)
}

function stepBackAtomic(env: Verification, insn: number, entry: HistoryEntry | undefined): void {
  const dst = env.code.dstAt(insn)
  if (env.code.immAt(insn) === ATOMIC.LOAD_ACQUIRE) stepBackLoad(dst, entry)
  else stepBackStore(dst, env.code.srcAt(insn), true, entry)
}

function stepBackWide(dst: number, opcode: number): void {
  if (!tracked.has(dst)) return
  tracked.clear(dst)
  // LD_ABS and LD_IND give r0.
  if (opcode !== OP.LDDW) throw LOST
}

function stepBackJump(env: Verification, insn: number, after: number, entry: HistoryEntry | undefined): void {
  const { code } = env
  const opcode = code.opcodeAt(insn)
  if (opcode === OP.CALL) return stepBackCall(env, insn, after)
  if (opcode === OP.EXIT) return stepBackExit(env, after)
  if (code.isGoto(insn) || opcode === OP.MAY_GOTO) return
  tracked.mask = beforeBranch(tracked.mask, code.dstAt(insn), code.srcAt(insn), opcode)
  // The branch may have been the one that told the linked ones.
  followLinked(entry)
}

function stepBackCall(env: Verification, insn: number, after: number): void {
  const { code } = env
  if (code.isLocalCall(insn)) {
    const target = insn + 1 + code.immAt(insn)
    const subprogram = env.subprograms.find(({ start }) => start === target)
    if (subprogram?.global === true) {
      // It was verified apart: its result is any number.
      if ((tracked.mask & ARGUMENTS) !== 0) throw LOST
      tracked.clear(0)
      return
    }
    // From the first instruction of the function back to its caller.
    const mask = tracked.mask
    if ((mask & ~ARGUMENTS) !== 0 || hasSlots(tracked.frame)) throw LOST
    for (let i = 1; i <= 5; i++) {
      if ((mask & (1 << i)) === 0) continue
      tracked.clear(i)
      tracked.setIn(tracked.frame - 1, i)
    }
    tracked.frame--
    return
  }
  if (code.callsCallback(insn) && after !== insn + 1) {
    // From the callback's first instruction back to the helper that calls it.
    if ((tracked.mask & ~ARGUMENTS) !== 0 || hasSlots(tracked.frame)) throw LOST
    tracked.registers[tracked.frame] = 0
    tracked.frame--
    return
  }
  tracked.clear(0)
  if ((tracked.mask & ARGUMENTS) !== 0) throw LOST
  // The function ended with its tail call.
  if (code.immAt(insn) === TAIL_CALL && after !== insn + 1) enterFrame()
}

function enterFrame(): void {
  tracked.frame++
  if (tracked.frame >= MAX_FRAMES) throw LOST
  tracked.empty(tracked.frame)
}

function hasSlots(frame: number): boolean {
  return ((tracked.slots[2 * frame] as number) | (tracked.slots[2 * frame + 1] as number)) !== 0
}

/** From behind a call into the function that returned there. */
function stepBackExit(env: Verification, after: number): void {
  const { code } = env
  // What calls callbacks sets their arguments itself.
  if (after >= 0 && code.callsCallback(after)) tracked.registers[tracked.frame] = tracked.mask & ~ARGUMENTS
  if ((tracked.mask & ARGUMENTS) !== 0) throw LOST
  const resultIsFollowed = after - 1 >= 0 && code.isLocalCall(after - 1) && tracked.has(0)
  tracked.clear(0)
  enterFrame()
  if (resultIsFollowed) tracked.set(0)
}
