/** What a program attaches to, by BTF: whether it may, and what its context holds. */
import { resolveType, sizeOf, skipModifiers, typeById } from '../../btf/query.js'
import type { Btf, TypeId } from '../../btf/types.js'
import {
  BOOL_HOOKS,
  DISABLED_HOOKS,
  ENDLESS_FUNCTIONS,
  SLEEPABLE_HOOKS,
  UNTRACEABLE_FUNCTIONS,
  UNTRUSTED_HOOKS,
} from '../../linux/attach-rules.js'
import { BPF_ATTACH_TYPE as A } from '../../linux/attach-types.js'
import { ITERATOR_ARGUMENTS, mayBeNullArgument } from '../../linux/kernel-pointers.js'
import { isGplCompatible } from '../../linux/license.js'
import { BPF_PROG_TYPE as P, BPF_PROGRAM_FLAGS } from '../../linux/program-types.js'
import { isStruct, type KernelFunction, type KernelTypes, type StructType } from './kernel-types.js'
import { checkModification } from './modify-return.js'
import type { VerifierProgram } from './program.js'
import { ESRCH, invalid, Rejection, Unmodelled } from './rejection.js'
import { tagFlags } from './struct-walk.js'
import { FLAG } from './values/register.js'

/** What a word of the context holds. */
export type TargetArgument =
  | { readonly kind: 'number' }
  | { readonly kind: 'object'; readonly struct: StructType; readonly flags: number }
  /** A key or value of a map: `flags` of a buffer. */
  | { readonly kind: 'buffer'; readonly flags: number }

export interface AttachTarget {
  readonly name: string
  /** By words of eight bytes: structures that are passed by value take several. */
  readonly words: readonly TargetArgument[]
  /** Behind them: what the function returned, for programs that run afterwards. */
  readonly result: TargetArgument | undefined
  readonly returns: 'void' | 'number' | 'pointer'
  /** Of a security hook: what it may return. */
  readonly range: { readonly least: number; readonly most: number } | undefined
}

const NUMBER: TargetArgument = { kind: 'number' }
const MAX_ERRNO = 4095
const WORD = 8
/** Arguments of functions without a known prototype. */
const MAX_ARGUMENTS = 12

/** Program types whose contexts BTF describes. */
const BY_BTF: ReadonlySet<number> = new Set([P.TRACING, P.LSM, P.STRUCT_OPS])

/** @returns undefined: the program's type alone says what its context is */
export function attachTarget(program: VerifierProgram, kernel: KernelTypes): AttachTarget | undefined {
  if (!BY_BTF.has(program.type)) return undefined
  switch (program.type) {
    case P.TRACING:
      return tracingTarget(program, kernel)
    case P.LSM:
      return hookTarget(program, kernel)
    case P.STRUCT_OPS:
      return operationTarget(program, kernel)
    default:
      throw new Unmodelled(`context of program type ${program.type}`)
  }
}

function tracingTarget(program: VerifierProgram, kernel: KernelTypes): AttachTarget {
  const { attachType, attachTarget: name = '' } = program
  if (name === '') invalid('Tracing programs must provide btf_id')
  switch (attachType) {
    case A.TRACE_RAW_TP:
      return tracepointTarget(kernel, name)
    case A.TRACE_ITER:
      return iteratorTarget(kernel, name)
    case A.TRACE_FENTRY:
    case A.TRACE_FEXIT:
    case A.MODIFY_RETURN:
      return functionTarget(program, kernel, name)
    default:
      throw new Unmodelled(`context of tracing programs with attach type ${attachType}`)
  }
}

function tracepointTarget(kernel: KernelTypes, name: string): AttachTarget {
  const target = { name: `btf_trace_${name}`, result: undefined, returns: 'void', range: undefined } as const
  const proto = kernel.tracepoint(name)
  if (proto !== undefined) {
    const words = wordsOf(kernel, proto, FLAG.TRUSTED).map((word, i) =>
      word.kind === 'object' && mayBeNullArgument(name, i) ? orNull(word) : word,
    )
    return { ...target, words }
  }
  const known = kernel.simulatedTracepoint(name)
  if (known !== undefined) {
    const words = known.map((struct, i): TargetArgument => {
      if (struct === undefined) return NUMBER
      const flags = FLAG.TRUSTED | (mayBeNullArgument(name, i) ? FLAG.MAYBE_NULL : 0)
      return { kind: 'object', struct: kernel.structs.named(struct), flags }
    })
    return { ...target, words }
  }
  return missing(kernel, `tracepoint ${name}`)
}

