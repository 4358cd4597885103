/** Loads and stores through pointers: dispatched by what the pointer points to. */
import {
  accessedField,
  contextOf,
  SOCK_COMMON_FIELDS,
  SOCKET_FIELDS,
  TCP_SOCK_FIELDS,
  XDP_SOCK_FIELDS,
  type Context,
  type ContextValue,
} from '../../linux/context-access.js'
import { BPF_MAP_FLAGS, BPF_MAP_TYPE as M } from '../../linux/map-types.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import { fieldSize } from './field-sizes.js'
import { checkNoOffset } from './pointer-offsets.js'
import { accessMapStructure, accessObject, loadArgument, objectPointer } from './kernel-pointers.js'
import { checkKptrAccess, isKptr, kptrAt, loadKptr, storeKptr } from './kptrs.js'
import type { SpecialField, VerifierMap } from './program.js'
import { denied, EINVAL, invalid, Rejection, Unmodelled } from './rejection.js'
import { checkStackBounds, loadStack, MAX_VARIABLE_OFFSET, type Stored, storeStack } from './stack.js'
import { typeName } from './type-names.js'
import {
  cloneRegister,
  constantScalar,
  FLAG,
  KIND,
  kindMask,
  pointer,
  type Register,
  UNKNOWN,
} from './values/register.js'
import { signExtend, truncate } from './values/extend.js'
import { constantNumber, sminNumber, umaxNumber } from './values/numbers.js'
import { isAligned, isConst, tnumText } from './values/tnum.js'
import type { Verification } from './verification.js'

export interface Access {
  /** Register of the pointer. */
  readonly number: number
  readonly offset: number
  /** Bytes. */
  readonly size: number
  readonly write: boolean
  readonly signExtends?: boolean
  /** Aligned wherever it goes. */
  readonly atomic?: true
  /** What a store stores. */
  readonly stored?: Stored
}

const { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG } = BPF_MAP_FLAGS

/** Checks an access. @returns what a load loads */
export function accessMemory(env: Verification, access: Access): Register {
  const base = env.register(access.number)
  checkAlignment(base, access, env.strictAlignment || access.atomic === true)
  const loaded = dispatch(env, base, access)
  noteKind(env, base)
  if (access.write || loaded.kind !== KIND.SCALAR || access.size === 8) return loaded
  const narrowed = cloneRegister(loaded)
  if (access.signExtends === true) signExtend(narrowed, access.size * 8)
  else truncate(narrowed, access.size * 8)
  return narrowed
}

/** An instruction is compiled once: its pointer must be of one kind on all paths, where kinds are accessed in different ways. */
function noteKind(env: Verification, base: Register): void {
  const known = env.pointerKinds[env.insn] as number
  const kinds = known | (1 << base.kind) | (isLasting(base) ? 0 : TRANSIENT)
  if (known !== 0 && kinds !== known && (kinds & SPECIAL) !== 0 && (kinds & ~READ_ALIKE) !== 0)
    invalid('same insn cannot be used with different pointers')
  env.pointerKinds[env.insn] = kinds
}

/** Beside the kinds: it may be a map's value, gone once the program has deleted it. */
const TRANSIENT = 1 << 31
/** Maps whose values stay where they are. */
const LASTING: ReadonlySet<number> = new Set([
  M.ARRAY,
  M.PERCPU_ARRAY,
  M.HASH,
  M.PERCPU_HASH,
  M.LRU_HASH,
  M.LRU_PERCPU_HASH,
])

/** What functions and dynptrs take for mere memory may be such a value too; records surely aren't. */
function isLasting({ kind, flags, map }: Register): boolean {
  if (kind === KIND.MAP_VALUE) return map !== undefined && LASTING.has(map.type)
  return kind !== KIND.MEM || (flags & FLAG.RINGBUF) !== 0
}

