/**
 * Open-coded iterators: they live in stack slots from bpf_iter_…_new() to bpf_iter_…_destroy(), and each bpf_iter_…_next() forks the path into one
 * that has an element and one that has none.
 */
import { ITERATOR_SIZES } from '../../linux/kfuncs.js'
import { sizeOf } from '../../btf/query.js'
import { isInRcuSection } from './kernel-pointers.js'
import { previousTurn, widen } from './loops.js'
import { markNotNull } from './nulls.js'
import { accessMemory } from './memory-access.js'
import { invalid, Unmodelled, ENOMEM } from './rejection.js'
import { releaseReference } from './references.js'
import { slotOf } from './stack.js'
import { ALL_ITER, EMPTY_SLOT, type Frame, isIteratorSlot, StackSlot, type State } from './state.js'
import { cloneRegister, FLAG, ITERATION, KIND, NOT_INIT, type Register, ZERO } from './values/register.js'
import { constantNumber } from './values/numbers.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

/** Where an iterator is on the stack: slots from `slot` down to `slot - count + 1`, ascending addresses. */
export interface IteratorPlace {
  readonly frame: number
  readonly slot: number
  readonly count: number
}

/** The slots that an argument points to. */
function placeOf(env: Verification, number: number, register: Register, iterator: string): IteratorPlace {
  if (register.kind !== KIND.STACK) invalid(`arg#${number - 1} expected pointer to an iterator on stack`)
  if (!isConst(register)) invalid('iter has to be at a constant offset')
  const offset = register.offset + constantNumber(register)
  if (offset % 8 !== 0) invalid(`cannot pass in iter at an offset=${offset}`)
  return { frame: register.frame, slot: slotOf(offset), count: slotsOf(env, iterator) }
}

function slotsOf(env: Verification, iterator: string): number {
  const { btf, composite, id } = env.kernel.structs.named(`bpf_iter_${iterator}`)
  const bytes = btf === undefined || composite === undefined ? ITERATOR_SIZES[iterator] : sizeOf(btf, id)
  if (bytes === undefined) throw new Unmodelled(`size of struct bpf_iter_${iterator}`)
  return bytes / 8
}

/** bpf_iter_…_new(): the slots must be free. */
export function createIterator(
  env: Verification,
  number: number,
  register: Register,
  iterator: string,
  isProtected: boolean,
): void {
  const place = placeOf(env, number, register, iterator)
  const { slot, count } = place
  const frame = env.state.frames[place.frame] as Frame
  for (let i = 0; i < count; i++) {
    const there = frame.stack[slot - i]
    if (there !== undefined && isIteratorSlot(there))
      invalid(`expected uninitialized iter_${iterator} as arg #${number - 1}`)
  }
  for (let i = 0; i < count; i++)
    accessMemory(env, { number, offset: 8 * i, size: 8, write: true, stored: undefined })
  const reference = env.newId()
  env.addReference('pointer', reference, undefined)
  const trust = isProtected ? (isInRcuSection(env) ? FLAG.RCU : FLAG.UNTRUSTED) : 0
  for (let i = 0; i < count; i++) {
    const part = cloneRegister(NOT_INIT)
    part.kind = KIND.ITERATOR
    part.type = iterator
    part.first = i === 0
    part.flags = trust
    if (i === 0) part.refId = reference
    frame.stack[slot - i] = new StackSlot(ALL_ITER, part)
    env.stackLiveness.write(frame.index, slot - i)
  }
}

/** The iterator that is passed on: it must be there. */
export function useIterator(
  env: Verification,
  number: number,
  register: Register,
  iterator: string,
  kfunc: string,
): IteratorPlace {
  const place = placeOf(env, number, register, iterator)
  const { slot, count } = place
  const frame = env.state.frames[place.frame] as Frame
  for (let i = 0; i < count; i++) {
    const part = slot - i < 0 ? undefined : frame.stack[slot - i]
    const isRight =
      part !== undefined &&
      isIteratorSlot(part) &&
      part.spilled.type === iterator &&
      part.spilled.first === (i === 0)
    if (!isRight) invalid(`expected an initialized iter_${iterator} as arg #${number - 1}`)
    if ((part.spilled.flags & FLAG.UNTRUSTED) !== 0) invalid(`expected an RCU CS when using ${kfunc}`)
    env.stackLiveness.read(env.state, env.insn, frame.index, slot - i)
  }
  return place
}

export function iteratorAt(state: State, { frame, slot }: IteratorPlace): Register {
  const { stack } = state.frames[frame] as Frame
  return (stack[slot] ?? EMPTY_SLOT).spilled
}

function setIterator(state: State, { frame, slot }: IteratorPlace, iterator: Register): void {
  const { stack } = state.frames[frame] as Frame
  stack[slot] = new StackSlot(ALL_ITER, iterator)
}

/** bpf_iter_…_destroy(). */
export function destroyIterator(env: Verification, place: IteratorPlace): void {
  const { slot, count } = place
  const frame = env.state.frames[place.frame] as Frame
  const { refId } = iteratorAt(env.state, place)
  for (let i = 0; i < count; i++) {
    frame.stack[slot - i] = EMPTY_SLOT
    env.stackLiveness.write(frame.index, slot - i)
  }
  releaseReference(env, refId)
}

/**
 * bpf_iter_…_next(), when r0 holds what it returns: the path goes on with an element, one turn deeper, where that wasn't excluded; and without one.
 */
export function stepIterator(env: Verification, place: IteratorPlace): void {
  const { state, insn } = env
  const iterator = iteratorAt(state, place)
  if (iterator.range === ITERATION.ACTIVE) {
    const before = state.parent === undefined ? undefined : previousTurn(env, state.parent, insn)
    const other = env.push(insn + 1, insn, false, ENOMEM)
    const deeper = cloneRegister(iterator)
    deeper.frame = iterator.frame + 1
    setIterator(other, place, deeper)
    if (before !== undefined) widen(before, other)
    const { registers } = other.current
    registers[0] = markNotNull(registers[0] as Register)
  }
  const drained = cloneRegister(iterator)
  drained.range = ITERATION.DRAINED
  setIterator(state, place, drained)
  state.current.registers[0] = ZERO
}

/** Whether iterators that go on in the older state are in other turns in the newer one: the loop makes progress. */
export function turnsDiffer(older: State, newer: State): boolean {
  return older.frames.some((frame, index) =>
    frame.stack.some((slot, i) => {
      if (!isIteratorSlot(slot) || slot.spilled.range !== ITERATION.ACTIVE) return false
      return newer.frames[index]?.stack[i]?.spilled.frame !== slot.spilled.frame
    }),
  )
}

/** Whether the iterator of the bpf_iter_…_next() at hand goes on. */
export function isActive({ state, registers }: Verification): boolean {
  const register = registers[1] as Register
  if (register.kind !== KIND.STACK) return false
  const place = { frame: register.frame, slot: slotOf(register.offset + constantNumber(register)), count: 1 }
  return iteratorAt(state, place).range === ITERATION.ACTIVE
}
