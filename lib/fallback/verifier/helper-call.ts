/** Calls of helpers: who may call which, what they do to the state, and what they return. */
import { D_PATH_FUNCTIONS, SLEEPABLE_HOOKS } from '../../linux/attach-rules.js'
import { BPF_ATTACH_TYPE as A } from '../../linux/attach-types.js'
import { helperTakesMap, SLEEPING_HELPERS, WRITING_HELPERS } from '../../linux/helper-maps.js'
import { helperAttaches, helperPrototype, type HelperPrototype } from '../../linux/helper-prototypes.js'
import { helperAllowed, helperById, structOpsHelper } from '../../linux/helpers.js'
import { BPF_MAP_FLAGS, BPF_MAP_TYPE as M } from '../../linux/map-types.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import { callCallback, clearArguments, leaveEarly } from './calls.js'
import { placeDynptr } from './dynptr-slots.js'
import { CallFacts, checkArgument } from './helper-arguments.js'
import { objectPointer } from './kernel-pointers.js'
import { isOfPacket } from './kfunc-results.js'
import { hasInterruptsOff } from './irq-flags.js'
import { exchangedPointer, releaseExchanged } from './kptrs.js'
import { holdsLock } from './local-types.js'
import type { VerifierMap, VerifierProgram } from './program.js'
import { checkHelperPrivileges } from './privileges.js'
import { markPrecise } from './precision.js'
import { denied, EFAULT, ENOTSUPP, invalid, Rejection, Unmodelled } from './rejection.js'
import { forgetPackets } from './packet.js'
import { checkNoLeak, releaseReference } from './references.js'
import { slotOf } from './stack.js'
import type { Frame } from './state.js'
import { typeName } from './type-names.js'
import { syncBounds } from './values/bounds.js'
import {
  FLAG,
  isKnownZero,
  KIND,
  NOT_INIT,
  pointer,
  type Register,
  UNKNOWN,
  unknownScalar,
} from './values/register.js'
import { constantNumber, umaxNumber } from './values/numbers.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

const ID = {
  MAP_LOOKUP_ELEM: 1,
  GET_SMP_PROCESSOR_ID: 8,
  TAIL_CALL: 12,
  GET_LOCAL_STORAGE: 81,
  SK_LOOKUP_TCP: 84,
  SK_LOOKUP_UDP: 85,
  SPIN_UNLOCK: 94,
  SK_FULLSOCK: 95,
  TCP_SOCK: 96,
  SKC_LOOKUP_TCP: 99,
  RINGBUF_RESERVE: 131,
  FOR_EACH_MAP_ELEM: 164,
  GET_CURRENT_TASK_BTF: 158,
  SNPRINTF: 165,
  D_PATH: 147,
  TIMER_SET_CALLBACK: 170,
  GET_FUNC_IP: 173,
  FIND_VMA: 180,
  LOOP: 181,
  DYNPTR_FROM_MEM: 197,
  RINGBUF_RESERVE_DYNPTR: 198,
  DYNPTR_WRITE: 202,
  DYNPTR_DATA: 203,
  USER_RINGBUF_DRAIN: 209,
} as const

/** Their results are at most the size that was passed, or an error. */
const SIZED_RESULTS: ReadonlySet<number> = new Set([45, 67, 114, 115, 141])
const MAX_ERRNO = 4095
const ACQUIRING: ReadonlySet<number> = new Set([
  ID.SK_LOOKUP_TCP,
  ID.SK_LOOKUP_UDP,
  ID.SKC_LOOKUP_TCP,
  ID.RINGBUF_RESERVE,
])
/** They give another view of their argument, which is released with it. */
const CASTING: ReadonlySet<number> = new Set([ID.SK_FULLSOCK, ID.TCP_SOCK])
/** Tracing programs that aren't on functions: bpf_get_func_ip() has nothing to tell them. */
const NO_FUNCTIONS: ReadonlySet<number> = new Set([
  P.TRACEPOINT,
  P.PERF_EVENT,
  P.RAW_TRACEPOINT,
  P.RAW_TRACEPOINT_WRITABLE,
  P.SYSCALL,
])

