/** Global functions: called by what they declare, and verified once by it. */
import { checkTaggedContext, isContextType } from './context-types.js'
import { checkNoOffset } from './pointer-offsets.js'
import { checkDynptr } from './helper-arguments.js'
import { checkMemory } from './memory-argument.js'
import type { FunctionArgument, VerifierProgram } from './program.js'
import { invalid, Rejection, Unmodelled } from './rejection.js'
import type { Subprogram } from './subprograms.js'
import { typeName } from './type-names.js'
import { cloneRegister, FLAG, isKnownZero, KIND, pointer, type Register, UNKNOWN } from './values/register.js'
import type { Verification } from './verification.js'

/** MAX_BPF_FUNC_REG_ARGS. */
const MAX_ARGUMENTS = 5
const KNOWN_TAGS: ReadonlySet<string> = new Set(['ctx', 'nonnull', 'nullable'])

/** What a declared argument is. */
type Declared =
  | { readonly kind: 'number' | 'context' | 'dynptr' }
  | { readonly kind: 'memory'; readonly size: number; readonly mayBeNull: boolean }

/** What a function says of its arguments. @throws Rejection for what none can be */
export function declaredArguments(
  { program }: Verification,
  { info, index, name }: Subprogram,
): readonly Declared[] {
  if (info?.args === undefined) throw new Unmodelled(`global function ${name || index} without types`)
  const count = info.args.length
  if (count > MAX_ARGUMENTS)
    invalid(`Global function ${name}() with ${count} > ${MAX_ARGUMENTS} args. Buggy compiler.`)
  if (info.returns !== 'int')
    invalid(`Global function ${name}() doesn't return scalar. Only those are supported.`)
  return info.args.map((argument, i) => declared(program, argument, i, name))
}

function declared(
  program: Pick<VerifierProgram, 'type' | 'attachType'>,
  argument: FunctionArgument,
  i: number,
  name: string,
): Declared {
  const { kind, pointee, typeName: type, size, tags } = argument
  const unknown = tags.find((tag) => !KNOWN_TAGS.has(tag))
  if (unknown !== undefined) throw new Unmodelled(`argument tag arg:${unknown}`)
  if (kind !== 'pointer') {
    if (tags.length > 0) invalid(`arg#${i} has pointer tag, but is not a pointer type`)
    if (kind !== 'scalar') invalid(`Arg#${i} type ${type} in ${name}() is not supported yet.`)
    return { kind: 'number' }
  }
  const isTagged = tags.includes('ctx')
  const badTags = (): never => invalid(`arg#${i} has invalid combination of tags`)
  if (isTagged || (pointee !== 'fwd' && isContextType(program.type, type))) {
    if (tags.some((tag) => tag !== 'ctx')) badTags()
    if (isTagged) checkTaggedContext(program, argument, i)
    return { kind: 'context' }
  }
  if (type === 'bpf_dynptr') return tags.length > 0 ? badTags() : { kind: 'dynptr' }
  if (tags.includes('nullable')) badTags()
  if (pointee === 'void' || pointee === 'fwd' || size <= 0)
    invalid(
      `Arg#${i} type ${pointee === 'void' ? 'UNKNOWN' : 'FWD'} in ${name}() is not supported yet.`,
      `arg#${i} reference type('${type}') size cannot be determined: -22`,
    )
  return { kind: 'memory', size, mayBeNull: !tags.includes('nonnull') }
}

/** At a call: whether the registers are what is declared. */
export function checkGlobalArguments(env: Verification, subprogram: Subprogram): void {
  const label = `Caller passes invalid args into func#${subprogram.index} ('${subprogram.name}')`
  try {
    declaredArguments(env, subprogram).forEach((argument, i) => {
      checkArgument(env, argument, i + 1, env.register(i + 1))
    })
  } catch (error) {
    if (error instanceof Unmodelled || !(error instanceof Rejection)) throw error
    throw new Rejection(error.errno, label, ...error.details, error.reason)
  }
}

function checkArgument(env: Verification, argument: Declared, number: number, register: Register): void {
  switch (argument.kind) {
    case 'number':
      if (register.kind !== KIND.SCALAR) invalid(`R${number} is not a scalar`)
      return
    case 'context':
      if (register.kind !== KIND.CTX)
        invalid(`arg#${number - 1} expected pointer to ctx, but got ${typeName(register)}`)
      checkNoOffset(number, register)
      return
    case 'memory':
      if (isKnownZero(register) || (register.flags & FLAG.MAYBE_NULL) !== 0) {
        if (!argument.mayBeNull) invalid(`arg#${number - 1} is expected to be non-NULL`)
        if (isKnownZero(register)) return
      }
      checkDeclaredMemory(env, number, register, argument.size)
      return
    case 'dynptr':
      if (register.kind !== KIND.STACK) checkNoOffset(number, register)
      checkDynptr(env, number, register)
  }
}

/** The function may read and write all of it. */
function checkDeclaredMemory(env: Verification, number: number, register: Register, size: number): void {
  const known = cloneRegister(register)
  known.flags &= ~FLAG.MAYBE_NULL
  checkMemory(env, number, known, { size, write: false, zeroSize: true })
  checkMemory(env, number, known, { size, write: true, zeroSize: true })
}

/** Registers at the entry of a global function that is verified on its own. */
export function globalEntry(env: Verification, subprogram: Subprogram): readonly Register[] {
  const args = declaredArguments(env, subprogram)
  if (subprogram.index === env.exceptionCallback && (args.length !== 1 || args[0]?.kind !== 'number'))
    invalid('exception cb only supports single integer argument')
  return args.map((argument) => {
    switch (argument.kind) {
      case 'number':
        return UNKNOWN
      case 'context':
        return pointer(KIND.CTX)
      case 'memory': {
        const memory = pointer(KIND.MEM, argument.mayBeNull ? FLAG.MAYBE_NULL : 0)
        memory.range = argument.size
        if (argument.mayBeNull) memory.id = env.newId()
        return memory
      }
      case 'dynptr': {
        const dynptr = pointer(KIND.DYNPTR)
        dynptr.type = 'local'
        dynptr.first = true
        dynptr.id = env.newId()
        return dynptr
      }
    }
  })
}
