/** Conditional jumps: which ways are open, and what is known on each. */
import { CLASS } from '../../isa/opcodes.js'
import { BPF_PROGRAM_FLAGS } from '../../linux/program-types.js'
import { isTrusted } from './kernel-pointers.js'
import { collectLinked, syncLinked } from './linked.js'
import { holdsLock } from './local-types.js'
import { previousTurn, widen } from './loops.js'
import { notNull } from './nulls.js'
import { readRegister } from './operands.js'
import { markPrecise } from './precision.js'
import { denied, EFAULT, ENOMEM, invalid, Rejection } from './rejection.js'
import { speculateBranch } from './speculation.js'
import { mapRegisters, type Reference, type State } from './state.js'
import { keepInvariants } from './values/invariants.js'
import {
  AT_PACKET_END,
  BEYOND_PACKET_END,
  cloneRegister,
  FLAG,
  immediate,
  KIND,
  type Register,
  ZERO,
} from './values/register.js'
import { decide, JUMP, opposite, type Outcome, refine } from './values/ranges.js'
import { isConstZero } from './values/tnum.js'
import type { Verification } from './verification.js'

/** Offsets into packets have 16 bits. */
const MAX_PACKET_OFFSET = 0xffff

const TEST_INVARIANTS = BPF_PROGRAM_FLAGS.BPF_F_TEST_REG_INVARIANTS

/** @returns the slot at which this path goes on */
export function simulateJump(env: Verification): number {
  const { code, insn, state } = env
  const opcode = code.opcodeAt(insn)
  const operation = opcode & 0xf0
  if (operation === JUMP.MAY_GOTO) return mayGoto(env)
  if (operation > JUMP.JSLE) invalid(`invalid BPF_JMP/JMP32 opcode ${opcode.toString(16)}`)
  const wide = (opcode & 7) === CLASS.JMP
  const fromRegister = (opcode & 8) !== 0
  const dst = code.dstAt(insn)
  const src = code.srcAt(insn)
  const imm = code.immAt(insn)
  readRegister(env, dst)
  if ((fromRegister ? imm : src) !== 0) invalid('BPF_JMP/JMP32 uses reserved fields')
  if (
    fromRegister &&
    env.isSecret(readRegister(env, src)) &&
    !(isPacket(env.register(dst)) && isPacket(env.register(src)))
  )
    denied(`R${src} pointer comparison prohibited`)
  const target = insn + 1 + (code.offset[insn] as number)
  const left = env.register(dst)
  const right = fromRegister ? env.register(src) : immediate(imm)
  const outcome = isTaken(left, right, operation, wide)
  if (outcome !== -1) {
    // The branch is decided by values: they had to be just these.
    if (left.kind === KIND.SCALAR) markPrecise(env, dst)
    if (fromRegister && right.kind === KIND.SCALAR) markPrecise(env, src)
    speculateBranch(env, outcome === 1 ? insn + 1 : target, dst, fromRegister ? src : -1)
    env.log?.branched(env)
    return outcome === 1 ? target : insn + 1
  }
  const linked: number[] = []
  if (fromRegister && right.kind === KIND.SCALAR) collectLinked(state, right.id, linked)
  if (left.kind === KIND.SCALAR && !(fromRegister && right.id === left.id && right.kind === KIND.SCALAR))
    collectLinked(state, left.id, linked)
  if (linked.length > 1) env.remember(-1, linked)
  const other = env.push(target, insn)
  narrow(env, state, other, dst, fromRegister ? src : -1, operation, wide, linked)
  env.log?.branched(env)
  return insn + 1
}

function mayGoto(env: Verification): number {
  const { code, insn, state } = env
  if (code.dst[insn] !== 0 || code.src[insn] !== 0 || code.imm[insn] !== 0)
    invalid(`invalid may_goto imm ${code.immAt(insn)}`)
  const before = state.parent === undefined ? undefined : previousTurn(env, state.parent, insn)
  const other = env.push(insn + 1, insn, false, ENOMEM)
  other.mayGotoDepth++
  if (before !== undefined) widen(before, other)
  return insn + 1 + (code.offset[insn] as number)
}

/** Pointers of these kinds are known not to be null, where they can't be. */
const NEVER_NULL: ReadonlySet<number> = new Set([
  KIND.SOCKET,
  KIND.TCP_SOCK,
  KIND.MAP_VALUE,
  KIND.MAP_KEY,
  KIND.SOCK_COMMON,
  KIND.MEM,
  KIND.MAP_PTR,
])

