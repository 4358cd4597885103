/**
 * Whether a path needn't be followed further, because one that is known to be safe covers it.
 *
 * A number that nobody needs to be precise covers every number; a precise one covers those within its ranges. Ids may differ, as
 * long as what is equal (or null together) in one state is so in the other.
 */
import {
  ALL_MISC,
  ALL_SPILL,
  BYTE,
  byteType,
  type Frame,
  FRAME_POINTER,
  frameInsn,
  REGISTERS,
  type StackSlot,
  type State,
} from './state.js'
import { KIND, type Register, UNKNOWN } from './values/register.js'
import { tnumContains, tnumEquals } from './values/tnum.js'
import { slt, ult, ult32 } from './values/wide.js'
import type { Verification } from './verification.js'

/** How alike states must be. */
export const COMPARE = {
  /** The older one covers the newer one. */
  COVERED: 0,
  /** Nothing has changed. */
  EXACT: 1,
  /** All numbers count, precise or not. */
  WITHIN: 2,
} as const

/** Ids of the older state and those of the newer one that stand for them. */
class IdMap {
  private readonly older: number[] = []
  private readonly newer: number[] = []
  private count = 0
  private temporary = 0

  reset(temporary: number): void {
    this.count = 0
    this.temporary = temporary
  }

  /** 0 is no id. */
  matches(older: number, newer: number): boolean {
    if ((older === 0) !== (newer === 0)) return false
    if (older === 0) return true
    for (let i = 0; i < this.count; i++) {
      if (this.older[i] === older) return this.newer[i] === newer
      if (this.newer[i] === newer) return false
    }
    this.older[this.count] = older
    this.newer[this.count++] = newer
    return true
  }

  /** An older number without an id isn't known to be equal to another: no id of the newer one breaks that. */
  matchesScalar(older: number, newer: number): boolean {
    return older === 0 || this.matches(older, newer === 0 ? ++this.temporary : newer)
  }
}

const ids = new IdMap()
/** Of the comparison under way: what follows from the privileges of who loads the program. */
let allPrecise = false
let mayReadAnything = true
let comparesLimits = false
/** Above all ids that programs use. */
const TEMPORARY = 0x4000_0000

export function statesEqual(env: Verification, older: State, newer: State, compare: number): boolean {
  const { frames } = older
  if (frames.length !== newer.frames.length || older.sleepable !== newer.sleepable) return false
  if (older.speculative && !newer.speculative) return false
  ids.reset(TEMPORARY)
  allPrecise = !env.capable
  mayReadAnything = env.mayLeak
  comparesLimits = env.speculation?.comparesLimits === true
  if (!referencesEqual(older, newer)) return false
  for (let i = 0; i < frames.length; i++) {
    const old = frames[i] as Frame
    const current = newer.frames[i] as Frame
    if (old.callSite !== current.callSite) return false
    const live = env.liveRegisters[frameInsn(older, i)] ?? 0
    if (!framesEqual(old, current, live, compare)) return false
  }
  return true
}

function referencesEqual(older: State, newer: State): boolean {
  if (older.references.length !== newer.references.length || older.activeLocks !== newer.activeLocks)
    return false
  if (older.rcuLocks !== newer.rcuLocks || older.preemptLocks !== newer.preemptLocks) return false
  return older.references.every((reference, i) => {
    const other = newer.references[i]
    return (
      other !== undefined &&
      other.kind === reference.kind &&
      other.owner === reference.owner &&
      ids.matches(reference.id, other.id)
    )
  })
}

function framesEqual(older: Frame, newer: Frame, live: number, compare: number): boolean {
  if (older.callbackDepth > newer.callbackDepth) return false
  for (let i = 0; i < REGISTERS; i++) {
    if ((live & (1 << i)) === 0 || i === FRAME_POINTER) continue
    const precise = (older.preciseRegisters & (1 << i)) !== 0
    if (!registersEqual(older.registers[i] as Register, newer.registers[i] as Register, compare, precise))
      return false
  }
  return stacksEqual(older, newer, compare)
}

