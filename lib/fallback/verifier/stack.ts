/** Loads and stores of the stack: spilled registers, bytes, zeros; at known and at variable offsets. */
import { markPrecise } from './precision.js'
import { denied, EACCES, EFAULT, EINVAL, invalid, Rejection } from './rejection.js'
import {
  ALL_SPILL,
  BYTE,
  byteType,
  EMPTY_SLOT,
  type Frame,
  isSpecialSlot,
  isSpilled,
  isSpilledScalar,
  STACK_SIZE,
  StackSlot,
  withByte,
} from './state.js'
import { destroyDynptr } from './dynptr-slots.js'
import { withScalarId } from './linked.js'
import {
  cloneRegister,
  constantScalar,
  fitsBits,
  isKnownZero,
  KIND,
  NOT_INIT,
  type Register,
  UNKNOWN,
  ZERO,
} from './values/register.js'
import { constantNumber, smaxNumber, sminNumber } from './values/numbers.js'
import { isConst, tnumText } from './values/tnum.js'
import type { Verification } from './verification.js'

/** No variable offset may be as large. */
export const MAX_VARIABLE_OFFSET = 1 << 29

/** What a store stores: a register, or a constant. */
export type Stored = { readonly register: number } | { readonly constant: number } | undefined

export function slotAt(frame: Frame, slot: number): StackSlot {
  return frame.stack[slot] ?? EMPTY_SLOT
}

export function setSlot(frame: Frame, index: number, slot: StackSlot): void {
  const { stack } = frame
  while (stack.length <= index) stack.push(EMPTY_SLOT)
  stack[index] = slot
}

/** Slot that holds the byte at an offset from r10; negative: none. */
export function slotOf(offset: number): number {
  return (-offset - 1) >> 3
}

/** Checks that an access is within the 512 bytes. */
export function checkStackBounds(
  env: Verification,
  number: number,
  register: Register,
  offset: number,
  size: number,
  write: boolean,
): void {
  const verb = write ? ' write to' : ' read from'
  const constant = isConst(register)
  let least: number
  let end: number
  if (constant) {
    least = constantNumber(register) + offset
    end = least + size
  } else {
    const smin = sminNumber(register)
    const smax = smaxNumber(register)
    if (smax >= MAX_VARIABLE_OFFSET || smin <= -MAX_VARIABLE_OFFSET)
      denied(`invalid unbounded variable-offset${verb} stack R${number}`)
    least = smin + offset
    end = smax + offset + size
  }
  const frame = env.state.frames[register.frame] as Frame
  // What lies behind all that was written yet may be read by those alone who may know anything.
  const depth = write || env.mayLeak ? STACK_SIZE : frame.stack.length * 8
  let errno = 0
  if (least < -depth || least > -1) errno = EACCES
  else if (end > 0) errno = EINVAL
  else if (size < 0) errno = EFAULT
  if (errno !== 0) {
    throw new Rejection(
      errno,
      constant
        ? `invalid${verb} stack R${number} off=${least} size=${size}`
        : `invalid variable-offset${verb} stack R${number} var_off=${tnumText(register)} off=${offset} size=${size}`,
    )
  }
  growStack(env, frame, -least)
}

function growStack(env: Verification, frame: Frame, bytes: number): void {
  const slots = (bytes + 7) >> 3
  const { stack } = frame
  while (stack.length < slots) stack.push(EMPTY_SLOT)
  const subprogram = env.subprograms[frame.subprogram]
  if (subprogram !== undefined && subprogram.stackDepth < bytes) subprogram.stackDepth = bytes
}

function readSlot(env: Verification, frame: Frame, slot: number): void {
  env.stackLiveness.read(env.state, env.insn, frame.index, slot)
}

/** Loads into a register, or (undefined) only looks whether it may be loaded. @returns what was loaded */
export function loadStack(
  env: Verification,
  number: number,
  base: Register,
  offset: number,
  size: number,
): Register {
  const frame = env.state.frames[base.frame] as Frame
  if (isConst(base)) return loadFixed(env, frame, offset + constantNumber(base), size)
  checkStackRange(env, number, base, offset, size, false)
  return zeroOrUnknown(env, frame, sminNumber(base) + offset, smaxNumber(base) + offset + size)
}