/** Loads through these are alike: what can't be read gives zero. */
const READ_ALIKE = kindMask([KIND.MEM, KIND.BTF_ID]) | (1 << 31)
const SPECIAL = kindMask([
  KIND.CTX,
  KIND.SOCKET,
  KIND.SOCK_COMMON,
  KIND.TCP_SOCK,
  KIND.XDP_SOCK,
  KIND.BTF_ID,
  KIND.ARENA,
])

function dispatch(env: Verification, base: Register, access: Access): Register {
  const { number, size, write } = access
  const offset = access.offset + base.offset
  switch (base.flags === 0 || base.kind === KIND.MEM || base.kind === KIND.BUF ? base.kind : -1) {
    case KIND.MAP_KEY:
      if (write) denied(`write to change key R${number} not allowed`)
      checkRegion(number, base, offset, size, (base.map as VerifierMap).keySize, false)
      return UNKNOWN
    case KIND.MAP_VALUE:
      checkLeak(env, access, 'map')
      return accessMapValue(env, base, access, offset)
    case KIND.MEM:
      if ((base.flags & FLAG.MAYBE_NULL) !== 0) return refuse(number, base)
      if (write && (base.flags & FLAG.RDONLY) !== 0) denied(`R${number} cannot write into ${typeName(base)}`)
      // What pointers of kernel objects point to is read where that is possible.
      checkLeak(env, access, 'mem')
      if ((base.flags & FLAG.UNTRUSTED) === 0) checkRegion(number, base, offset, size, base.range, false)
      return UNKNOWN
    case KIND.CTX:
      checkLeak(env, access, 'ctx')
      return accessContext(env, base, access, offset)
    case KIND.STACK:
      checkStackBounds(env, number, base, offset, size, write)
      if (!write) return loadStack(env, number, base, offset, size)
      storeStack(env, base, offset, size, access.stored)
      return UNKNOWN
    case KIND.PACKET:
    case KIND.PACKET_META:
      if (write && !mayAccessPacket(env, undefined, true)) denied('cannot write into packet')
      checkLeak(env, access, 'packet')
      checkPacket(number, base, offset, size, false)
      return UNKNOWN
    case KIND.FLOW_KEYS:
      checkLeak(env, access, 'flow keys')
      if (offset < 0 || offset + size > FLOW_KEYS_SIZE)
        denied(`invalid access to flow keys off=${offset} size=${size}`)
      return UNKNOWN
    case KIND.SOCKET:
    case KIND.SOCK_COMMON:
    case KIND.TCP_SOCK:
    case KIND.XDP_SOCK:
      if (write) denied(`R${number} cannot write into ${typeName(base)}`)
      return accessSocket(base, access, offset)
    case KIND.TP_BUFFER:
      checkBuffer('tracepoint', number, base, offset, size)
      return UNKNOWN
    case KIND.BUF:
      if ((base.flags & FLAG.MAYBE_NULL) !== 0) return refuse(number, base)
      if (write && (base.flags & FLAG.RDONLY) !== 0) denied(`R${number} cannot write into ${typeName(base)}`)
      checkBuffer((base.flags & FLAG.RDONLY) !== 0 ? 'rdonly' : 'rdwr', number, base, offset, size)
      return UNKNOWN
    case KIND.ARENA:
      return UNKNOWN
    case KIND.MAP_PTR:
      return accessMapStructure(env, number, base, offset, size, write)
    default:
      if (base.kind !== KIND.BTF_ID || (base.flags & FLAG.MAYBE_NULL) !== 0) return refuse(number, base)
      return accessObject(env, number, base, offset, size, write)
  }
}

/** Addresses may not be stored where they can be read by those who mustn't know them. */
function checkLeak(env: Verification, { write, stored }: Access, where: string): void {
  if (env.mayLeak || !write || stored === undefined || !('register' in stored)) return
  if (env.isSecret(env.register(stored.register))) denied(`R${stored.register} leaks addr into ${where}`)
}

function refuse(number: number, base: Register): never {
  denied(`R${number} invalid mem access '${typeName(base)}'`)
}

