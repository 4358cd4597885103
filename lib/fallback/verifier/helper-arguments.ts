/** Arguments of helpers: types of registers, memory and its size, locks, dynptrs. */
import type { ArgumentType, HelperPrototype } from '../../linux/helper-prototypes.js'
import { BPF_MAP_FLAGS, BPF_MAP_TYPE as M } from '../../linux/map-types.js'
import { destroyDynptr, dynptrAt } from './dynptr-slots.js'
import { isUntoldNode } from './local-types.js'
import { checkField, checkNotComparing, lock, noteMap, unlock } from './locks.js'
import { mayAccessPacket } from './memory-access.js'
import { checkNoOffset } from './pointer-offsets.js'
import { checkMemory, checkSizedMemory } from './memory-argument.js'
import { readRegister } from './operands.js'
import { markPrecise, markSlotPrecise } from './precision.js'
import { checkExchanged, exchangedField } from './kptrs.js'
import type { SpecialField, VerifierMap } from './program.js'
import { denied, EINVAL, invalid, Rejection, Unmodelled } from './rejection.js'
import { holdsStruct } from './struct-walk.js'
import { checkStackRange, slotAt, slotOf } from './stack.js'
import { BYTE, byteType, isSpilledScalar, type Frame } from './state.js'
import { kindName, typeName } from './type-names.js'
import { FLAG, isKnownZero, isPacketPointer, KIND, type Register } from './values/register.js'
import { constantNumber, umaxNumber } from './values/numbers.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

const SPIN_LOCK = 93
/** Two slots of the stack. */
const DYNPTR_BYTES = 16

/** What the arguments tell of the call. */
export class CallFacts {
  map: VerifierMap | undefined = undefined
  mapUid = 0
  /** Key of an array, if it is known. */
  key = -1
  /** Reference of an argument. */
  refId = 0
  /** Register whose reference is released. */
  released = 0
  /** Size of what is returned. */
  size = 0
  /** Largest size of memory that was passed. */
  largest = 0
  callback = -1
  dynptr: Register | undefined = undefined
  /** Pointer in a map's value that is exchanged. */
  kptr: SpecialField | undefined = undefined
  /** Per-CPU object that was passed. */
  object: Register | undefined = undefined
  /** To be done when all arguments are fine: what the helper writes. */
  readonly writes: (() => void)[] = []
}

type Accepted = readonly (readonly [kind: number, flags: number])[]

const MEMORY: Accepted = [
  [KIND.STACK, 0],
  [KIND.PACKET, 0],
  [KIND.PACKET_META, 0],
  [KIND.MAP_KEY, 0],
  [KIND.MAP_VALUE, 0],
  [KIND.MEM, 0],
  [KIND.MEM, FLAG.RINGBUF],
  [KIND.BUF, 0],
  [KIND.BTF_ID, FLAG.TRUSTED],
]
const SOCKS: Accepted = [
  [KIND.SOCK_COMMON, 0],
  [KIND.SOCKET, 0],
  [KIND.TCP_SOCK, 0],
  [KIND.XDP_SOCK, 0],
]
const KERNEL_OBJECT: Accepted = [
  [KIND.BTF_ID, 0],
  [KIND.BTF_ID, FLAG.TRUSTED],
  [KIND.BTF_ID, FLAG.RCU],
]
const SCALAR: Accepted = [[KIND.SCALAR, 0]]

/** Registers that an argument of a type may be, by the type without what follows a colon or question mark. */
const ACCEPTED: Readonly<Record<string, Accepted>> = {
  ctx: [[KIND.CTX, 0]],
  map: [[KIND.MAP_PTR, 0]],
  key: MEMORY,
  value: MEMORY,
  uvalue: MEMORY,
  mem: MEMORY,
  umem: MEMORY,
  wmem: MEMORY,
  fixed: MEMORY,
  ufixed: MEMORY,
  wfixed: MEMORY,
  size: SCALAR,
  size0: SCALAR,
  alloc: SCALAR,
  sock_common: SOCKS,
  socket: [[KIND.SOCKET, 0]],
  btf_sock: [...SOCKS, [KIND.BTF_ID, 0], [KIND.BTF_ID, FLAG.TRUSTED]],
  spin_lock: [
    [KIND.MAP_VALUE, 0],
    [KIND.BTF_ID, FLAG.ALLOC],
  ],
  timer: [[KIND.MAP_VALUE, 0]],
  ringbuf_mem: [[KIND.MEM, FLAG.RINGBUF]],
  string: [[KIND.MAP_VALUE, 0]],
  func: [[KIND.FUNC, 0]],
  stack: [[KIND.STACK, 0]],
  percpu: [
    [KIND.BTF_ID, FLAG.PERCPU],
    [KIND.BTF_ID, FLAG.PERCPU | FLAG.RCU],
    [KIND.BTF_ID, FLAG.PERCPU | FLAG.TRUSTED],
  ],
  dynptr: [
    [KIND.STACK, 0],
    [KIND.DYNPTR, 0],
  ],
  udynptr: [
    [KIND.STACK, 0],
    [KIND.DYNPTR, 0],
  ],
  btf: KERNEL_OBJECT,
  /** Where bpf_kptr_xchg() finds a pointer. */
  kptr_place: [
    [KIND.MAP_VALUE, 0],
    [KIND.BTF_ID, FLAG.ALLOC],
  ],
}

