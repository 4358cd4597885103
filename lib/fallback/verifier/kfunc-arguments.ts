/** Arguments of the kernel's functions: what a parameter takes is told by its type, its name's suffix, and what the register holds. */
import { iteratorPart, type Kfunc, type KfuncParameter } from '../../linux/kfuncs.js'
import { checkNode, checkRoot, type GraphRoot } from './graphs.js'
import { checkFreeForDynptr, checkOffset, checkString, dynptrArgument } from './helper-arguments.js'
import { isContextType } from './context-types.js'
import { createIterator, type IteratorPlace, useIterator } from './iterators.js'
import { restoreFlags, saveFlags } from './irq-flags.js'
import { isTrusted } from './kernel-pointers.js'
import type { StructType } from './kernel-types.js'
import { checkCounted, checkDropped, hasOnlyNumbers } from './local-objects.js'
import { isUntold } from './local-types.js'
import { checkField, lock, noteMap, unlock } from './locks.js'
import { checkNoOffset } from './pointer-offsets.js'
import { checkMemory, checkSizedMemory } from './memory-argument.js'
import { readRegister } from './operands.js'
import { markPrecise } from './precision.js'
import type { VerifierMap } from './program.js'
import { denied, invalid, Unmodelled } from './rejection.js'
import { holdsStruct } from './struct-walk.js'
import { typeName } from './type-names.js'
import { cloneRegister, FLAG, isKnownZero, KIND, type Register } from './values/register.js'
import { constantNumber } from './values/numbers.js'
import { isConst } from './values/tnum.js'
import type { Verification } from './verification.js'

/** What the arguments tell of the call. */
export class KfuncFacts {
  /** Reference of an argument. */
  refId = 0
  /** Register whose reference is released. */
  released = 0
  /** A constant argument, or the size of memory; undefined: none. */
  constant: number | undefined = undefined
  map: VerifierMap | undefined = undefined
  mapUid = 0
  /** Number of the callback's function. */
  callback = -1
  /** The dynptr that was passed. */
  dynptr: Register | undefined = undefined
  /** The iterator of bpf_iter_…_next() or _destroy(). */
  iterator: IteratorPlace | undefined = undefined
  /** A dynptr to be made: its register, when all arguments are fine. */
  newDynptr = 0
  /** The list or tree that was passed: what it holds. */
  root: GraphRoot | undefined = undefined
  /** The object that is counted once more, and whether the program owns it. */
  object: StructType | undefined = undefined
  owned = false
}

/** C types that are no structures. */
const SCALAR_SIZES: Readonly<Record<string, number>> = {
  char: 1,
  bool: 1,
  u8: 1,
  __u8: 1,
  s8: 1,
  u16: 2,
  short: 2,
  __be16: 2,
  int: 4,
  u32: 4,
  __u32: 4,
  s32: 4,
  'unsigned int': 4,
  u64: 8,
  __u64: 8,
  s64: 8,
  size_t: 8,
  'unsigned long': 8,
  long: 8,
}

function hasSuffix({ name }: KfuncParameter, suffix: string): boolean {
  return name.endsWith(suffix)
}

export function checkKfuncArguments(env: Verification, kfunc: Kfunc): KfuncFacts {
  const facts = new KfuncFacts()
  const { params, flags, name } = kfunc
  for (let i = 0; i < params.length; i++) {
    const param = params[i] as KfuncParameter
    const number = i + 1
    if (hasSuffix(param, '__prog') || hasSuffix(param, '__ign')) continue
    const register = readRegister(env, number)
    if (param.pointers === 0) {
      takeScalar(env, number, register, param, facts)
      continue
    }
    // Linux 6.12 to 6.18 at first let NULL through where a size follows; later builds of 6.18 don't.
    const nullable = hasSuffix(param, '__nullable') || hasSuffix(param, '__opt')
    const mayBeNull = isKnownZero(register) || (register.flags & FLAG.MAYBE_NULL) !== 0
    if (mayBeNull && !nullable) denied(`Possibly NULL pointer passed to trusted arg${i}`)
    if (register.refId !== 0) {
      if (flags.release) facts.released = number
      facts.refId = register.refId
    }
    if (takePointer(env, kfunc, i, register, facts)) i++
  }
  if (flags.release && facts.released === 0)
    invalid(`release kernel function ${name} expects refcounted PTR_TO_BTF_ID`)
  return facts
}

function takeScalar(
  env: Verification,
  number: number,
  register: Register,
  param: KfuncParameter,
  facts: KfuncFacts,
): void {
  if (register.kind !== KIND.SCALAR) invalid(`R${number} is not a scalar`)
  if (!hasSuffix(param, '__k')) return
  if (!isConst(register)) invalid(`R${number} must be a known constant`)
  markPrecise(env, number)
  facts.constant = constantNumber(register)
}