function loadFixed(env: Verification, frame: Frame, offset: number, size: number): Register {
  const index = slotOf(offset)
  const slot = slotAt(frame, index)
  const { types, spilled } = slot
  readSlot(env, frame, index)
  env.log?.touchSlot(index)
  if (!isSpilled(slot)) {
    for (let i = 0; i < size; i++) readableByte(env, frame, offset, i, size)
    return zeroOrUnknown(env, frame, offset, offset + size)
  }
  const spillSize = sizeOfSpill(types)
  if (size === 8 && spillSize === 8) {
    // It got its id when it was spilled. What was a pointer then has none, and gets none.
    env.remember((frame.index << 6) | index)
    return spilled
  }
  if (spilled.kind !== KIND.SCALAR) denied('invalid size of register fill')
  if (size <= spillSize && isLowPart(offset, size)) {
    let filled = spilled
    if (size === 4 && spillSize === 4 && fitsBits(spilled, 32)) {
      filled = withScalarId(env, spilled)
      if (filled !== spilled) setSlot(frame, index, new StackSlot(types, filled))
    }
    env.remember((frame.index << 6) | index)
    if (fitsBits(filled, size * 8)) return filled
    const narrowed = cloneRegister(filled)
    narrowed.id = 0
    return narrowed
  }
  let spills = 0
  let zeros = 0
  for (let i = 0; i < size; i++) {
    const type = byteType(types, (-offset - 1 - i) & 7)
    if (type === BYTE.SPILL) spills++
    else if (type === BYTE.ZERO) zeros++
    else readableByte(env, frame, offset, i, size)
  }
  if (spills === size && isKnownZero(spilled)) {
    env.remember((frame.index << 6) | index)
    return ZERO
  }
  return zeros === size ? ZERO : UNKNOWN
}

/** Whether a load is of the bytes that hold the lowest bits of what was spilled. */
function isLowPart(offset: number, size: number): boolean {
  return offset % 8 === 0 && size < 8
}

function sizeOfSpill(types: number): number {
  let size = 1
  for (let i = 7; i > 0 && byteType(types, i - 1) === BYTE.SPILL; i--) size++
  return size
}

function readableByte(env: Verification, frame: Frame, offset: number, i: number, size: number): void {
  const at = -offset - 1 - i
  const type = byteType(slotAt(frame, at >> 3).types, at & 7)
  // Privileged programs may read what nobody wrote.
  if (type === BYTE.MISC || type === BYTE.ZERO || (type === BYTE.INVALID && env.mayLeak)) return
  denied(`invalid read from stack off ${offset}+${i} size ${size}`)
}

/** Zero if all bytes from `start` to `end` are. */
function zeroOrUnknown(env: Verification, frame: Frame, start: number, end: number): Register {
  for (let at = start; at < end; at++) {
    const index = -at - 1
    env.log?.touchSlot(index >> 3)
    if (byteType(slotAt(frame, index >> 3).types, index & 7) !== BYTE.ZERO) return UNKNOWN
  }
  return ZERO
}

/** Stores a register or constant; undefined: bytes of which nothing is known. */
export function storeStack(
  env: Verification,
  base: Register,
  offset: number,
  size: number,
  stored: Stored,
): void {
  const frame = env.state.frames[base.frame] as Frame
  if (isConst(base)) storeFixed(env, frame, offset + constantNumber(base), size, stored)
  else storeVariable(env, frame, sminNumber(base) + offset, smaxNumber(base) + offset + size, stored)
}

const SPILLABLE: ReadonlySet<number> = new Set([
  KIND.MAP_VALUE,
  KIND.STACK,
  KIND.CTX,
  KIND.PACKET,
  KIND.PACKET_META,
  KIND.PACKET_END,
  KIND.FLOW_KEYS,
  KIND.MAP_PTR,
  KIND.SOCKET,
  KIND.SOCK_COMMON,
  KIND.TCP_SOCK,
  KIND.XDP_SOCK,
  KIND.BTF_ID,
  KIND.BUF,
  KIND.MEM,
  KIND.FUNC,
  KIND.MAP_KEY,
  KIND.ARENA,
])