/** Tracing programs that run in a function's trampoline. */
const TRAMPOLINES: ReadonlySet<number> = new Set([A.TRACE_FENTRY, A.TRACE_FEXIT, A.MODIFY_RETURN])

/** @returns the slot at which the path goes on */
export function callHelper(env: Verification): number {
  const { insn, code, state } = env
  const id = code.immAt(insn)
  if (state.activeLocks > 0 && id !== ID.SPIN_UNLOCK)
    invalid('function calls are not allowed while holding a lock')
  const helper = permitted(env, id)
  const facts = new CallFacts()
  helper.args.forEach((argument, i) => checkArgument(env, helper, i, argument, facts))
  checkMap(env, id, facts)
  for (const write of facts.writes) write()
  if (facts.released > 0) release(env, id, facts)
  effects(env, id, facts)
  const { registers } = env
  const result = returned(env, helper, facts)
  clearArguments(registers)
  registers[0] = result
  if (facts.map !== undefined) checkCompatibility(facts.map, id)
  if (id === ID.TAIL_CALL) return state.frames.length > 1 ? leaveEarly(env, true) : insn + 1
  if (helper.changesPacket) forgetPackets(env)
  return insn + 1
}

function permitted(env: Verification, id: number): HelperPrototype {
  const { program } = env
  const known = helperById(id)
  const prototype = helperPrototype(id, program.type)
  if (id === 0) invalid('program of this type cannot use helper bpf_unspec#0')
  if (known === undefined || prototype === undefined) return invalid(`invalid func unknown#${id}`)
  const allowed =
    helperAllowed(known, program.type) ??
    (program.type === P.STRUCT_OPS
      ? structOpsHelper(program.attachTarget ?? '', env.target?.name ?? '', id)
      : undefined)
  if (allowed === undefined)
    throw new Unmodelled(`helper bpf_${known.name} in programs of type ${program.type}`)
  const hasNoFunction =
    NO_FUNCTIONS.has(program.type) || (program.type === P.TRACING && !TRAMPOLINES.has(program.attachType))
  if (id === ID.GET_FUNC_IP && hasNoFunction)
    throw new Rejection(ENOTSUPP, `func bpf_get_func_ip#${id} not supported for program type ${program.type}`)
  if (!allowed || !helperAttaches(id, program.type, program.attachType))
    invalid(`program of this type cannot use helper bpf_${known.name}#${id}`)
  checkHelperPrivileges(id, known.name, program.type, env.privileges)
  if (known.gplOnly && !env.gpl)
    invalid('cannot call GPL-restricted function from non-GPL compatible program')
  if (id === ID.D_PATH && !mayFormatPaths(program)) invalid('helper call is not allowed in probe')
  if (SLEEPING_HELPERS.has(id)) {
    const name = `bpf_${known.name}#${id}`
    if (!env.state.sleepable) invalid('helper call might sleep in a non-sleepable prog')
    if (env.state.rcuLocks > 0) invalid(`sleepable helper ${name} in rcu_read_lock region`)
    if (env.state.preemptLocks > 0) invalid(`sleepable helper ${name} in non-preemptible region`)
    if (hasInterruptsOff(env.state)) invalid(`sleepable helper ${name} in IRQ-disabled region`)
  }
  return prototype
}

/** Where no lock is held that bpf_d_path() would wait for. */
function mayFormatPaths({ type, attachType, attachTarget = '' }: VerifierProgram): boolean {
  if (type === P.LSM) return SLEEPABLE_HOOKS.has(attachTarget)
  return type === P.TRACING && (attachType === A.TRACE_ITER || D_PATH_FUNCTIONS.has(attachTarget))
}

