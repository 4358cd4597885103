/** Loops whose number of turns isn't known: numbers that nobody needs to be precise become any number, so that a turn covers the next. */
import { isSpilled, type State, StackSlot } from './state.js'
import { KIND, type Register, UNKNOWN } from './values/register.js'
import { tnumEquals } from './values/tnum.js'
import type { Verification } from './verification.js'

/** The state of the turn before, at an instruction where one is always kept. */
export function previousTurn(env: Verification, state: State, insn: number): State | undefined {
  const list = env.explored[env.placeOf(state, insn)] ?? []
  for (let i = list.length - 1; i >= 0; i--) {
    const kept = list[i]
    if (kept === undefined || kept.insn !== insn || kept.branches === 0) continue
    if (kept.depth >= state.depth || kept.frames.length !== state.frames.length) continue
    if (kept.frames.every((frame, index) => frame.callSite === state.frames[index]?.callSite)) return kept
  }
  return undefined
}

/** Forgets numbers that changed since the turn before, and weren't needed. */
export function widen(before: State, state: State): void {
  before.frames.forEach((older, index) => {
    const newer = state.frames[index]
    if (newer === undefined) return
    newer.registers.forEach((register, i) => {
      const precise = (older.preciseRegisters & (1 << i)) !== 0
      newer.registers[i] = widened(older.registers[i], register, precise)
    })
    for (let i = 0; i < older.stack.length; i++) {
      const slot = newer.stack[i]
      const old = older.stack[i]
      if (slot === undefined || old === undefined || !isSpilled(slot) || !isSpilled(old)) continue
      const precise = i < 32 ? older.preciseSlotsLow & (1 << i) : older.preciseSlotsHigh & (1 << (i - 32))
      const changed = widened(old.spilled, slot.spilled, precise !== 0)
      if (changed !== slot.spilled) newer.stack[i] = new StackSlot(slot.types, changed)
    }
  })
}

function widened(older: Register | undefined, newer: Register, precise: boolean): Register {
  if (older === newer || older?.kind !== KIND.SCALAR || newer.kind !== KIND.SCALAR || precise) return newer
  return isUnchanged(older, newer) ? newer : UNKNOWN
}

function isUnchanged(a: Register, b: Register): boolean {
  return (
    tnumEquals(a, b) &&
    a.uminLo === b.uminLo &&
    a.uminHi === b.uminHi &&
    a.umaxLo === b.umaxLo &&
    a.umaxHi === b.umaxHi &&
    a.sminLo === b.sminLo &&
    a.sminHi === b.sminHi &&
    a.smaxLo === b.smaxLo &&
    a.smaxHi === b.smaxHi &&
    a.u32Min === b.u32Min &&
    a.u32Max === b.u32Max &&
    a.s32Min === b.s32Min &&
    a.s32Max === b.s32Max &&
    (a.id === 0) === (b.id === 0)
  )
}