const FLOW_KEYS_SIZE = 56

/** Names of what must be aligned; stack accesses must be always, others on demand only. */
const ALIGNED: Readonly<Record<number, string>> = {
  [KIND.FLOW_KEYS]: 'flow keys ',
  [KIND.MAP_KEY]: 'key ',
  [KIND.MAP_VALUE]: 'value ',
  [KIND.CTX]: 'context ',
  [KIND.STACK]: 'stack ',
  [KIND.SOCKET]: 'sock ',
  [KIND.SOCK_COMMON]: 'sock_common ',
  [KIND.TCP_SOCK]: 'tcp_sock ',
  [KIND.XDP_SOCK]: 'xdp_sock ',
}
/** Ethernet headers have 14 bytes, so that packets start at 2 modulo 4. */
const NET_IP_ALIGN = 2

function checkAlignment(base: Register, { offset, size }: Access, isStrict: boolean): void {
  if (size === 1) return
  const { kind } = base
  if (kind === KIND.ARENA || (!isStrict && kind !== KIND.STACK)) return
  const isPacket = kind === KIND.PACKET || kind === KIND.PACKET_META
  const fixed = base.offset + offset + (isPacket ? NET_IP_ALIGN : 0)
  const low = (base.valueLo + fixed) | 0
  if (isAligned(low, base.maskLo, size)) return
  const variable = isConst(base) ? String(constantNumber(base)) : tnumText(base)
  const rest = `${base.offset}+${offset} size ${size}`
  if (isPacket) denied(`misaligned packet access off ${NET_IP_ALIGN}+${variable}+${rest}`)
  denied(`misaligned ${ALIGNED[kind] ?? ''}access off ${variable}+${rest}`)
}

function regionProblem(number: number, base: Register, offset: number, size: number, limit: number): string {
  switch (base.kind) {
    case KIND.MAP_KEY:
      return `invalid access to map key, key_size=${limit} off=${offset} size=${size}`
    case KIND.MAP_VALUE:
      return `invalid access to map value, value_size=${limit} off=${offset} size=${size}`
    case KIND.PACKET:
    case KIND.PACKET_META:
    case KIND.PACKET_END:
      return `invalid access to packet, off=${offset} size=${size}, R${number}(id=${base.id},off=${offset},r=${limit})`
    default:
      return `invalid access to memory, mem_size=${limit} off=${offset} size=${size}`
  }
}

function isInside(offset: number, size: number, limit: number, zeroSize: boolean): boolean {
  return offset >= 0 && (size > 0 || (size === 0 && zeroSize)) && offset + size <= limit
}

/** Checks an access at all offsets that the pointer may have. */
export function checkRegion(
  number: number,
  base: Register,
  offset: number,
  size: number,
  limit: number,
  zeroSize: boolean,
): void {
  const smin = sminNumber(base)
  if (smin < 0 && (smin + offset < 0 || smin <= -0x8000_0000_0000))
    denied(`R${number} min value is negative, either use unsigned index or do a if (index >=0) check.`)
  if (!isInside(smin + offset, size, limit, zeroSize))
    denied(
      `R${number} min value is outside of the allowed memory range`,
      regionProblem(number, base, smin + offset, size, limit),
    )
  const umax = umaxNumber(base)
  if (umax >= MAX_VARIABLE_OFFSET)
    denied(`R${number} unbounded memory access, make sure to bounds check any such access`)
  if (!isInside(umax + offset, size, limit, zeroSize))
    denied(
      `R${number} max value is outside of the allowed memory range`,
      regionProblem(number, base, umax + offset, size, limit),
    )
}

/** Refuses what the flags of a map forbid. */
export function checkMapFlags(map: VerifierMap, offset: number, size: number, write: boolean): void {
  const where = `value_size=${map.valueSize} off=${offset} size=${size}`
  if (write && (map.flags & BPF_F_RDONLY_PROG) !== 0) denied(`write into map forbidden, ${where}`)
  if (!write && (map.flags & BPF_F_WRONLY_PROG) !== 0) denied(`read from map forbidden, ${where}`)
}

