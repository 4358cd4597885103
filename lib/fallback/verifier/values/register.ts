/**
 * What the verifier knows of a register: its kind, and for numbers (and variable offsets of pointers) a tnum and four ranges.
 *
 * A register that is part of a state is never changed: whoever changes one makes a clone, so states share registers and copying a
 * state copies references.
 */
import type { StructType } from '../kernel-types.js'
import type { VerifierMap } from '../program.js'
import { Tnum } from './tnum.js'
import { S32_MAX, S32_MIN, S64_MAX_HI, S64_MAX_LO, S64_MIN_HI, S64_MIN_LO } from './wide.js'

/** What a register holds. */
export const KIND = {
  NOT_INIT: 0,
  SCALAR: 1,
  CTX: 2,
  MAP_PTR: 3,
  MAP_VALUE: 4,
  MAP_KEY: 5,
  STACK: 6,
  PACKET_META: 7,
  PACKET: 8,
  PACKET_END: 9,
  FLOW_KEYS: 10,
  SOCKET: 11,
  SOCK_COMMON: 12,
  TCP_SOCK: 13,
  TP_BUFFER: 14,
  XDP_SOCK: 15,
  BTF_ID: 16,
  MEM: 17,
  BUF: 18,
  FUNC: 19,
  DYNPTR: 20,
  /** In stack slots alone. */
  ITERATOR: 21,
  IRQ_FLAG: 22,
  /** Into an arena: any access is allowed, and what isn't there is zero. */
  ARENA: 23,
} as const

/** Whether an iterator has elements left: its `range`. Its turn is `frame`. */
export const ITERATION = { ACTIVE: 0, DRAINED: 1 } as const

/** A set of {@link KIND}: a bit for each. */
export function kindMask(kinds: readonly number[]): number {
  return kinds.reduce((mask, kind) => mask | (1 << kind), 0)
}

/** Properties of pointers, as bits. */
export const FLAG = {
  MAYBE_NULL: 1 << 0,
  RDONLY: 1 << 1,
  /** A ring-buffer record: what bpf_ringbuf_reserve() gave. */
  RINGBUF: 1 << 2,
  USER: 1 << 3,
  PERCPU: 1 << 4,
  UNTRUSTED: 1 << 5,
  TRUSTED: 1 << 6,
  RCU: 1 << 7,
  /** Made by the program: bpf_obj_new(). */
  ALLOC: 1 << 8,
  /** An object that a graph owns: it may be used, not kept. */
  NON_OWNING: 1 << 9,
} as const

/** Packet pointers that were compared with the end: at it, or behind it. */
export const AT_PACKET_END = -1
export const BEYOND_PACKET_END = -2

export class Register extends Tnum {
  /** One of {@link KIND}. */
  kind: number = KIND.NOT_INIT
  /** Bits of {@link FLAG}. */
  flags = 0
  /** Of a pointer: its constant offset. Of a linked scalar: how much more it is than the one that it is linked to. */
  offset = 0
  /** Scalars with the same id are equal; pointers with the same id have the same base or are null together. */
  id = 0
  /** Scalar: it is linked to those of its id by `offset`, added with so many bits: 32 or 64. 0: it is equal to them. */
  addedConst = 0
  /** Id of the reference that must be released; 0: none. */
  refId = 0
  /** Packet pointer: bytes that may be accessed behind it. Memory: its size. */
  range = 0
  /** Stack pointer: index of the frame. Function: number of the sub-program. */
  frame = 0
  map: VerifierMap | undefined = undefined
  /** Distinguishes inner maps that came of different look-ups. */
  mapUid = 0
  /** Kernel object, or one that the program made: its type. */
  struct: StructType | undefined = undefined
  /** Dynptr: what it is made of. */
  type: string | undefined = undefined
  /** Dynptr slot: the one with the lower address. Dynptrs that are arguments of callbacks have no slots. */
  first = false

  sminHi = 0
  sminLo = 0
  smaxHi = 0
  smaxLo = 0
  uminHi = 0
  uminLo = 0
  umaxHi = 0
  umaxLo = 0
  s32Min = 0
  s32Max = 0
  /** As int32. */
  u32Min = 0
  u32Max = 0
}

export function cloneRegister(from: Register): Register {
  const to = new Register()
  to.kind = from.kind
  to.flags = from.flags
  to.offset = from.offset
  to.id = from.id
  to.addedConst = from.addedConst
  to.refId = from.refId
  to.range = from.range
  to.frame = from.frame
  to.map = from.map
  to.mapUid = from.mapUid
  to.struct = from.struct
  to.type = from.type
  to.first = from.first
  copyValue(to, from)
  return to
}

