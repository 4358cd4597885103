/** Pointers to kernel objects: what may be read through them, and how far what was read may be trusted. */
import { SAFE_MEMBERS, SAFE_SUFFIXES, type SafeMember } from '../../linux/kernel-pointers.js'
import { findMember, resolveType, sizeOf, skipModifiers, typeById } from '../../btf/query.js'
import type { TypeId } from '../../btf/types.js'
import { BPF_MAP_TYPE as M } from '../../linux/map-types.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import type { AttachTarget, TargetArgument } from './attach-target.js'
import { fieldSize } from './field-sizes.js'
import { isStruct, type StructType } from './kernel-types.js'
import { isUntold, isUntoldNode } from './local-types.js'
import { denied, EPERM, invalid, Rejection, Unmodelled } from './rejection.js'
import { walkStruct, type Walk } from './struct-walk.js'
import { syncBounds } from './values/bounds.js'
import { FLAG, KIND, pointer, type Register, UNKNOWN, unknownScalar } from './values/register.js'
import { isConst, tnumText } from './values/tnum.js'
import type { Verification } from './verification.js'

const WORD = 8
/** No tracing context is larger. */
const MAX_CONTEXT = 96

export function objectPointer(struct: StructType, flags: number): Register {
  const register = pointer(KIND.BTF_ID, flags)
  register.struct = struct
  return register
}

/** Loads a word of a context that BTF describes. */
export function loadArgument(
  env: Verification,
  target: AttachTarget,
  offset: number,
  size: number,
): Register {
  const { words, result, range, name } = target
  const fits = offset >= 0 && offset < MAX_CONTEXT && offset % size === 0
  const index = offset / WORD
  if (!fits || index !== Math.floor(index)) denied(`invalid bpf_context access off=${offset} size=${size}`)
  const word = index === words.length ? result : words[index]
  if (word === undefined)
    denied(
      `invalid bpf_context access off=${offset} size=${size}`,
      `func '${name}' doesn't have ${index + 1}-th argument`,
    )
  if (word.kind === 'number')
    return index === words.length && range !== undefined ? ranged(range.least, range.most) : UNKNOWN
  if (size !== WORD)
    denied(`invalid bpf_context access off=${offset} size=${size}`, `func '${name}' size ${size} must be 8`)
  return argumentPointer(env, word)
}

function argumentPointer(env: Verification, word: Exclude<TargetArgument, { kind: 'number' }>): Register {
  const register =
    word.kind === 'object' ? objectPointer(word.struct, word.flags) : pointer(KIND.BUF, word.flags)
  if ((word.flags & FLAG.MAYBE_NULL) !== 0) register.id = env.newId()
  return register
}

function ranged(least: number, most: number): Register {
  const register = unknownScalar()
  register.s32Min = least
  register.s32Max = most
  register.sminHi = least >> 31
  register.sminLo = least
  register.smaxHi = most >> 31
  register.smaxLo = most
  syncBounds(register)
  return register
}

/** Any pointer may be read that is one: what can't be read gives zero. */
export function accessObject(
  env: Verification,
  number: number,
  base: Register,
  offset: number,
  size: number,
  write: boolean,
): Register {
  const { struct } = base
  // A per-CPU variable that is no struct: only helpers take it.
  if (struct === undefined) denied(`R${number} is ptr_ access percpu memory: off=${offset}`)
  checkPlace(env, number, base, struct, offset)
  const isOwn = (base.flags & FLAG.ALLOC) !== 0
  if (write && !isOwn) {
    writeObject(env, struct, offset, size)
    return UNKNOWN
  }
  if (isOwn) checkManaged(env, struct, offset, size)
  if (write) noteStore(env, base.flags)
  if (isUntold(base)) return UNKNOWN
  const walk = walkStruct(struct, offset, size, 0)
  return loaded(env, base, struct, walk)
}

/** What the kernel manages in an object of the program is no program's to read or write. */
function checkManaged({ locals }: Verification, struct: StructType, offset: number, size: number): void {
  for (const field of locals.fieldsOf(struct)) {
    if (offset < field.offset + fieldSize(field.kind) && field.offset < offset + size)
      denied(`direct access to ${field.kind === 'kptr_untrusted' ? 'kptr' : field.kind} is disallowed`)
  }
}