/** What isn't in the kernel's BTF isn't there; an object's own BTF declares few functions, if any. */
function missing(kernel: KernelTypes, what: string): never {
  if (kernel.btf === undefined || kernel.own) throw new Unmodelled(`${what}: the kernel's BTF isn't known`)
  throw new Rejection(ESRCH, `failed to find kernel BTF type ID of ${what}`)
}

function orNull(word: TargetArgument & { readonly kind: 'object' }): TargetArgument {
  return { ...word, flags: word.flags | FLAG.MAYBE_NULL }
}

function iteratorTarget(kernel: KernelTypes, name: string): AttachTarget {
  const proto = kernel.function(`bpf_iter_${name}`)
  if (proto === undefined) return missing(kernel, `iterator ${name}`)
  const special = ITERATOR_ARGUMENTS[name]
  if (special === undefined) throw new Unmodelled(`context of iterator ${name}`)
  const words = wordsOf(kernel, proto, FLAG.TRUSTED).map((word, i): TargetArgument => {
    switch (special[proto.params[i]?.name ?? '']) {
      case 'trusted?':
        return word.kind === 'object' ? orNull(word) : word
      case 'object?':
        return word.kind === 'object' ? { ...word, flags: FLAG.MAYBE_NULL } : word
      case 'rdonly?':
        return { kind: 'buffer', flags: FLAG.MAYBE_NULL | FLAG.RDONLY }
      case 'rdwr?':
        return { kind: 'buffer', flags: FLAG.MAYBE_NULL }
      default:
        return word
    }
  })
  return { name: `bpf_iter_${name}`, words, result: undefined, returns: 'number', range: undefined }
}

function functionTarget(program: VerifierProgram, kernel: KernelTypes, name: string): AttachTarget {
  const { attachType } = program
  const proto = kernel.function(name)
  if (proto === undefined) return missing(kernel, `function ${name}`)
  const words = wordsOf(kernel, proto, 0)
  if (words.length > MAX_ARGUMENTS) invalid(`The function ${name} has ${words.length} arguments. Too many.`)
  checkModification(program, kernel, name)
  if (UNTRACEABLE_FUNCTIONS.has(name))
    invalid(`Attaching tracing programs to function '${name}' is rejected.`)
  if (attachType !== A.TRACE_FENTRY && ENDLESS_FUNCTIONS.has(name))
    invalid(`Attaching fexit/fmod_ret to __noreturn function '${name}' is rejected.`)
  const returns = returnOf(proto)
  const isNumber = resolveType(proto.btf, proto.returns).kind === 'int'
  const isAfter = attachType === A.TRACE_FEXIT || (attachType === A.MODIFY_RETURN && isNumber)
  const result = isAfter && returns !== 'void' ? wordOf(kernel, proto.btf, proto.returns, 0) : undefined
  return { name, words, result, returns, range: undefined }
}

function hookTarget(
  { attachTarget: hook = '', attachType, flags, license }: VerifierProgram,
  kernel: KernelTypes,
): AttachTarget {
  const name = `bpf_lsm_${hook}`
  const proto = kernel.function(name)
  if (hook === '') invalid('Tracing programs must provide btf_id')
  if (proto === undefined) return missing(kernel, `hook ${hook}`)
  if ((flags & BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE) !== 0 && !SLEEPABLE_HOOKS.has(hook))
    invalid(`${name} is not sleepable`)
  if (!isGplCompatible(license)) invalid('LSM programs must have a GPL compatible license')
  if (DISABLED_HOOKS.has(hook))
    invalid(`attach_btf_id ${kernel.functionId(name) ?? 0} points to disabled hook ${name}`)
  const trust = UNTRUSTED_HOOKS.has(hook) ? 0 : FLAG.TRUSTED
  const returns = returnOf(proto)
  const range =
    returns === 'void' || attachType === A.LSM_CGROUP
      ? undefined
      : BOOL_HOOKS.has(hook)
        ? { least: 0, most: 1 }
        : { least: -MAX_ERRNO, most: 0 }
  return {
    name,
    words: wordsOf(kernel, proto, trust),
    result: returns === 'void' ? undefined : NUMBER,
    returns,
    range,
  }
}