function storeFixed(env: Verification, frame: Frame, offset: number, size: number, stored: Stored): void {
  const index = slotOf(offset)
  const registers = env.registers
  if (!env.mayLeak) checkOverwritten(env, slotAt(frame, index), size)
  destroyDynptr(env, frame, index)
  env.log?.touchSlot(index)
  const number = stored !== undefined && 'register' in stored ? stored.register : -1
  let register = number >= 0 ? (registers[number] as Register) : undefined
  const constant = stored !== undefined && 'constant' in stored ? stored.constant : undefined
  noteStore(env, slotAt(frame, index).types, size, register)
  const aligned = offset % 8 === 0
  let isSpill = true
  if (register?.kind === KIND.SCALAR && aligned && env.capable) {
    const fits = fitsBits(register, size * 8)
    if (fits) {
      register = withScalarId(env, register)
      registers[number] = register
    }
    let spilled = register
    if (!fits && register.id !== 0) {
      spilled = cloneRegister(register)
      spilled.id = 0
    }
    spill(frame, index, spilled, size)
  } else if (constant !== undefined && aligned && env.capable) {
    spill(frame, index, constantScalar(constant >> 31, constant), size)
  } else if (register !== undefined && SPILLABLE.has(register.kind)) {
    if (size !== 8) denied('invalid size of register spill')
    if (frame !== env.frame && register.kind === KIND.STACK)
      invalid('cannot spill pointers to stack into stack frame of the caller')
    spill(frame, index, register, size)
  } else {
    isSpill = false
    storeBytes(env, frame, offset, size, register, constant, number)
  }
  if (aligned && size === 8) env.stackLiveness.write(frame.index, index)
  if (isSpill) env.remember((frame.index << 6) | index)
}

/** Parts of an address may not be replaced: what is left of it would tell of it. */
function checkOverwritten(env: Verification, slot: StackSlot, size: number): void {
  if (size < 8 && isSpilled(slot) && env.isSecret(slot.spilled))
    denied('attempt to corrupt spilled pointer on stack')
}

/** A load that comes ahead of a store could find what was there before: a barrier stands behind such a store, where that tells anything. */
function noteStore(env: Verification, types: number, size: number, stored: Register | undefined): void {
  const { speculation } = env
  if (speculation === undefined) return
  let tells = stored !== undefined && SPILLABLE.has(stored.kind)
  for (let i = 0; i < size && !tells; i++) {
    // As in Linux: the first bytes of the slot, wherever it is stored.
    const type = byteType(types, i)
    tells = type !== BYTE.MISC && type !== BYTE.ZERO
  }
  if (tells) speculation.barrierBehind[env.insn] = 1
}

function storeBytes(
  env: Verification,
  frame: Frame,
  offset: number,
  size: number,
  register: Register | undefined,
  constant: number | undefined,
  number: number,
): void {
  const index = slotOf(offset)
  let { types } = slotAt(frame, index)
  if (types >>> 28 === BYTE.SPILL || types >>> 28 >= BYTE.DYNPTR) types = scrubbed(types)
  let type: number = BYTE.MISC
  if ((register !== undefined && isKnownZero(register)) || constant === 0) {
    if (number >= 0) markPrecise(env, number)
    type = BYTE.ZERO
  }
  for (let i = 0; i < size; i++) types = withByte(types, (-offset - 1 - i) & 7, type)
  setSlot(frame, index, new StackSlot(types, NOT_INIT))
}

/** What is left of a byte when what was spilled there is gone. Zeros, and what nobody wrote, stay. */
function scrubByte(types: number, index: number): number {
  const type = byteType(types, index)
  return type === BYTE.ZERO || type === BYTE.INVALID ? types : withByte(types, index, BYTE.MISC)
}