/** A store is compiled once: its object must be owned, or borrowed, on all paths. */
function noteStore({ storeFlags, insn }: Verification, flags: number): void {
  const known = storeFlags.get(insn)
  if (known !== undefined && known !== flags) invalid('same insn cannot be used with different pointers')
  storeFlags.set(insn, flags)
}

function checkPlace(
  env: Verification,
  number: number,
  base: Register,
  struct: StructType,
  offset: number,
): void {
  const { name } = struct
  checkMayRead(env, name)
  if (!env.gpl && !struct.local)
    invalid(`Cannot access kernel 'struct ${name}' from non-GPL compatible program`)
  if (offset < 0 && !isUntoldNode(base))
    denied(`R${number} is ptr_${name} invalid negative access: off=${offset}`)
  if (!isConst(base) || (base.valueLo | base.valueHi) !== 0)
    denied(`R${number} is ptr_${name} invalid variable offset: off=${offset}, var_off=${tnumText(base)}`)
  if ((base.flags & FLAG.USER) !== 0) denied(`R${number} is ptr_${name} access user memory: off=${offset}`)
  if ((base.flags & FLAG.PERCPU) !== 0)
    denied(`R${number} is ptr_${name} access percpu memory: off=${offset}`)
}

/** The kernel's memory is for those who may know its addresses. */
function checkMayRead({ mayLeak }: Verification, struct: string): void {
  if (mayLeak) return
  throw new Rejection(EPERM, `'struct ${struct}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`)
}

/** What maps are in the kernel, by type. */
const MAP_STRUCTS: Readonly<Record<number, string>> = {
  [M.ARRAY]: 'bpf_array',
  [M.PERCPU_ARRAY]: 'bpf_array',
  [M.HASH]: 'bpf_htab',
  [M.LRU_HASH]: 'bpf_htab',
  [M.PERCPU_HASH]: 'bpf_htab',
  [M.LRU_PERCPU_HASH]: 'bpf_htab',
  [M.ARENA]: 'bpf_arena',
  [M.RINGBUF]: 'bpf_ringbuf_map',
  [M.LPM_TRIE]: 'lpm_trie',
}

/** The kernel's own description of a map may be read. */
export function accessMapStructure(
  env: Verification,
  number: number,
  base: Register,
  offset: number,
  size: number,
  write: boolean,
): Register {
  const name = MAP_STRUCTS[base.map?.type ?? 0]
  if (name === undefined) throw new Unmodelled('access to a map structure')
  checkMayRead(env, name)
  if (offset < 0) denied(`R${number} is ${name} invalid negative access: off=${offset}`)
  if (write) denied(`only read from ${name} is supported`)
  const struct = env.kernel.structs.named(name)
  return loaded(env, objectPointer(struct, 0), struct, walkStruct(struct, offset, size, 0))
}

/** Members of TCP sockets that congestion control may write, as ranges of `tcp_sock`. */
const WRITABLE_TCP: readonly (readonly string[])[] = [
  ['inet_conn', 'icsk_ca_priv'],
  ['inet_conn', 'icsk_ack', 'pending'],
  ['snd_cwnd'],
  ['snd_cwnd_cnt'],
  ['snd_cwnd_stamp'],
  ['snd_ssthresh'],
  ['ecn_flags'],
  ['app_limited'],
  ['inet_conn', 'icsk_inet', 'sk', 'sk_pacing_rate'],
  ['inet_conn', 'icsk_inet', 'sk', 'sk_pacing_status'],
]

function writeObject(env: Verification, struct: StructType, offset: number, size: number): void {
  const { type, attachTarget } = env.program
  const isCongestionControl = type === P.STRUCT_OPS && attachTarget === 'tcp_congestion_ops'
  if (!isCongestionControl || struct.name !== 'tcp_sock') denied('only read is supported')
  for (const path of WRITABLE_TCP) {
    const range = rangeOf(struct, path)
    if (range === undefined || offset < range.start || offset >= range.end) continue
    if (offset + size <= range.end) return
    denied(
      `write access at off ${offset} with size ${size} beyond the member of tcp_sock ended at ${range.end}`,
    )
  }
  denied(`no write support to tcp_sock at off ${offset}`)
}