function isTaken(left: Register, right: Register, operation: number, wide: boolean): Outcome {
  const leftIsNumber = left.kind === KIND.SCALAR
  const rightIsNumber = right.kind === KIND.SCALAR
  if (leftIsNumber && rightIsNumber) return decide(left, right, operation, wide)
  if (!leftIsNumber && !rightIsNumber) return wide ? packetOutcome(left, right, operation) : -1
  const one = leftIsNumber ? right : left
  const other = leftIsNumber ? left : right
  const isNull = wide ? isConstZero(other) : (other.valueLo | other.maskLo) === 0
  if (!isNull || !isNeverNull(one)) return -1
  if (operation === JUMP.JEQ) return 0
  return operation === JUMP.JNE ? 1 : -1
}

function isNeverNull(register: Register): boolean {
  const { kind, flags } = register
  if ((flags & FLAG.MAYBE_NULL) !== 0) return false
  if (kind === KIND.BTF_ID) return isTrusted(register)
  return NEVER_NULL.has(kind) && (kind !== KIND.MEM || (flags & FLAG.UNTRUSTED) === 0)
}

/** A comparison with the packet's end that was made before. */
function packetOutcome(left: Register, right: Register, operation: number): Outcome {
  let packet = left
  let comparison = operation
  if (right.kind === KIND.PACKET && left.kind === KIND.PACKET_END) {
    packet = right
    comparison = flipped(operation)
  } else if (!(left.kind === KIND.PACKET && right.kind === KIND.PACKET_END)) return -1
  if (packet.range >= 0) return -1
  switch (comparison) {
    case JUMP.JLE:
      if (packet.range === BEYOND_PACKET_END) return 0
      return -1
    case JUMP.JGT:
      return packet.range === BEYOND_PACKET_END ? 1 : -1
    case JUMP.JLT:
      return 0
    case JUMP.JGE:
      return 1
    default:
      return -1
  }
}

function flipped(operation: number): number {
  switch (operation) {
    case JUMP.JGT:
      return JUMP.JLT
    case JUMP.JLT:
      return JUMP.JGT
    case JUMP.JGE:
      return JUMP.JLE
    case JUMP.JLE:
      return JUMP.JGE
    default:
      return operation
  }
}

/** Both ways are open: what is known on each. */
function narrow(
  env: Verification,
  straight: State,
  taken: State,
  dst: number,
  src: number,
  operation: number,
  wide: boolean,
  linked: readonly number[],
): void {
  const { insn, code } = env
  const left = straight.current.registers[dst] as Register
  const right = src >= 0 ? (straight.current.registers[src] as Register) : undefined
  if (left.kind === KIND.SCALAR && (right === undefined || right.kind === KIND.SCALAR)) {
    const imm = code.immAt(insn)
    refineIn(env, straight, dst, src, imm, opposite(operation), wide, linked)
    refineIn(env, taken, dst, src, imm, operation, wide, linked)
    return
  }
  const isEquality = operation === JUMP.JEQ || operation === JUMP.JNE
  if (right !== undefined && wide && isEquality)
    comparePointers(left, right, operation === JUMP.JEQ ? taken : straight, dst, src)
  const isNull = right === undefined ? code.imm[insn] === 0 : right.kind === KIND.SCALAR && isConstZero(right)
  if (wide && isEquality && isNull && src < 0 && (left.flags & FLAG.MAYBE_NULL) !== 0) {
    // One id for all copies: they are null together.
    const nullTaken = operation === JUMP.JEQ
    markNull(env, taken, left, nullTaken)
    markNull(env, straight, left, !nullTaken)
    return
  }
  if (right !== undefined && wide && comparePacket(dst, src, straight, taken, operation)) return
  if (env.isSecret(left)) denied(`R${dst} pointer comparison prohibited`)
}

function refineIn(
  env: Verification,
  state: State,
  dst: number,
  src: number,
  imm: number,
  comparison: number,
  wide: boolean,
  linked: readonly number[],
): void {
  const { registers } = state.current
  const a = cloneRegister(registers[dst] as Register)
  // Compared with itself, it is narrowed by itself: Linux 6.18 follows both ways of `if r1 > r1`.
  const b = src === dst ? a : src >= 0 ? cloneRegister(registers[src] as Register) : immediate(imm)
  refine(a, b, comparison, wide)
  const kept = keepInvariants(a)
  if (!(keepInvariants(b) && kept) && (env.program.flags & TEST_INVARIANTS) !== 0)
    throw new Rejection(EFAULT, 'REG INVARIANTS VIOLATION')
  registers[dst] = a
  if (src >= 0) registers[src] = b
  if (linked.length < 2) return
  if (src >= 0 && b.id !== 0) syncLinked(state, b, linked)
  if (a.id !== 0) syncLinked(state, registers[dst], linked)
}