function checkMap(env: Verification, id: number, { map }: CallFacts): void {
  if (map !== undefined && WRITING_HELPERS.has(id) && (map.flags & BPF_MAP_FLAGS.BPF_F_RDONLY_PROG) !== 0)
    denied('write into map forbidden')
  if (id !== ID.TAIL_CALL) return
  if (map?.type !== M.PROG_ARRAY) invalid('expected prog array map for tail call')
  const index = env.register(3)
  if (index.kind === KIND.SCALAR && isConst(index) && umaxNumber(index) < map.maxEntries) markPrecise(env, 3)
}

function checkCompatibility(map: VerifierMap, id: number): void {
  if (helperTakesMap(id, map.type)) return
  invalid(`cannot pass map_type ${map.type} into func bpf_${helperById(id)?.name ?? 'unknown'}#${id}`)
}

function release(env: Verification, id: number, facts: CallFacts): void {
  const done = facts.kptr === undefined ? releaseReference : releaseExchanged
  if (facts.refId !== 0 && done(env, facts.refId)) return
  if (facts.refId === 0 && isKnownZero(env.register(facts.released))) return
  invalid(`func bpf_${helperById(id)?.name ?? 'unknown'}#${id} reference has not been acquired before`)
}

/** What single helpers do. */
function effects(env: Verification, id: number, facts: CallFacts): void {
  switch (id) {
    case ID.TAIL_CALL:
      checkNoLeak(env, 'tail_call', true)
      break
    case ID.GET_LOCAL_STORAGE:
      if (!isKnownZero(env.register(2))) invalid("get_local_storage() doesn't support non-zero flags")
      break
    case ID.FOR_EACH_MAP_ELEM:
      forEachElement(env, facts)
      break
    case ID.TIMER_SET_CALLBACK:
      setTimerCallback(env, facts)
      break
    case ID.FIND_VMA: {
      const vma = objectPointer(env.kernel.structs.named('vm_area_struct'), 0)
      callback(env, facts, 'find_vma', 1, [env.register(1), vma, env.register(4)])
      break
    }
    case ID.LOOP:
      loop(env, facts)
      break
    case ID.USER_RINGBUF_DRAIN: {
      const dynptr = pointer(KIND.DYNPTR)
      dynptr.type = 'local'
      dynptr.first = true
      dynptr.id = env.newId()
      callback(env, facts, 'user_ringbuf_drain', 1, [dynptr, env.register(3)])
      break
    }
    case ID.DYNPTR_WRITE:
      if (isOfPacket(facts.dynptr?.type)) forgetPackets(env)
      break
    case ID.DYNPTR_FROM_MEM: {
      const memory = env.register(1)
      if (memory.kind !== KIND.MAP_VALUE)
        denied(`Unsupported reg type ${typeName(memory)} for bpf_dynptr_from_mem data`)
      makeDynptr(env, 'local', 0)
      break
    }
    case ID.RINGBUF_RESERVE_DYNPTR: {
      makeDynptr(env, 'ringbuf', 'new')
      break
    }
  }
}

function makeDynptr(env: Verification, type: 'local' | 'ringbuf', record: 0 | 'new'): void {
  const place = env.register(4)
  const frame = env.state.frames[place.frame] as Frame
  placeDynptr(env, frame, slotOf(place.offset + constantNumber(place)), type, record)
}

function callback(
  env: Verification,
  { callback: number }: CallFacts,
  helper: string,
  most: number,
  args: readonly Register[],
  async = false,
): void {
  const subprogram = env.subprograms[number]
  if (subprogram === undefined) throw new Unmodelled(`callback of bpf_${helper}`)
  callCallback(env, { subprogram, helper, least: 0, most, async, args })
}

function keyOf(map: VerifierMap | undefined): Register {
  const key = pointer(KIND.MAP_KEY)
  key.map = map
  return key
}

function valueOf(map: VerifierMap | undefined): Register {
  const value = pointer(KIND.MAP_VALUE)
  value.map = map
  return value
}

const WALKABLE: ReadonlySet<number> = new Set([
  M.HASH,
  M.PERCPU_HASH,
  M.LRU_HASH,
  M.LRU_PERCPU_HASH,
  M.ARRAY,
  M.PERCPU_ARRAY,
])