/** @returns true: the next parameter, the size, is settled too */
function takePointer(
  env: Verification,
  kfunc: Kfunc,
  i: number,
  register: Register,
  facts: KfuncFacts,
): boolean {
  const param = kfunc.params[i] as KfuncParameter
  const number = i + 1
  const { type } = param
  if (kfunc.name === 'bpf_cast_to_kern_ctx' || isContext(env, type)) {
    if (register.kind !== KIND.CTX || register.flags !== 0)
      invalid(`arg#${i} expected pointer to ctx, but got ${typeName(register)}`)
    checkNoOffset(number, register)
    return false
  }
  if (hasSuffix(param, '__nullable') && isKnownZero(register)) return false
  if (takeOwn(env, kfunc, i, register, facts)) return false
  if (type === 'struct bpf_dynptr') {
    takeDynptr(env, number, register, param, facts)
    return false
  }
  const iterator = iteratorPart(kfunc.name)
  if (iterator !== undefined && i === 0) {
    takeIterator(env, kfunc, number, register, facts)
    return false
  }
  if (hasSuffix(param, '__str')) {
    if (register.kind !== KIND.MAP_VALUE || register.flags !== 0)
      invalid(`arg#${i} doesn't point to a const string`)
    checkString(number, register)
    return false
  }
  if (hasSuffix(param, '__map')) {
    if (register.map === undefined) invalid(`pointer in R${number} isn't map pointer`)
    checkSameMap(register, facts)
    if (register.kind !== KIND.MAP_PTR) invalid(`R${number} must be referenced or trusted`)
    noteMap(facts, register)
    return false
  }
  if (register.kind === KIND.BTF_ID || SOCKETS[register.kind] !== undefined) {
    takeObject(env, kfunc, i, register)
    return false
  }
  if (type === 'callback') {
    if (register.kind !== KIND.FUNC) invalid(`arg${i} expected pointer to func`)
    facts.callback = register.frame
    return false
  }
  return takeMemory(env, kfunc, i, register, facts)
}

/** Takes what lies in the program's own memory: objects that it made, fields of values that the kernel manages, saved flags. @returns whether it is such */
function takeOwn(
  env: Verification,
  { name, params, flags }: Kfunc,
  i: number,
  register: Register,
  facts: KfuncFacts,
): boolean {
  const param = params[i] as KfuncParameter
  const number = i + 1
  const { type } = param
  const isDropped = hasSuffix(param, '__alloc')
  const isCounted = hasSuffix(param, '__refcounted_kptr')
  const isFlag = hasSuffix(param, '__irq_flag')
  if (!isDropped && !isCounted && !isFlag && !OWN_TYPES.has(type)) return false
  if (isDropped && !isObject(register)) invalid(`R${number} must be referenced or trusted`)
  checkOffset(number, register, flags.release && register.refId !== 0)
  if (isDropped) checkDropped(name, number, register)
  else if (isCounted) takeCounted(env, number, register, facts)
  else if (isFlag) takeFlags(env, name, number, register)
  else takeField(env, name, type, number, register, facts)
  return true
}

/** A living object, be it the kernel's. */
function isObject(register: Register): boolean {
  const isAny = register.kind === KIND.BTF_ID || SOCKETS[register.kind] !== undefined || register.refId !== 0
  return isAny && isTrusted(register)
}

/** Types of what only special functions take. */
const OWN_TYPES: ReadonlySet<string> = new Set([
  'struct bpf_list_head',
  'struct bpf_list_node',
  'struct bpf_rb_root',
  'struct bpf_rb_node',
  'struct bpf_wq',
  'struct bpf_task_work',
  'struct bpf_res_spin_lock',
])

function takeField(
  env: Verification,
  kfunc: string,
  type: string,
  number: number,
  register: Register,
  facts: KfuncFacts,
): void {
  switch (type) {
    case 'struct bpf_list_head':
    case 'struct bpf_rb_root':
      facts.root = checkRoot(
        env,
        number,
        register,
        type === 'struct bpf_rb_root' ? 'bpf_rb_root' : 'bpf_list_head',
      )
      return
    case 'struct bpf_list_node':
      return checkNode(env, kfunc, number, register, 'bpf_list_node', facts.root)
    case 'struct bpf_rb_node':
      return checkNode(env, kfunc, number, register, 'bpf_rb_node', facts.root)
    case 'struct bpf_res_spin_lock':
      return takeLock(env, kfunc, number, register)
    default: {
      if (register.kind !== KIND.MAP_VALUE || register.flags !== 0)
        invalid(`arg#${number - 1} doesn't point to a map value`)
      const kind = type === 'struct bpf_wq' ? 'bpf_wq' : 'bpf_task_work'
      // Linux looks for the field without asking whether there is one.
      if (kind === 'bpf_wq' && register.map?.specialFields.some((field) => field.kind === kind) !== true)
        throw new Unmodelled(`${kind} in map ${register.map?.name ?? ''}, which has none`)
      checkField(number, register, kind)
      noteMap(facts, register)
    }
  }
}