function operationTarget(
  { attachTarget: struct = '', attachType, flags, license }: VerifierProgram,
  kernel: KernelTypes,
): AttachTarget {
  if (!isGplCompatible(license)) invalid('struct ops programs must have a GPL compatible license')
  if (struct === '') invalid('attach_btf_id 0 is not a supported struct')
  const operation = kernel.operation(struct, attachType)
  if (operation === undefined) {
    if (kernel.btf === undefined || kernel.own || kernel.structs.named(struct).composite === undefined)
      return missing(kernel, `struct ${struct}`)
    return invalid(`attach to invalid member idx ${attachType} of struct ${struct}`)
  }
  const { member } = operation
  checkOperation(struct, member.name, flags)
  const words = wordsOf(kernel, operation, FLAG.TRUSTED).map((word) => promoted(kernel, struct, word))
  return { name: member.name, words, result: undefined, returns: returnOf(operation), range: undefined }
}

/** Members that programs can't implement, or not asleep. */
function checkOperation(struct: string, member: string, flags: number): void {
  if (!STRUCT_OPS.has(struct)) throw new Unmodelled(`programs for struct ${struct}`)
  const sleeps = (flags & BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE) !== 0
  const isRefused = struct === 'bpf_dummy_ops' ? sleeps && member !== 'test_sleepable' : member === 'get_info'
  if (isRefused) invalid(`attach to unsupported member ${member} of struct ${struct}`)
  if (sleeps && struct !== 'bpf_dummy_ops') throw new Unmodelled(`sleepable programs for struct ${struct}`)
}

/** Structs of functions that programs are modelled for. */
const STRUCT_OPS: ReadonlySet<string> = new Set(['tcp_congestion_ops', 'bpf_dummy_ops'])

/** Congestion control gets TCP sockets, though its prototypes say sockets. */
function promoted(kernel: KernelTypes, struct: string, word: TargetArgument): TargetArgument {
  if (struct !== 'tcp_congestion_ops' || word.kind !== 'object' || word.struct.name !== 'sock') return word
  return { ...word, struct: kernel.structs.named('tcp_sock') }
}

function returnOf({ btf, returns }: KernelFunction): AttachTarget['returns'] {
  const type = resolveType(btf, returns)
  if (type.kind === 'void') return 'void'
  return type.kind === 'ptr' ? 'pointer' : 'number'
}

function wordsOf(kernel: KernelTypes, { btf, params }: KernelFunction, trust: number): TargetArgument[] {
  return params.flatMap(({ name, type }) => {
    const word = wordOf(kernel, btf, type, trust)
    const count = resolveType(btf, type).kind === 'void' ? 0 : Math.ceil(sizeOf(btf, type) / WORD)
    if (word.kind === 'object' && name.endsWith('__nullable')) return [orNull(word)]
    return Array.from({ length: count }, () => word)
  })
}

function wordOf(kernel: KernelTypes, btf: Btf, id: TypeId, trust: number): TargetArgument {
  const type = resolveType(btf, id)
  if (type.kind !== 'ptr') return NUMBER
  const tag = typeById(btf, type.type)
  const pointee = resolveType(btf, type.type)
  if (!isStruct(pointee)) return NUMBER
  const target = skipModifiers(btf, type.type)
  // Type tags of arguments: user and per-CPU memory.
  const flags = tag.kind === 'type_tag' ? tagFlags(btf, type.type) & (FLAG.USER | FLAG.PERCPU) : 0
  return { kind: 'object', struct: kernel.structs.struct(target), flags: trust | flags }
}