function forEachElement(env: Verification, facts: CallFacts): void {
  const { map } = facts
  if (map === undefined || !WALKABLE.has(map.type))
    throw new Rejection(ENOTSUPP, 'callback function not allowed for map')
  callback(env, facts, 'for_each_map_elem', 1, [env.register(1), keyOf(map), valueOf(map), env.register(3)])
}

function setTimerCallback(env: Verification, facts: CallFacts): void {
  const map = pointer(KIND.MAP_PTR)
  map.map = facts.map
  map.mapUid = facts.mapUid
  const value = valueOf(facts.map)
  value.mapUid = facts.mapUid
  callback(env, facts, 'timer_set_callback', 0, [map, keyOf(facts.map), value], true)
}

function loop(env: Verification, facts: CallFacts): void {
  checkInlining(env, facts.callback)
  // How many turns there are decides whether another one is looked at. Linux doesn't expect a pointer here, and refuses it as a bug of its own.
  if (env.register(1).kind !== KIND.SCALAR) throw new Rejection(EFAULT, 'verifier bug: backtracking misuse')
  markPrecise(env, 1)
  const { frame } = env
  if (frame.callbackDepth < umaxNumber(env.register(1)))
    callback(env, facts, 'loop', 1, [UNKNOWN, env.register(3)])
  else {
    frame.callbackDepth = 0
    env.log?.detailed?.remark(`frame${frame.index} bpf_loop iteration limit reached`)
  }
}

const NOT_INLINED = -1

/** Linux inlines a loop whose callback and flags (none) are the same on all paths: so no flags must be exactly that. */
function checkInlining(env: Verification, callback: number): void {
  const { insn, inlinedLoops } = env
  const before = inlinedLoops.get(insn) ?? callback
  const isSame = before === callback
  if (before === NOT_INLINED) return
  const hasNoFlags = isKnownZero(env.register(4))
  if (hasNoFlags) markPrecise(env, 4)
  inlinedLoops.set(insn, hasNoFlags && isSame ? callback : NOT_INLINED)
}

function returned(env: Verification, helper: HelperPrototype, facts: CallFacts): Register {
  const { id, returns } = helper
  switch (returns) {
    case 'int':
      return returnedNumber(id, facts)
    case 'void':
      return NOT_INIT
    case 'map_value':
    case 'map_value?':
      return returnedValue(env, id, facts, returns === 'map_value?')
    case 'socket?':
      return acquired(env, pointer(KIND.SOCKET, FLAG.MAYBE_NULL), id, facts)
    case 'tcp_sock?':
      return acquired(env, pointer(KIND.TCP_SOCK, FLAG.MAYBE_NULL), id, facts)
    case 'sock_common?':
      return acquired(env, pointer(KIND.SOCK_COMMON, FLAG.MAYBE_NULL), id, facts)
    case 'ringbuf?': {
      const memory = pointer(KIND.MEM, FLAG.MAYBE_NULL | FLAG.RINGBUF)
      memory.range = facts.size
      return acquired(env, memory, id, facts)
    }
    case 'dynptr_data?': {
      const memory = pointer(KIND.MEM, FLAG.MAYBE_NULL)
      memory.range = facts.size
      memory.type = 'dynptr'
      memory.frame = facts.dynptr?.id ?? 0
      memory.refId = facts.dynptr?.refId ?? 0
      memory.id = env.newId()
      return memory
    }
    case 'percpu':
    case 'percpu?':
      return perCpuValue(env, facts, returns === 'percpu?')
    default:
      return returnedObject(env, id, returns, facts)
  }
}

/** Sockets that are another view of the argument's are released with it. */
const SOCKET_CASTS: ReadonlySet<number> = new Set([136, 137, 138, 139, 140, 196])