/** Copies tnum and ranges. */
export function copyValue(to: Register, from: Register): void {
  to.valueHi = from.valueHi
  to.valueLo = from.valueLo
  to.maskHi = from.maskHi
  to.maskLo = from.maskLo
  copyRanges64(to, from)
  to.s32Min = from.s32Min
  to.s32Max = from.s32Max
  to.u32Min = from.u32Min
  to.u32Max = from.u32Max
}

export function copyRanges64(to: Register, from: Register): void {
  to.sminHi = from.sminHi
  to.sminLo = from.sminLo
  to.smaxHi = from.smaxHi
  to.smaxLo = from.smaxLo
  to.uminHi = from.uminHi
  to.uminLo = from.uminLo
  to.umaxHi = from.umaxHi
  to.umaxLo = from.umaxLo
}

export const NOT_INIT: Register = new Register()

/** A number of which nothing is known. */
export function unknownScalar(): Register {
  const register = new Register()
  register.kind = KIND.SCALAR
  setUnknown(register)
  return register
}

/** Shared: scalars without ids are alike. */
export const UNKNOWN: Register = unknownScalar()

/** A known 64-bit number. */
export function constantScalar(hi: number, lo: number): Register {
  const register = new Register()
  register.kind = KIND.SCALAR
  setConstant(register, hi, lo)
  return register
}

export const ZERO: Register = constantScalar(0, 0)

const IMMEDIATE: Register = constantScalar(0, 0)

/** A 32-bit immediate, sign-extended, as an operand: it holds until the next one is asked for. */
export function immediate(imm: number): Register {
  setConstant(IMMEDIATE, imm >> 31, imm)
  return IMMEDIATE
}

/** A pointer with no offset. */
export function pointer(kind: number, flags = 0): Register {
  const register = new Register()
  register.kind = kind
  register.flags = flags
  return register
}

export function setUnknown(register: Register): void {
  register.valueHi = register.valueLo = 0
  register.maskHi = register.maskLo = -1
  setUnbounded64(register)
  setUnbounded32(register)
}

export function setUnbounded64(register: Register): void {
  setUnboundedSigned(register)
  setUnboundedUnsigned(register)
}

export function setUnboundedSigned(register: Register): void {
  register.sminHi = S64_MIN_HI
  register.sminLo = S64_MIN_LO
  register.smaxHi = S64_MAX_HI
  register.smaxLo = S64_MAX_LO
}

export function setUnboundedUnsigned(register: Register): void {
  register.uminHi = register.uminLo = 0
  register.umaxHi = register.umaxLo = -1
}

export function setUnbounded32(register: Register): void {
  register.s32Min = S32_MIN
  register.s32Max = S32_MAX
  register.u32Min = 0
  register.u32Max = -1
}

export function setConstant(register: Register, hi: number, lo: number): void {
  register.valueHi = register.sminHi = register.smaxHi = register.uminHi = register.umaxHi = hi
  register.valueLo = register.sminLo = register.smaxLo = register.uminLo = register.umaxLo = lo
  register.maskHi = register.maskLo = 0
  register.s32Min = register.s32Max = register.u32Min = register.u32Max = lo
}

/** Sets ranges; unknown: to all numbers. */
export function setS32(to: Register, min: number, max: number, unknown: boolean): void {
  to.s32Min = unknown ? S32_MIN : min
  to.s32Max = unknown ? S32_MAX : max
}

export function setU32(to: Register, min: number, max: number, unknown: boolean): void {
  to.u32Min = unknown ? 0 : min
  to.u32Max = unknown ? -1 : max
}

export function setSigned(
  to: Register,
  minHi: number,
  minLo: number,
  maxHi: number,
  maxLo: number,
  unknown: boolean,
): void {
  to.sminHi = unknown ? S64_MIN_HI : minHi
  to.sminLo = unknown ? S64_MIN_LO : minLo
  to.smaxHi = unknown ? S64_MAX_HI : maxHi
  to.smaxLo = unknown ? S64_MAX_LO : maxLo
}

export function setUnsigned(
  to: Register,
  minHi: number,
  minLo: number,
  maxHi: number,
  maxLo: number,
  unknown: boolean,
): void {
  to.uminHi = unknown ? 0 : minHi
  to.uminLo = unknown ? 0 : minLo
  to.umaxHi = unknown ? -1 : maxHi
  to.umaxLo = unknown ? -1 : maxLo
}

/** Number of values that a register with these facts needs: 32 or fewer bits, or 64. */
export function fitsBits(register: Register, bits: number): boolean {
  if (bits >= 64) return true
  if (register.umaxHi !== 0) return false
  return bits === 32 || register.umaxLo >>> 0 < 2 ** bits
}

export function isPacketPointer(register: Register): boolean {
  return register.kind === KIND.PACKET || register.kind === KIND.PACKET_META
}

export function isKnownZero(register: Register): boolean {
  return (
    register.kind === KIND.SCALAR &&
    (register.maskLo | register.maskHi | register.valueLo | register.valueHi) === 0
  )
}