/** Memory that is only read: pointers to what may not be written do. */
const READ_ONLY: ReadonlySet<string> = new Set(['mem', 'key', 'value', 'fixed'])
/** Kinds that may have an offset. */
const OFFSETS: ReadonlySet<number> = new Set([
  KIND.STACK,
  KIND.PACKET,
  KIND.PACKET_META,
  KIND.MAP_KEY,
  KIND.MAP_VALUE,
  KIND.MEM,
  KIND.BUF,
  KIND.SCALAR,
])

export function checkArgument(
  env: Verification,
  helper: HelperPrototype,
  index: number,
  declared: ArgumentType,
  facts: CallFacts,
): void {
  const number = index + 1
  const register = readRegister(env, number)
  if (declared === 'any') {
    if (env.isSecret(register)) denied(`R${number} leaks addr into helper function`)
    return
  }
  if (isPacketPointer(register) && !mayAccessPacket(env, helper.takesPackets, false))
    denied('helper access to the packet is not allowed')
  const mayBeNull = declared.endsWith('?')
  const [name = '', detail = ''] = (mayBeNull ? declared.slice(0, -1) : declared).split(':')
  const base = name === 'value' && facts.map !== undefined ? valueType(facts.map) : name
  const isNull = isKnownZero(register)
  if (!(isNull && mayBeNull)) {
    const isExchanged = helper.id === KPTR_XCHG && number === 2
    checkType(number, register, base, mayBeNull, isExchanged)
    if (isExchanged && facts.kptr !== undefined) checkExchanged(env, facts.kptr, number, register)
    checkOffset(number, register, isReleasing(helper.id, base))
  }
  if (isReleasing(helper.id, base)) checkReleased(env, number, register, base, facts)
  if (register.refId !== 0) facts.refId = register.refId
  if (isNull && mayBeNull && base !== 'mem' && base !== 'umem') return
  checkMeaning(env, helper, index, base, detail, register, facts)
}

/** Values of socket maps are sockets. */
function valueType({ type }: VerifierMap): string {
  return type === M.SOCKMAP || type === M.SOCKHASH ? 'btf_sock' : 'value'
}

const SK_RELEASE = 86
const KPTR_XCHG = 194

function isReleasing(helper: number, base: string): boolean {
  if (base === 'ringbuf_mem') return true
  if (base === 'dynptr') return helper === 199 || helper === 200
  if (helper === KPTR_XCHG) return base === 'btf'
  return helper === SK_RELEASE && base === 'btf_sock'
}

/** @param exchanged it may be an object of the program */
function checkType(
  number: number,
  register: Register,
  base: string,
  mayBeNull: boolean,
  exchanged: boolean,
): void {
  const accepted = ACCEPTED[base]
  if (accepted === undefined) throw new Unmodelled(`argument of type ${base}`)
  let { flags } = register
  if (mayBeNull) flags &= ~FLAG.MAYBE_NULL
  if (exchanged && (flags & FLAG.ALLOC) !== 0) flags &= ~(FLAG.ALLOC | FLAG.PERCPU)
  if (READ_ONLY.has(base)) flags &= ~FLAG.RDONLY
  if (accepted.some(([kind, wanted]) => kind === register.kind && wanted === flags)) return
  const expected = accepted.map(([kind, wanted]) => typeName({ kind, flags: wanted }))
  denied(`R${number} type=${typeName(register)} expected=${expected.join(', ')}`)
}

export function checkOffset(number: number, register: Register, releasing: boolean): void {
  if (isUntoldNode(register)) return
  if (releasing) {
    if (register.kind === KIND.STACK) return
    if (register.offset !== 0)
      invalid(`R${number} must have zero offset when passed to release func or trusted arg to kfunc`)
    return checkNoOffset(number, register)
  }
  if (!OFFSETS.has(register.kind)) checkNoOffset(number, register, register.kind === KIND.BTF_ID)
}