function returnedObject(env: Verification, id: number, returns: string, facts: CallFacts): Register {
  const [how, name = ''] = returns.split(':')
  if (how !== 'btf' && how !== 'btf?') throw new Unmodelled(`what bpf_${helperById(id)?.name ?? ''} returns`)
  if (facts.kptr !== undefined) return exchangedPointer(env, facts.kptr)
  const trust = id === ID.GET_CURRENT_TASK_BTF ? FLAG.TRUSTED : 0
  const object = objectPointer(env.kernel.structs.named(name), how === 'btf?' ? FLAG.MAYBE_NULL : trust)
  if (how === 'btf?') object.id = env.newId()
  if (SOCKET_CASTS.has(id)) object.refId = facts.refId
  return object
}

/** The variable of one CPU: an object, or memory of its size. */
function perCpuValue(env: Verification, { object }: CallFacts, mayBeNull: boolean): Register {
  if (object === undefined) throw new Unmodelled('per-CPU memory without a type')
  const maybe = mayBeNull ? FLAG.MAYBE_NULL : 0
  const { struct, range } = object
  // Of an object that the program made: it is there for every CPU.
  if ((object.flags & FLAG.RCU) !== 0 && struct?.local === true)
    return objectPointer(struct, FLAG.ALLOC | FLAG.RCU)
  const value = struct === undefined ? pointer(KIND.MEM, FLAG.RDONLY | maybe) : objectPointer(struct, maybe)
  if (struct === undefined) value.range = range
  if (mayBeNull) value.id = env.newId()
  return value
}

function returnedNumber(id: number, facts: CallFacts): Register {
  if (id === ID.GET_SMP_PROCESSOR_ID) {
    const cpu = unknownScalar()
    cpu.umaxHi = cpu.smaxHi = cpu.sminHi = cpu.sminLo = 0
    cpu.umaxLo = cpu.smaxLo = MAX_CPUS - 1
    cpu.u32Max = cpu.s32Max = MAX_CPUS - 1
    cpu.s32Min = 0
    syncBounds(cpu)
    return cpu
  }
  if (!SIZED_RESULTS.has(id)) return UNKNOWN
  const result = unknownScalar()
  result.smaxHi = 0
  result.smaxLo = result.s32Max = facts.largest
  result.sminHi = -1
  result.sminLo = result.s32Min = -MAX_ERRNO
  syncBounds(result)
  return result
}

/** CPUs that a kernel may have, as far as programs may rely on it. */
const MAX_CPUS = 8192

function returnedValue(env: Verification, id: number, facts: CallFacts, mayBeNull: boolean): Register {
  const { map } = facts
  const value = valueOf(map)
  value.mapUid = facts.mapUid
  const found =
    id === ID.MAP_LOOKUP_ELEM &&
    map !== undefined &&
    facts.key >= 0 &&
    facts.key < map.maxEntries &&
    isArray(map)
  if (mayBeNull && !found) value.flags = FLAG.MAYBE_NULL
  if (value.flags !== 0 || holdsLock(env.locals, value)) value.id = env.newId()
  // What is found in a map of maps, or of sockets, is no value.
  if (value.flags === 0 && map?.inner !== undefined) {
    value.kind = KIND.MAP_PTR
    value.map = map.inner
  }
  return socketFrom(env, value, id, map)
}

function isArray({ type }: VerifierMap): boolean {
  return type === M.ARRAY || type === M.PERCPU_ARRAY
}

/** Look-ups in maps of sockets acquire the socket. */
function socketFrom(env: Verification, value: Register, id: number, map: VerifierMap | undefined): Register {
  const sockets = map?.type === M.SOCKMAP || map?.type === M.SOCKHASH
  if (id !== ID.MAP_LOOKUP_ELEM || !sockets) return value
  value.refId = value.id = env.newId()
  env.addReference('pointer', value.id, undefined)
  return value
}

function acquired(env: Verification, register: Register, id: number, facts: CallFacts): Register {
  register.id = env.newId()
  if (ACQUIRING.has(id)) {
    register.refId = register.id = env.newId()
    env.addReference('pointer', register.id, undefined)
  } else if (CASTING.has(id)) register.refId = facts.refId
  return register
}