/**
 * Checks bounds, and that the kernel's own fields aren't touched.
 *
 * @param isDirect a load or store, no helper's
 */
export function checkMapValue(
  number: number,
  base: Register,
  offset: number,
  size: number,
  zeroSize: boolean,
  isDirect = false,
): void {
  const map = base.map as VerifierMap
  checkRegion(number, base, offset, size, map.valueSize, zeroSize)
  if (map.specialFields.length === 0) return
  const start = sminNumber(base) + offset
  const end = umaxNumber(base) + offset + size
  for (const field of map.specialFields) {
    if (start >= field.offset + fieldSize(field.kind) || field.offset >= end) continue
    if (isKptr(field)) checkKptrAccess(base, offset, size, field, isDirect)
    else denied(`${field.kind} cannot be accessed directly by load/store`)
  }
}

function accessMapValue(env: Verification, base: Register, access: Access, offset: number): Register {
  const { number, size, write, signExtends } = access
  const map = base.map as VerifierMap
  const fixed = constantNumber(base)
  checkMapFlags(map, offset, size, write)
  checkMapValue(number, base, offset, size, false, true)
  const kptr = map.specialFields.length > 0 && isConst(base) ? kptrAt(map, offset + fixed) : undefined
  if (kptr !== undefined) return accessKptr(env, kptr, access)
  const { constants } = map
  if (write || constants === undefined || !isConst(base)) return UNKNOWN
  return constantAt(constants, offset + fixed, size, signExtends === true)
}

function accessKptr(env: Verification, field: SpecialField, access: Access): Register {
  const { write, stored, signExtends = false, atomic = false } = access
  if (atomic || signExtends) denied('kptr in map can only be accessed using BPF_MEM instruction mode')
  if (!write) return loadKptr(env, field)
  const number = stored !== undefined && 'register' in stored ? stored.register : -1
  const imm = stored !== undefined && 'constant' in stored ? stored.constant : 0
  storeKptr(env, field, number, number < 0 ? undefined : env.register(number), imm)
  return UNKNOWN
}

function constantAt(bytes: Uint8Array, offset: number, size: number, signExtends: boolean): Register {
  const byte = (i: number): number => (i < size ? (bytes[offset + i] ?? 0) : 0)
  let lo = byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24)
  let hi = byte(4) | (byte(5) << 8) | (byte(6) << 16) | (byte(7) << 24)
  if (signExtends) {
    const shift = 32 - size * 8
    lo = (lo << shift) >> shift
    hi = lo >> 31
  }
  return constantScalar(hi, lo)
}

function noteContext(env: Verification, end: number): void {
  if (end > env.contextSize) env.contextSize = end
}

function accessContext(env: Verification, base: Register, access: Access, offset: number): Register {
  const { number, size, write } = access
  checkNoOffset(number, base)
  if (env.target !== undefined) {
    if (write) denied(`invalid bpf_context access off=${offset} size=${size}`)
    const argument = loadArgument(env, env.target, offset, size)
    noteContext(env, offset + size)
    return argument
  }
  const { program } = env
  const context = contextOf(program.type)
  if (context === undefined) throw new Unmodelled(`context of program type ${program.type}`)
  if (!env.capable && isForCapable(program.type, offset, write))
    denied(`invalid bpf_context access off=${offset} size=${size}`)
  const field = accessedField(context, offset, size, write, program.attachType, access.signExtends === true)
  if (field === undefined) denied(`invalid bpf_context access off=${offset} size=${size}`)
  noteContext(env, offset + size)
  return fieldValue(env, field.value)
}

/** __sk_buff's data and data_end, which cgroup programs without CAP_BPF don't have, and tstamp, which they don't set. */
function isForCapable(type: number, offset: number, write: boolean): boolean {
  if (type !== P.CGROUP_SKB) return false
  return (offset >= 76 && offset < 84) || (write && offset >= 152 && offset < 160)
}