function checkReleased(
  env: Verification,
  number: number,
  register: Register,
  base: string,
  facts: CallFacts,
): void {
  if (base === 'dynptr') {
    if (register.kind !== KIND.STACK) invalid('cannot release unowned const bpf_dynptr')
    const start = dynptrStart(env, register)
    if (start === undefined || start.refId === 0) invalid(`arg ${number} is an unacquired reference`)
    facts.refId = start.refId
  } else if (register.refId === 0 && !isKnownZero(register))
    invalid(`R${number} must be referenced when passed to release function`)
  facts.released = number
}

/** The dynptr that a stack pointer is to. */
function dynptrStart(env: Verification, register: Register): Register | undefined {
  if (!isConst(register)) return undefined
  const offset = register.offset + constantNumber(register)
  if (offset % 8 !== 0) return undefined
  return dynptrAt(env.state.frames[register.frame] as Frame, slotOf(offset))
}

function checkMeaning(
  env: Verification,
  helper: HelperPrototype,
  index: number,
  base: string,
  detail: string,
  register: Register,
  facts: CallFacts,
): void {
  const number = index + 1
  const later = (write: (() => void) | undefined): void => {
    if (write !== undefined) facts.writes.push(write)
  }
  switch (base) {
    case 'map':
      return takeMap(register, facts)
    case 'key':
      later(
        checkMemory(env, number, register, { size: facts.map?.keySize ?? 0, write: false, zeroSize: false }),
      )
      if (facts.map?.type === M.ARRAY || facts.map?.type === M.PERCPU_ARRAY)
        facts.key = constantKey(env, register, 4)
      return
    case 'value':
      later(
        checkMemory(env, number, register, {
          size: facts.map?.valueSize ?? 0,
          write: false,
          zeroSize: false,
        }),
      )
      return
    case 'uvalue':
      later(
        checkMemory(env, number, register, {
          size: facts.map?.valueSize ?? 0,
          write: true,
          zeroSize: false,
          uninitialised: true,
        }),
      )
      return
    case 'fixed':
    case 'ufixed':
    case 'wfixed':
      return checkFixed(env, number, base, Number(detail), register, later)
    case 'size':
    case 'size0': {
      const memory = helper.args[index - 1]?.replace('?', '') ?? 'mem'
      facts.largest = umaxNumber(register)
      later(
        checkSizedMemory(env, number, register, {
          write: memory !== 'mem',
          zeroSize: base === 'size0',
          uninitialised: memory === 'umem',
        }),
      )
      return
    }
    case 'alloc':
      if (!isConst(register)) denied(`R${number} is not a known constant'`)
      facts.size = umaxNumber(register)
      return markPrecise(env, number)
    case 'spin_lock':
      checkNotComparing(env)
      return helper.id === SPIN_LOCK ? lock(env, number, register) : unlock(env, number, register)
    case 'timer':
      checkField(number, register, 'bpf_timer')
      return noteMap(facts, register)
    case 'func':
      facts.callback = register.frame
      return
    case 'string':
      return checkString(number, register)
    case 'dynptr':
      return takeDynptr(env, number, register, detail, facts)
    case 'udynptr':
      return checkFreeForDynptr(env, number, register)
    case 'btf_sock':
      if (register.kind === KIND.BTF_ID) checkObject(env, number, register, 'sock_common')
      return
    case 'percpu':
      facts.object = register
      return
    case 'kptr_place':
      return takeKptr(env, number, register, facts)
    case 'btf':
      if (detail === 'kptr') return takeKptr(env, number, register, facts)
      checkObject(env, number, register, detail)
      return
  }
}

function takeMap(register: Register, facts: CallFacts): void {
  if (facts.map !== undefined && (facts.map !== register.map || facts.mapUid !== register.mapUid))
    invalid(
      `timer pointer in R1 map_uid=${facts.mapUid} doesn't match map pointer in R2 map_uid=${register.mapUid}`,
    )
  facts.map = register.map
  facts.mapUid = register.mapUid
}

function checkFixed(
  env: Verification,
  number: number,
  base: string,
  size: number,
  register: Register,
  later: (write: (() => void) | undefined) => void,
): void {
  const write = base !== 'fixed'
  later(
    checkMemory(env, number, register, { size, write, zeroSize: false, uninitialised: base === 'ufixed' }),
  )
  if (!write) return
  const low = (register.valueLo + register.offset) | 0
  if (((low | register.maskLo) & (size - 1)) === 0) return
  const variable = isConst(register) ? String(constantNumber(register)) : '0'
  denied(
    `misaligned ${kindName(register.kind) === 'fp' ? 'stack ' : ''}access off ${variable}+${register.offset}+0 size ${size}`,
  )
}

/** bpf_kptr_xchg(): where the pointer is, and the one that is put there. */
function takeKptr(env: Verification, number: number, register: Register, facts: CallFacts): void {
  if (number === 1) {
    facts.kptr = exchangedField(env, number, register)
    facts.map = register.map
  }
}