function takeCounted(env: Verification, number: number, register: Register, facts: KfuncFacts): void {
  checkCounted(env, number, register)
  facts.owned = (register.flags & FLAG.NON_OWNING) === 0
  facts.object = register.struct
}

/** Flags that are saved and restored with a lock go by its functions' names. */
function takeFlags(env: Verification, kfunc: string, number: number, register: Register): void {
  const by = kfunc.startsWith('bpf_res_spin_') ? 'lock' : 'native'
  if (kfunc.endsWith('save')) saveFlags(env, number, register, by)
  else restoreFlags(env, number, register, by)
}

function takeLock(env: Verification, kfunc: string, number: number, register: Register): void {
  const isObject = register.kind === KIND.BTF_ID && register.flags === FLAG.ALLOC
  if (!isObject && (register.kind !== KIND.MAP_VALUE || register.flags !== 0))
    invalid(`arg#${number - 1} doesn't point to map value or allocated object`)
  const kind = kfunc.includes('_irq') ? 'res_lock_irq' : 'res_lock'
  if (kfunc.startsWith('bpf_res_spin_lock')) lock(env, number, register, kind)
  else unlock(env, number, register, kind)
}

/** Work that is queued for a field of a value, and the map of the value. */
function checkSameMap({ map, mapUid }: Register, facts: KfuncFacts): void {
  if (facts.map === undefined || (facts.map === map && facts.mapUid === mapUid)) return
  const has = (kind: string): boolean =>
    facts.map?.specialFields.some((field) => field.kind === kind) === true
  if (has('bpf_task_work'))
    invalid(
      `bpf_task_work pointer in R2 map_uid=${facts.mapUid} doesn't match map pointer in R3 map_uid=${mapUid}`,
    )
  if (has('bpf_wq'))
    invalid(
      `workqueue pointer in R1 map_uid=${facts.mapUid} doesn't match map pointer in R2 map_uid=${mapUid}`,
    )
}

function isContext({ program }: Verification, type: string): boolean {
  return type.startsWith('struct ') && isContextType(program.type, type.slice('struct '.length))
}

function takeDynptr(
  env: Verification,
  number: number,
  register: Register,
  param: KfuncParameter,
  facts: KfuncFacts,
): void {
  if (register.kind !== KIND.STACK && register.kind !== KIND.DYNPTR)
    invalid(`arg#${number - 1} expected pointer to stack or const struct bpf_dynptr`)
  if (hasSuffix(param, '__uninit')) {
    checkFreeForDynptr(env, number, register)
    facts.newDynptr = number
    return
  }
  facts.dynptr = dynptrArgument(env, number, register)
}

function takeIterator(
  env: Verification,
  { name, flags }: Kfunc,
  number: number,
  register: Register,
  facts: KfuncFacts,
): void {
  const { iterator, part } = iteratorPart(name) ?? { iterator: '', part: 'new' }
  if (part === 'new') return createIterator(env, number, register, iterator, flags.protected)
  facts.iterator = useIterator(env, number, register, iterator, name)
}

/** Kinds of registers that are kernel objects too. */
const SOCKETS: Readonly<Record<number, string>> = {
  [KIND.SOCKET]: 'sock',
  [KIND.SOCK_COMMON]: 'sock_common',
  [KIND.TCP_SOCK]: 'tcp_sock',
  [KIND.MAP_PTR]: 'bpf_map',
}

const TRUST = FLAG.TRUSTED | FLAG.ALLOC | FLAG.NON_OWNING

function takeObject(env: Verification, kfunc: Kfunc, i: number, register: Register): void {
  const { type } = kfunc.params[i] as KfuncParameter
  const { flags } = kfunc
  const number = i + 1
  if (!/^(struct|union) /.test(type))
    invalid(`kernel function ${kfunc.name} args#${i} pointer type ${type} is not supported`)
  if (flags.trusted || flags.rcu || flags.release) checkTrust(kfunc, number, register)
  if (flags.release && register.refId !== 0) {
    if (register.offset !== 0)
      invalid(`R${number} must have zero offset when passed to release func or trusted arg to kfunc`)
    checkNoOffset(number, register)
  } else checkNoOffset(number, register, true)
  const unsafe = (register.flags & ~TRUST) !== 0 && (register.flags & FLAG.RCU) === 0
  if (register.kind === KIND.BTF_ID && unsafe) {
    const expected = typeName({ kind: KIND.BTF_ID, flags: register.flags & TRUST })
    invalid(`arg#${i} is ${typeName(register)} expected ${expected} or socket`)
  }
  const wanted = env.kernel.structs.named(type.slice(type.indexOf(' ') + 1))
  const own = register.struct ?? env.kernel.structs.named(SOCKETS[register.kind] ?? '')
  const strict = flags.acquire || (flags.release && register.refId !== 0)
  if (isProjection(wanted.name, own.name)) return
  if (isUntold(register))
    throw new Unmodelled(`kfunc ${kfunc.name} of an object: the program's types aren't told`)
  const fits = strict
    ? register.offset === 0 && isSame(own, wanted)
    : holdsStruct(own, register.offset, wanted)
  if (!fits)
    invalid(
      `kernel function ${kfunc.name} args#${i} expected pointer to ${wordsOf(wanted)} but R${number} has a pointer to ${wordsOf(own)}`,
    )
}