function registersEqual(older: Register, newer: Register, compare: number, precise: boolean): boolean {
  if (compare === COMPARE.EXACT) return exactlyEqual(older, newer)
  const { kind } = older
  if (kind === KIND.NOT_INIT) return true
  if (kind !== newer.kind || older.flags !== newer.flags) return false
  switch (kind) {
    case KIND.SCALAR:
      if (comparesLimits) return sameScalar(older, newer) && ids.matchesScalar(older.id, newer.id)
      if (!precise && !allPrecise && compare === COMPARE.COVERED) return true
      if (older.id !== 0) {
        if (older.addedConst !== newer.addedConst) return false
        if (older.addedConst !== 0 && older.offset !== newer.offset) return false
      }
      return ids.matchesScalar(older.id, newer.id) && covers(older, newer)
    case KIND.MAP_VALUE:
    case KIND.MAP_KEY:
    case KIND.MEM:
    case KIND.BUF:
    case KIND.TP_BUFFER:
      return (
        older.offset === newer.offset &&
        sameObject(older, newer) &&
        covers(older, newer) &&
        ids.matches(older.id, newer.id) &&
        ids.matches(older.refId, newer.refId)
      )
    case KIND.PACKET:
    case KIND.PACKET_META:
      if (older.range < 0 || newer.range < 0 ? older.range !== newer.range : older.range > newer.range)
        return false
      return older.offset === newer.offset && ids.matches(older.id, newer.id) && covers(older, newer)
    default:
      return exactlyEqual(older, newer)
  }
}

function sameScalar(older: Register, newer: Register): boolean {
  return (
    older === newer || (older.offset === newer.offset && tnumEquals(older, newer) && sameRanges(older, newer))
  )
}

function sameObject(older: Register, newer: Register): boolean {
  return (
    older.range === newer.range &&
    older.frame === newer.frame &&
    older.map === newer.map &&
    older.mapUid === newer.mapUid &&
    older.type === newer.type &&
    older.struct === newer.struct &&
    older.first === newer.first
  )
}

function exactlyEqual(older: Register, newer: Register): boolean {
  if (older !== newer) {
    const same =
      older.kind === newer.kind &&
      older.flags === newer.flags &&
      older.offset === newer.offset &&
      older.addedConst === newer.addedConst &&
      sameObject(older, newer) &&
      tnumEquals(older, newer) &&
      sameRanges(older, newer)
    if (!same) return false
  }
  return ids.matches(older.id, newer.id) && ids.matches(older.refId, newer.refId)
}

function sameRanges(a: Register, b: Register): boolean {
  return (
    a.uminLo === b.uminLo &&
    a.umaxLo === b.umaxLo &&
    a.uminHi === b.uminHi &&
    a.umaxHi === b.umaxHi &&
    a.sminLo === b.sminLo &&
    a.smaxLo === b.smaxLo &&
    a.sminHi === b.sminHi &&
    a.smaxHi === b.smaxHi &&
    a.u32Min === b.u32Min &&
    a.u32Max === b.u32Max &&
    a.s32Min === b.s32Min &&
    a.s32Max === b.s32Max
  )
}

/** Whether all values of the newer number are values of the older one. */
function covers(older: Register, newer: Register): boolean {
  if (older === newer) return true
  return (
    !ult(newer.uminHi, newer.uminLo, older.uminHi, older.uminLo) &&
    !ult(older.umaxHi, older.umaxLo, newer.umaxHi, newer.umaxLo) &&
    !slt(newer.sminHi, newer.sminLo, older.sminHi, older.sminLo) &&
    !slt(older.smaxHi, older.smaxLo, newer.smaxHi, newer.smaxLo) &&
    !ult32(newer.u32Min, older.u32Min) &&
    !ult32(older.u32Max, newer.u32Max) &&
    newer.s32Min >= older.s32Min &&
    newer.s32Max <= older.s32Max &&
    tnumContains(older, newer)
  )
}