/** Checks that a pointer is to an object of a type, or to one that lies in its object. */
function checkObject(env: Verification, number: number, register: Register, wanted: string): void {
  const { struct } = register
  if (struct === undefined || !holdsStruct(struct, register.offset, env.kernel.structs.named(wanted)))
    denied(`R${number} is of type ${struct?.name ?? ''} but ${wanted} is expected`)
}

/** A key of an array that is a known number; -1: it isn't. */
function constantKey(env: Verification, register: Register, size: number): number {
  if (register.kind !== KIND.STACK || !isConst(register)) return -1
  const frame = env.state.frames[register.frame] as Frame
  const offset = register.offset + constantNumber(register)
  const index = slotOf(offset)
  const first = (-offset - 1) & 7
  const slot = slotAt(frame, index)
  const run = (type: number): number => {
    let length = 0
    for (let i = first; i >= 0 && byteType(slot.types, i) === type; i--) length++
    return length
  }
  if (run(BYTE.ZERO) >= size) return 0
  if (!isSpilledScalar(slot) || run(BYTE.SPILL) !== size || !isConst(slot.spilled)) return -1
  markSlotPrecise(env, register.frame, index)
  return umaxNumber(slot.spilled)
}

export function checkString(number: number, register: Register): void {
  const map = register.map as VerifierMap
  const readOnly =
    map.type === M.ARRAY && (map.flags & BPF_MAP_FLAGS.BPF_F_RDONLY_PROG) !== 0 && map.constants !== undefined
  if (!readOnly) denied(`R${number} does not point to a readonly map'`)
  if (!isConst(register)) denied(`R${number} is not a constant address'`)
  const start = register.offset + constantNumber(register)
  if (start < 0 || start >= map.valueSize)
    denied(`R${number} min value is outside of the allowed memory range`)
  if (map.constants?.indexOf(0, start) === -1) throw new Rejection(EINVAL, 'string is not zero-terminated')
}

/** A dynptr as an argument of a function that declares one. */
export function checkDynptr(env: Verification, number: number, register: Register): void {
  if (register.kind !== KIND.STACK && register.kind !== KIND.DYNPTR)
    denied(`R${number} type=${typeName(register)} expected=fp, dynptr_ptr`)
  takeDynptr(env, number, register, '', new CallFacts())
}

/** The dynptr that a register points to. */
export function dynptrArgument(env: Verification, number: number, register: Register): Register {
  const facts = new CallFacts()
  takeDynptr(env, number, register, '', facts)
  // It throws where there is none.
  return facts.dynptr as Register
}

function takeDynptr(
  env: Verification,
  number: number,
  register: Register,
  detail: string,
  facts: CallFacts,
): void {
  if (register.kind === KIND.DYNPTR) {
    facts.dynptr = register
    return
  }
  const problem = dynptrPlaceProblem(register)
  const start = problem === undefined ? dynptrStart(env, register) : undefined
  if (start === undefined)
    invalid(
      `Expected an initialized dynptr as arg #${number - 1}`,
      ...(problem === undefined ? [] : [problem]),
    )
  if (detail !== '' && start.type !== detail)
    invalid(`Expected a dynptr of type ${detail === 'ringbuf' ? 'ringbuf' : 'local'} as arg #${number - 1}`)
  const frame = env.state.frames[register.frame] as Frame
  const index = slotOf(register.offset + constantNumber(register))
  env.log?.touchSlot(index)
  env.log?.touchSlot(index - 1)
  env.stackLiveness.read(env.state, env.insn, frame.index, index)
  env.stackLiveness.read(env.state, env.insn, frame.index, index - 1)
  if (start.refId !== 0) facts.refId = start.refId
  facts.dynptr = start
}

/** Why no dynptr can lie there. */
function dynptrPlaceProblem(register: Register): string | undefined {
  if (!isConst(register)) return 'dynptr has to be at a constant offset'
  const offset = register.offset + constantNumber(register)
  return offset % 8 !== 0 || offset > -DYNPTR_BYTES
    ? `cannot pass in dynptr at an offset=${offset}`
    : undefined
}

const UNINITIALIZED = 'Dynptr has to be an uninitialized dynptr'

/** What lay there is lost, also a dynptr, unless that must be released. */
export function checkFreeForDynptr(env: Verification, number: number, register: Register): void {
  if (register.kind === KIND.DYNPTR) invalid(UNINITIALIZED)
  const problem = dynptrPlaceProblem(register)
  if (problem !== undefined) invalid(UNINITIALIZED, problem)
  const frame = env.state.frames[register.frame] as Frame
  for (const offset of [register.offset, register.offset + 8]) {
    destroyDynptr(env, frame, slotOf(offset + constantNumber(register)))
    checkStackRange(env, number, register, offset, 8, true)
  }
}
