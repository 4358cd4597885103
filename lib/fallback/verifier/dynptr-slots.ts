/** Dynptrs live in two stack slots; a write to either destroys them, and what was taken from them. */
import { invalid } from './rejection.js'
import { ALL_DYNPTR, EMPTY_SLOT, type Frame, isDynptrSlot, mapRegisters, StackSlot } from './state.js'
import { cloneRegister, KIND, NOT_INIT, type Register } from './values/register.js'
import type { Verification } from './verification.js'

/** What dynptrs are made of. Slices of those of `ringbuf` die with their record. */
export type DynptrType = 'local' | 'ringbuf' | 'skb' | 'xdp' | 'skb_meta'

/**
 * Puts a dynptr into slots `index` (its start, at the lower address) and the one above.
 *
 * @param record reference to the record that must be submitted or discarded; `new`: it is acquired; 0: there is none
 */
export function placeDynptr(
  env: Verification,
  frame: Frame,
  index: number,
  type: DynptrType,
  record: number | 'new',
): void {
  const id = env.newId()
  const refId = record === 'new' ? env.newId() : record
  const part = (first: boolean): StackSlot => {
    const register = cloneRegister(NOT_INIT)
    register.kind = KIND.DYNPTR
    register.type = type
    register.first = first
    register.id = id
    register.refId = refId
    return new StackSlot(ALL_DYNPTR, register)
  }
  frame.stack[index] = part(true)
  frame.stack[index - 1] = part(false)
  env.log?.touchSlot(index)
  env.log?.touchSlot(index - 1)
  if (record === 'new') env.addReference('pointer', refId, undefined)
}

/** The part of a dynptr that starts at a slot; undefined: none does. */
export function dynptrAt(frame: Frame, index: number): Register | undefined {
  const slot = frame.stack[index]
  const above = frame.stack[index - 1]
  if (slot === undefined || above === undefined || !isDynptrSlot(slot) || !isDynptrSlot(above))
    return undefined
  return slot.spilled.first ? slot.spilled : undefined
}

/** Before a write to a slot. Dynptrs that must be released can't be overwritten. */
export function destroyDynptr(env: Verification, frame: Frame, index: number): void {
  const slot = frame.stack[index]
  if (slot === undefined || !isDynptrSlot(slot)) return
  const { spilled } = slot
  if (spilled.refId !== 0) {
    // Another dynptr of the same record would keep it; there is none without kfuncs.
    invalid('cannot overwrite referenced dynptr')
  }
  const start = spilled.first ? index : index + 1
  env.log?.touchSlot(start)
  env.log?.touchSlot(start - 1)
  frame.stack[start] = EMPTY_SLOT
  frame.stack[start - 1] = EMPTY_SLOT
  dropSlices(env, spilled.id)
}

function isSlice({ kind, type }: Register): boolean {
  return kind === KIND.MEM && (type === 'dynptr' || type === 'packet_dynptr')
}

/** Pointers that were taken from a dynptr are numbers now. */
export function dropSlices(env: Verification, id: number): void {
  mapRegisters(env.state, (register) => (isSlice(register) && register.frame === id ? env.remains : register))
}

/** Takes away a dynptr that was released. */
export function removeDynptr(env: Verification, refId: number): void {
  for (const frame of env.state.frames) {
    for (let i = 0; i < frame.stack.length; i++) {
      const slot = frame.stack[i]
      if (slot === undefined || !isDynptrSlot(slot) || slot.spilled.refId !== refId) continue
      dropSlices(env, slot.spilled.id)
      frame.stack[i] = EMPTY_SLOT
    }
  }
}