function scrubbed(types: number): number {
  let result = types
  for (let i = 0; i < 8; i++) result = scrubByte(result, i)
  return result
}

function spill(frame: Frame, index: number, register: Register, size: number): void {
  if (size === 8) return setSlot(frame, index, new StackSlot(ALL_SPILL, register))
  let { types } = slotAt(frame, index)
  for (let i = 7; i >= 0; i--) types = i >= 8 - size ? withByte(types, i, BYTE.SPILL) : scrubByte(types, i)
  setSlot(frame, index, new StackSlot(types, register))
}

function storeVariable(env: Verification, frame: Frame, start: number, end: number, stored: Stored): void {
  const number = stored !== undefined && 'register' in stored ? stored.register : -1
  const zero =
    (number >= 0 && isKnownZero(env.register(number))) ||
    (stored !== undefined && 'constant' in stored && stored.constant === 0)
  for (let at = start; at < end; at++) destroyDynptr(env, frame, slotOf(at))
  let zeroCounts = false
  for (let at = start; at < end; at++) {
    const byte = -at - 1
    const slot = slotAt(frame, byte >> 3)
    env.log?.touchSlot(byte >> 3)
    const type = byteType(slot.types, byte & 7)
    if (zero && type === BYTE.SPILL && isSpilledScalar(slot) && isKnownZero(slot.spilled)) {
      zeroCounts = true
      continue
    }
    const stays = zero && type === BYTE.ZERO
    if (stays) zeroCounts = true
    const types = isSpilled(slot) || isSpecialSlot(slot) ? scrubbed(slot.types) : slot.types
    setSlot(
      frame,
      byte >> 3,
      new StackSlot(withByte(types, byte & 7, stays ? BYTE.ZERO : BYTE.MISC), NOT_INIT),
    )
  }
  if (zeroCounts && number >= 0) markPrecise(env, number)
}

/**
 * Checks that a helper, or a load at a variable offset, may read the bytes; where it writes them too, nothing is known of them afterwards.
 */
export function checkStackRange(
  env: Verification,
  number: number,
  base: Register,
  offset: number,
  size: number,
  write: boolean,
): void {
  checkStackBounds(env, number, base, offset, size, write)
  const frame = env.state.frames[base.frame] as Frame
  const constant = isConst(base)
  if (!constant && env.speculation !== undefined)
    denied(`R${number} variable offset stack access prohibited for !root, var_off=${tnumText(base)}`)
  const start = constant ? constantNumber(base) + offset : sminNumber(base) + offset
  const end = (constant ? start : smaxNumber(base) + offset) + size
  for (let at = start; at < end; at++) {
    const byte = -at - 1
    const slot = slotAt(frame, byte >> 3)
    const type = byteType(slot.types, byte & 7)
    if (type === BYTE.ZERO || (type === BYTE.INVALID && env.mayLeak)) {
      if (write)
        setSlot(frame, byte >> 3, new StackSlot(withByte(slot.types, byte & 7, BYTE.MISC), slot.spilled))
    } else if (isSpilled(slot) && type !== BYTE.MISC && !env.isSecret(slot.spilled)) {
      if (write) {
        setSlot(frame, byte >> 3, new StackSlot(scrubbed(slot.types), UNKNOWN))
      }
    } else if (type !== BYTE.MISC) {
      denied(
        constant
          ? `invalid read from stack R${number} off ${start}+${at - start} size ${size}`
          : `invalid read from stack R${number} var_off ${tnumText(base)}+${at - start} size ${size}`,
      )
    }
    readSlot(env, frame, byte >> 3)
  }
}

/** Refuses writes of a helper to bytes that hold a dynptr. */
export function checkNoDynptr(env: Verification, base: Register, offset: number, size: number): void {
  const frame = env.state.frames[base.frame] as Frame
  const start = constantNumber(base) + offset
  for (let at = start; at < start + size; at++) {
    const byte = -at - 1
    if (byteType(slotAt(frame, byte >> 3).types, byte & 7) === BYTE.DYNPTR)
      denied(`potential write to dynptr at off=${at} disallowed`)
  }
}
