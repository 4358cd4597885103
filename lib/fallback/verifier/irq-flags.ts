/** Flags of interrupts that are off: they lie in a stack slot from bpf_local_irq_save() to bpf_local_irq_restore(), and nest. */
import { accessMemory } from './memory-access.js'
import { denied, invalid } from './rejection.js'
import { setSlot, slotAt, slotOf } from './stack.js'
import {
  ALL_IRQ,
  BYTE,
  byteType,
  EMPTY_SLOT,
  type Frame,
  type Reference,
  StackSlot,
  type State,
} from './state.js'
import { constantNumber } from './values/numbers.js'
import { cloneRegister, KIND, NOT_INIT, type Register } from './values/register.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

/** By what functions flags are saved, and must be restored: on their own, or with a lock. */
export type IrqClass = 'native' | 'lock'

/** Why no flags can lie there; else the slot. */
function placeOf(register: Register): number | string {
  if (!isConst(register)) return 'irq_flag has to be at a constant offset'
  const offset = register.offset + constantNumber(register)
  return offset % 8 === 0 && offset < 0 ? slotOf(offset) : `cannot pass in irq_flag at an offset=${offset}`
}

function holdsFlags(slot: StackSlot): boolean {
  for (let i = 0; i < 8; i++) if (byteType(slot.types, i) === BYTE.IRQ) return true
  return false
}

export function saveFlags(env: Verification, number: number, register: Register, by: IrqClass): void {
  if (register.kind !== KIND.STACK) invalid(`arg#${number - 1} doesn't point to an irq flag on stack`)
  const frame = env.state.frames[register.frame] as Frame
  const place = placeOf(register)
  const expected = `expected uninitialized irq flag as arg#${number - 1}`
  if (typeof place === 'string') return invalid(expected, place)
  if (holdsFlags(slotAt(frame, place))) invalid(expected)
  accessMemory(env, { number, offset: 0, size: 8, write: true, stored: undefined })
  const id = env.newId()
  env.addReference('irq', id, undefined)
  const flags = cloneRegister(NOT_INIT)
  flags.kind = KIND.IRQ_FLAG
  flags.type = by
  flags.refId = id
  setSlot(frame, place, new StackSlot(ALL_IRQ, flags))
  env.stackLiveness.write(frame.index, place)
}

export function restoreFlags(env: Verification, number: number, register: Register, by: IrqClass): void {
  if (register.kind !== KIND.STACK) invalid(`arg#${number - 1} doesn't point to an irq flag on stack`)
  const { state } = env
  const frame = state.frames[register.frame] as Frame
  const place = placeOf(register)
  const expected = `expected an initialized irq flag as arg#${number - 1}`
  if (typeof place === 'string') return invalid(expected, place)
  const slot = slotAt(frame, place)
  if (slot.types !== ALL_IRQ) invalid(expected)
  env.stackLiveness.read(state, env.insn, frame.index, place)
  const { type, refId } = slot.spilled
  if (type !== by) invalid(`irq flag acquired by ${type ?? ''} kfuncs cannot be restored with ${by} kfuncs`)
  const last = lastSaved(state)
  if (last !== undefined && last.id !== refId)
    denied(`cannot restore irq state out of order, expected id=${last.id} acquired at insn_idx=${last.insn}`)
  state.references = state.references.filter((one) => one !== last)
  setSlot(frame, place, EMPTY_SLOT)
  env.stackLiveness.write(frame.index, place)
}

function lastSaved({ references }: State): Reference | undefined {
  return references.findLast(({ kind }) => kind === 'irq')
}

/** Whether interrupts are off. */
export function hasInterruptsOff({ references }: State): boolean {
  return references.some(({ kind }) => kind === 'irq')
}
