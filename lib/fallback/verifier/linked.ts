/** Numbers that are known to be equal, or a constant apart: what a branch tells of one, all learn. */
import { FRAME_POINTER, isSpilledScalar, type StackSlot, StackSlot as Slot, type State } from './state.js'
import { syncBounds, zeroExtend32 } from './values/bounds.js'
import { cloneRegister, constantScalar, copyValue, KIND, type Register } from './values/register.js'
import { computeScalar, ALU } from './values/scalar-alu.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

/** Bits of an entry: frame << 8 | slot << 1 | 1, or frame << 8 | register << 1. */
const MAX_LINKED = 6

export function linkedFrame(entry: number): number {
  return entry >> 8
}

export function linkedIndex(entry: number): number {
  return (entry & 0xff) >> 1
}

export function linkedIsSlot(entry: number): boolean {
  return (entry & 1) !== 0
}

/** Registers and slots that have an id, up to as many as Linux follows; the others lose theirs. */
export function collectLinked(state: State, id: number, into: number[]): void {
  if (id === 0) return
  state.frames.forEach((frame, index) => {
    const { registers, stack } = frame
    for (let i = 0; i < FRAME_POINTER; i++) {
      const register = registers[i] as Register
      if (register.kind !== KIND.SCALAR || register.id !== id) continue
      if (into.length < MAX_LINKED) into.push((index << 8) | (i << 1))
      else registers[i] = withoutId(register)
    }
    for (let i = 0; i < stack.length; i++) {
      const slot = stack[i] as StackSlot
      if (!isSpilledScalar(slot) || slot.spilled.id !== id) continue
      if (into.length < MAX_LINKED) into.push((index << 8) | (i << 1) | 1)
      else stack[i] = new Slot(slot.types, withoutId(slot.spilled))
    }
  })
}

function withoutId(register: Register): Register {
  const clone = cloneRegister(register)
  clone.id = 0
  clone.offset = 0
  clone.addedConst = 0
  return clone
}

export { withoutId }

/** Tells those that are linked to a register what became known of it. */
export function syncLinked(state: State, known: Register, linked: readonly number[]): void {
  for (const entry of linked) {
    const frame = state.frames[linkedFrame(entry)]
    if (frame === undefined) continue
    const index = linkedIndex(entry)
    if (linkedIsSlot(entry)) {
      const slot = frame.stack[index]
      if (slot === undefined || slot.spilled === known) continue
      const learned = learn(slot.spilled, known)
      if (learned !== slot.spilled) frame.stack[index] = new Slot(slot.types, learned)
    } else {
      const register = frame.registers[index] as Register
      if (register !== known) frame.registers[index] = learn(register, known)
    }
  }
}

function learn(register: Register, known: Register): Register {
  if (register.kind !== KIND.SCALAR || register.id === 0 || register.id !== known.id) return register
  // A sum of 32 bits and one of 64 needn't be the same distance apart.
  if (register.addedConst !== known.addedConst && register.addedConst !== 0 && known.addedConst !== 0)
    return register
  const clone = cloneRegister(register)
  copyValue(clone, known)
  const distance = linkedOffset(register) - linkedOffset(known)
  if (distance === 0) return clone
  computeScalar(clone, ALU.ADD, constantScalar(distance < 0 ? -1 : 0, distance | 0), true)
  if (register.addedConst === 32 || known.addedConst === 32) zeroExtend32(clone)
  syncBounds(clone)
  return clone
}

function linkedOffset(register: Register): number {
  return register.addedConst === 0 ? 0 : register.offset
}

/** Gives a number an id, so that its copies can be told to be equal. @returns the register with which it is to be replaced */
export function withScalarId(env: Verification, register: Register): Register {
  if (register.kind !== KIND.SCALAR) return register
  const needsId = (register.id === 0 || register.addedConst !== 0) && !isConst(register)
  if (!needsId && register.addedConst === 0) return register
  const clone = cloneRegister(register)
  if (register.addedConst !== 0) {
    clone.id = 0
    clone.offset = 0
    clone.addedConst = 0
  }
  if (clone.id === 0 && !isConst(clone)) clone.id = env.newId()
  return clone
}