/** Of two pointers that are equal, one that isn't null tells that the other isn't either. */
function comparePointers(left: Register, right: Register, equal: State, dst: number, src: number): void {
  if (left.kind === KIND.SCALAR || right.kind === KIND.SCALAR) return
  const leftMaybe = (left.flags & FLAG.MAYBE_NULL) !== 0
  const rightMaybe = (right.flags & FLAG.MAYBE_NULL) !== 0
  if (leftMaybe === rightMaybe || left.kind === KIND.BTF_ID || right.kind === KIND.BTF_ID) return
  equal.current.registers[leftMaybe ? dst : src] = notNull(leftMaybe ? left : right)
}

/** Decides for all copies of a pointer whether it is null. */
export function markNull(env: Verification, state: State, register: Register, isNull: boolean): void {
  const { id, refId } = register
  if (isNull && refId !== 0 && refId === id) dropReference(state, id)
  mapRegisters(state, (one) => {
    if ((one.flags & FLAG.MAYBE_NULL) === 0 || one.id !== id || one.kind === KIND.SCALAR) return one
    if (isNull) return ZERO
    const known = notNull(one)
    // Values and objects with a lock: which one is locked, the id tells.
    if (!holdsLock(env.locals, known)) known.id = 0
    return known
  })
}

function dropReference(state: State, id: number): void {
  state.references = state.references.filter(
    (reference: Reference) => reference.kind !== 'pointer' || reference.id !== id,
  )
}

/** @returns whether a packet pointer is compared with the end, or metadata with the packet's start */
function comparePacket(dst: number, src: number, straight: State, taken: State, operation: number): boolean {
  const { registers } = straight.current
  const left = registers[dst] as Register
  const right = registers[src] as Register
  const isEnd = (packet: Register, end: Register): boolean =>
    (packet.kind === KIND.PACKET && end.kind === KIND.PACKET_END) ||
    (packet.kind === KIND.PACKET_META && isStart(end))
  const reversed = !isEnd(left, right)
  if (reversed && !isEnd(right, left)) return false
  const packet = reversed ? right : left
  const number = reversed ? src : dst
  switch (reversed ? flipped(operation) : operation) {
    case JUMP.JGT:
      found(straight, packet, false)
      markEnd(taken, number, true)
      return true
    case JUMP.JLT:
      found(taken, packet, true)
      markEnd(straight, number, false)
      return true
    case JUMP.JGE:
      found(straight, packet, true)
      markEnd(taken, number, false)
      return true
    case JUMP.JLE:
      found(taken, packet, false)
      markEnd(straight, number, true)
      return true
    default:
      return false
  }
}

function isPacket({ kind }: Register): boolean {
  return kind === KIND.PACKET || kind === KIND.PACKET_META || kind === KIND.PACKET_END
}

/** The packet's start itself: no offset. */
function isStart(register: Register): boolean {
  return register.kind === KIND.PACKET && register.offset === 0 && isConstZero(register)
}

/**
 * All packet pointers with the same base reach as far as the one that was compared.
 *
 * @param open it is below the end, not at it: one byte more
 */
function found(state: State, packet: Register, open: boolean): void {
  const { offset } = packet
  if (offset <= 0) return
  if (packet.umaxHi !== 0 || packet.umaxLo >>> 0 > MAX_PACKET_OFFSET) return
  if (offset + (packet.umaxLo >>> 0) > MAX_PACKET_OFFSET) return
  const reach = offset + (open ? 1 : 0)
  mapRegisters(state, (register) => {
    if (register.kind !== packet.kind || register.id !== packet.id || register.range >= reach) return register
    const longer = cloneRegister(register)
    longer.range = reach
    return longer
  })
}

/** Only the pointer that was compared is known to be at or behind the end. */
function markEnd(state: State, number: number, beyond: boolean): void {
  const { registers } = state.current
  const register = registers[number] as Register
  if (register.kind !== KIND.PACKET) return
  const marked = cloneRegister(register)
  marked.range = beyond ? BEYOND_PACKET_END : AT_PACKET_END
  registers[number] = marked
}