function isSame(a: StructType, b: StructType): boolean {
  return a === b || (a.btf === undefined && b.btf === undefined && a.name === b.name)
}

function wordsOf({ name, composite }: StructType): string {
  return `${composite?.kind === 'union' ? 'UNION' : 'STRUCT'} ${name}`
}

/** What programs see of a packet stands for the kernel's packet. */
function isProjection(wanted: string, own: string): boolean {
  return (
    (wanted === '__sk_buff' && own === 'sk_buff') ||
    (wanted === 'xdp_md' && own === 'xdp_buff') ||
    (wanted === 'bpf_sock_ops' && own === 'bpf_sock_ops_kern')
  )
}

function checkTrust({ flags }: Kfunc, number: number, register: Register): void {
  if (isTrusted(register)) return
  if (!flags.rcu) invalid(`R${number} must be referenced or trusted`)
  if ((register.flags & FLAG.RCU) === 0) invalid(`R${number} must be a rcu pointer`)
}

/** @returns whether the next parameter is its size */
function takeMemory(
  env: Verification,
  kfunc: Kfunc,
  i: number,
  register: Register,
  facts: KfuncFacts,
): boolean {
  const param = kfunc.params[i] as KfuncParameter
  const next = kfunc.params[i + 1]
  const number = i + 1
  const { type, pointers } = param
  const isConstant = next !== undefined && hasSuffix(next, '__szk')
  const isSized = isConstant || (next !== undefined && hasSuffix(next, '__sz'))
  const size = pointers > 1 ? 8 : sizeOfPointee(env, type)
  if (size === undefined && !(isSized && type === 'void')) {
    const [kind = '', name = ''] = type.split(' ')
    const words = kind === 'struct' ? `STRUCT ${name}` : kind === 'void' ? 'VOID ' : type
    invalid(
      `arg#${i} pointer type ${words} must point to ${isSized ? 'void, ' : ''}scalar, or struct with scalar`,
    )
  }
  if (!isSized) {
    checkDeclared(env, number, register, size ?? 0)
    return false
  }
  const length = readRegister(env, number + 1)
  if (length.kind !== KIND.SCALAR) invalid(`R${number + 1} is not a scalar`)
  const skips = isKnownZero(register) && hasSuffix(param, '__opt')
  if (!skips) checkSized(env, number, register, length)
  if (isConstant) {
    if (!isConst(length)) invalid(`R${number + 1} must be a known constant`)
    markPrecise(env, number + 1)
    facts.constant = constantNumber(length)
  }
  return true
}

/** The kernel reads and writes all of it. */
function checkDeclared(env: Verification, number: number, register: Register, size: number): void {
  if (isKnownZero(register)) return
  const known = withoutNull(register)
  checkMemory(env, number, known, { size, write: false, zeroSize: true })
  checkMemory(env, number, known, { size, write: true, zeroSize: true })
}

function checkSized(env: Verification, number: number, register: Register, length: Register): void {
  env.registers[number] = withoutNull(register)
  try {
    checkSizedMemory(env, number + 1, length, { write: false, zeroSize: true })
    checkSizedMemory(env, number + 1, length, { write: true, zeroSize: true })
  } finally {
    env.registers[number] = register
  }
}

function withoutNull(register: Register): Register {
  if ((register.flags & FLAG.MAYBE_NULL) === 0) return register
  const known = cloneRegister(register)
  known.flags &= ~FLAG.MAYBE_NULL
  return known
}

/** Bytes of a number, or of a struct that consists of numbers; undefined: it is something else. */
function sizeOfPointee({ kernel }: Verification, type: string): number | undefined {
  const scalar = SCALAR_SIZES[type]
  if (scalar !== undefined) return scalar
  if (type.startsWith('enum ')) return 4
  const match = /^(?:struct|union) (\w+)$/.exec(type)
  if (match === null) return undefined
  const { btf, composite, id } = kernel.structs.named(match[1] as string)
  if (btf === undefined || composite === undefined) throw new Unmodelled(`layout of ${type}`)
  return hasOnlyNumbers(btf, id, 0) ? composite.size : undefined
}