function fieldValue(env: Verification, value: ContextValue): Register {
  switch (value) {
    case 'number':
      return UNKNOWN
    case 'packet':
      return pointer(KIND.PACKET)
    case 'packet_meta':
      return pointer(KIND.PACKET_META)
    case 'packet_end':
      return pointer(KIND.PACKET_END)
    case 'flow_keys':
      return pointer(KIND.FLOW_KEYS)
    case 'socket':
      return pointer(KIND.SOCKET)
    case 'socket?':
      return maybeNull(env, KIND.SOCKET)
    case 'sock_common?':
      return maybeNull(env, KIND.SOCK_COMMON)
    case 'tp_buffer':
      return pointer(KIND.TP_BUFFER)
    default:
      return objectPointer(env.kernel.structs.named(value.slice('btf:'.length)), FLAG.TRUSTED)
  }
}

function maybeNull(env: Verification, kind: number): Register {
  const register = pointer(kind, FLAG.MAYBE_NULL)
  register.id = env.newId()
  return register
}

const SOCKETS: Readonly<Record<number, Context>> = {
  [KIND.SOCKET]: SOCKET_FIELDS,
  [KIND.SOCK_COMMON]: SOCK_COMMON_FIELDS,
  [KIND.TCP_SOCK]: TCP_SOCK_FIELDS,
  [KIND.XDP_SOCK]: XDP_SOCK_FIELDS,
}

function accessSocket(base: Register, { number, size }: Access, offset: number): Register {
  if (sminNumber(base) < 0)
    denied(`R${number} min value is negative, either use unsigned index or do a if (index >=0) check.`)
  if (accessedField(SOCKETS[base.kind] ?? [], offset, size, false, 0) === undefined)
    denied(`R${number} invalid ${typeName(base)} access off=${offset} size=${size}`)
  return UNKNOWN
}

function checkBuffer(what: string, number: number, base: Register, offset: number, size: number): void {
  const buffer = what === 'tracepoint' ? 'tracepoint buffer' : `${what} buffer`
  if (offset < 0) denied(`R${number} invalid ${buffer} access: off=${offset}, size=${size}`)
  if (!isConst(base) || (base.valueLo | base.valueHi) !== 0)
    denied(`R${number} invalid variable buffer offset: off=${offset}, var_off=${tnumText(base)}`)
}

/** Checks an access to the packet: what was compared with its end. */
export function checkPacket(
  number: number,
  base: Register,
  offset: number,
  size: number,
  zeroSize: boolean,
): void {
  if (base.sminHi < 0)
    denied(`R${number} min value is negative, either use unsigned index or do a if (index >=0) check.`)
  if (base.range < 0) throw new Rejection(EINVAL, `R${number} offset is outside of the packet`)
  if (!isInside(offset, size, base.range, zeroSize))
    denied(
      `R${number} offset is outside of the packet`,
      regionProblem(number, base, offset, size, base.range),
    )
}

const READ_ONLY_PACKETS: ReadonlySet<number> = new Set([
  P.LWT_IN,
  P.LWT_OUT,
  P.LWT_SEG6LOCAL,
  P.SK_REUSEPORT,
  P.FLOW_DISSECTOR,
  P.CGROUP_SKB,
])
const PACKETS: ReadonlySet<number> = new Set([
  P.SCHED_CLS,
  P.SCHED_ACT,
  P.XDP,
  P.LWT_XMIT,
  P.SK_SKB,
  P.SK_MSG,
])

/** @param helperTakes whether it is an argument of a helper that takes packets; undefined: a load or store */
export function mayAccessPacket(
  env: Verification,
  helperTakes: boolean | undefined,
  write: boolean,
): boolean {
  const { type } = env.program
  if (READ_ONLY_PACKETS.has(type)) return !write && (helperTakes ?? true)
  if (PACKETS.has(type)) return helperTakes ?? true
  return type === P.CGROUP_SOCKOPT
}