/** A number was stored in all of it. */
function isNumber({ types, spilled }: StackSlot): boolean {
  return types === ALL_SPILL && spilled.kind === KIND.SCALAR
}

function stacksEqual(older: Frame, newer: Frame, compare: number): boolean {
  const anyNumber = compare === COMPARE.COVERED && !allPrecise && !comparesLimits
  for (let i = 0; i < older.stack.length; i++) {
    const old = older.stack[i] as StackSlot
    const current = newer.stack[i]
    if (compare !== COMPARE.COVERED && old.types !== current?.types) return false
    // A slot that is the same object needs no look where its contents can't matter.
    if (old.types === 0 || (old.types === ALL_MISC && mayReadAnything)) {
      if (compare === COMPARE.EXACT) continue
      if (old.types === 0) continue
    }
    const precise = i < 32 ? older.preciseSlotsLow & (1 << i) : older.preciseSlotsHigh & (1 << (i - 32))
    // The most frequent case, told at once: any number will do.
    if (anyNumber && precise === 0 && isNumber(old) && current !== undefined && isNumber(current)) continue
    if (!slotsEqual(old, current, compare, precise !== 0)) return false
  }
  return true
}

/** What a slot gives when all of it is loaded, if that is a number. */
function numberIn(slot: StackSlot): Register | undefined {
  if (slot.types === ALL_SPILL && slot.spilled.kind === KIND.SCALAR) return slot.spilled
  for (let i = 0; i < 8; i++) {
    const type = byteType(slot.types, i)
    if (type !== BYTE.MISC && !(type === BYTE.INVALID && mayReadAnything)) return undefined
  }
  return UNKNOWN
}

function slotsEqual(
  older: StackSlot,
  newer: StackSlot | undefined,
  compare: number,
  precise: boolean,
): boolean {
  for (let i = 0; i < 8; i++) {
    const type = byteType(older.types, i)
    // What was never written, or could be anything, covers everything.
    if (type === BYTE.INVALID || (type === BYTE.MISC && mayReadAnything)) continue
    if (newer === undefined) return false
    if (i === 0 || byteIsFirstKnown(older.types, i)) {
      const old = numberIn(older)
      const number = numberIn(newer)
      if (old !== undefined && number !== undefined) return registersEqual(old, number, compare, precise)
    }
    const current = byteType(newer.types, i)
    if (type === BYTE.MISC && current === BYTE.ZERO) continue
    if (type !== current) return false
    if (i < 7) continue
    if (type === BYTE.SPILL) return registersEqual(older.spilled, newer.spilled, compare, precise)
    if (type === BYTE.ITER) {
      // In which turn it is doesn't count: that is how loops converge.
      const { spilled: a } = older
      const { spilled: b } = newer
      return (
        a.type === b.type &&
        a.first === b.first &&
        a.range === b.range &&
        a.flags === b.flags &&
        ids.matches(a.refId, b.refId)
      )
    }
    if (type === BYTE.IRQ) {
      const { spilled: a } = older
      const { spilled: b } = newer
      return a.type === b.type && ids.matches(a.refId, b.refId)
    }
    if (type === BYTE.DYNPTR) {
      const { spilled: a } = older
      const { spilled: b } = newer
      return a.type === b.type && a.first === b.first && a.flags === b.flags && ids.matches(a.refId, b.refId)
    }
  }
  return true
}

/** Whether bytes below `index` are all of those that cover everything. */
function byteIsFirstKnown(types: number, index: number): boolean {
  for (let i = 0; i < index; i++) {
    const type = byteType(types, i)
    if (type !== BYTE.INVALID && type !== BYTE.MISC) return false
  }
  return true
}