function rangeOf(
  struct: StructType,
  path: readonly string[],
): { readonly start: number; readonly end: number } | undefined {
  const { btf } = struct
  let type = struct.composite
  let start = 0
  let end = 0
  for (const name of path) {
    if (btf === undefined || type === undefined) return undefined
    const found = findMember(btf, type, name)
    if (found === undefined) return undefined
    start += found.bitOffset / 8
    const bits = found.bitSize === 0 ? sizeOf(btf, found.type) * 8 : found.bitSize
    end = start + Math.ceil(bits / 8)
    const inner = resolveType(btf, found.type)
    type = isStruct(inner) ? inner : undefined
  }
  return { start: Math.floor(start), end: Math.ceil(end) }
}

function loaded(env: Verification, base: Register, struct: StructType, walk: Walk): Register {
  switch (walk.kind) {
    case 'number':
      return UNKNOWN
    case 'bytes':
      return pointer(KIND.MEM, FLAG.RDONLY | FLAG.UNTRUSTED)
    case 'pointer': {
      // Objects of the program hold no pointers to objects that could be followed.
      if ((base.flags & FLAG.ALLOC) !== 0) return UNKNOWN
      if (struct.local) throw new Unmodelled(`pointers in untrusted struct ${struct.name}`)
      const register = objectPointer(env.kernel.structs.struct(walk.target), flagsOf(env, base, struct, walk))
      if ((register.flags & FLAG.MAYBE_NULL) !== 0) register.id = env.newId()
      return register
    }
  }
}

/** Trusted: it surely is such an object, and lives while the program runs. */
const TRUSTED_FLAGS = FLAG.TRUSTED | FLAG.ALLOC | FLAG.NON_OWNING

/** Whether a pointer surely points to a living object. */
export function isTrusted({ refId, kind, flags }: Register): boolean {
  if (refId !== 0) return true
  if (kind !== KIND.BTF_ID) return (flags & ~TRUSTED_FLAGS) === 0
  return (flags & TRUSTED_FLAGS) !== 0 && (flags & ~TRUSTED_FLAGS) === 0
}

/** Whether objects that are freed after a grace period stay: in a section of one, or where the whole program is one. */
export function isInRcuSection({ state }: Verification): boolean {
  return state.rcuLocks > 0 || state.activeLocks > 0 || !state.sleepable
}

function flagsOf(
  env: Verification,
  base: Register,
  struct: StructType,
  { flags, member, target }: Walk & { readonly kind: 'pointer' },
): number {
  if ((base.flags & FLAG.UNTRUSTED) !== 0) return FLAG.UNTRUSTED
  const plain = flags & ~(TRUSTED_FLAGS | FLAG.RCU)
  if (!isTrusted(base) && (base.flags & FLAG.RCU) === 0) return plain
  const safe = safeMember(struct, member, target)
  if (safe === 'trusted') return flags | FLAG.TRUSTED
  if (safe === 'trusted?') return flags | FLAG.TRUSTED | FLAG.MAYBE_NULL
  if (!isInRcuSection(env) || (base.flags & FLAG.MAYBE_NULL) !== 0) return FLAG.UNTRUSTED
  if (safe === 'rcu') return flags | FLAG.RCU
  if (safe === 'rcu?') return (flags | FLAG.RCU | FLAG.MAYBE_NULL) & ~FLAG.UNTRUSTED
  if ((flags & FLAG.RCU) !== 0) return flags | FLAG.MAYBE_NULL
  if ((flags & (FLAG.PERCPU | FLAG.USER)) !== 0) return flags
  return plain
}

/** What the kernel says of a member of a trusted object, if it says something. */
function safeMember(struct: StructType, member: string, target: TypeId): SafeMember | undefined {
  const { btf, name } = struct
  if (btf === undefined) return undefined
  // A kernel that has such lists has this one.
  if (btf.find('bpf_iter_meta__safe_trusted').length === 0) return SAFE_MEMBERS[name]?.[member]
  for (const [suffix, safe] of SAFE_SUFFIXES) {
    for (const id of btf.find(name + suffix)) {
      const list = typeById(btf, id)
      if (!isStruct(list)) continue
      for (const one of list.members) {
        const type = resolveType(btf, one.type)
        if (one.name === member && type.kind === 'ptr' && skipModifiers(btf, type.type) === target)
          return safe
      }
    }
  }
  return undefined
}
