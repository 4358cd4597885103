/** Extensions (freplace): programs that take the place of a function of another program. */
import { resolveType, sizeOf, typeById, type BtfTypeOf } from '../../btf/query.js'
import type { Btf, BtfType, TypeId } from '../../btf/types.js'
import { BPF_ATTACH_TYPE as A } from '../../linux/attach-types.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import { declaredArguments } from './global-functions.js'
import { isStruct } from './kernel-types.js'
import type { VerifierProgram } from './program.js'
import { EINVAL, ENOENT, invalid, Rejection, Unmodelled } from './rejection.js'
import type { Subprogram } from './subprograms.js'
import type { Verification } from './verification.js'

/** What runs around a program: programs in front of and behind functions, which nothing may extend. */
const AROUND: ReadonlySet<number> = new Set([A.TRACE_FENTRY, A.TRACE_FEXIT])
/** Types whose programs have a context by BTF, or helpers by what they attach to. */
const BY_TARGET: ReadonlySet<number> = new Set([P.TRACING, P.LSM, P.STRUCT_OPS])

/** What is known of an extension without a look at its target. */
export function checkExtensionForm({ type, attachType }: VerifierProgram): void {
  if (type === P.EXT && attachType !== 0)
    throw new Rejection(EINVAL, 'extensions have no expected attach type of their own')
}

/**
 * @param own    the extension's function, as it was found
 * @param target the program that it extends, verified
 * @param name   of the function that it replaces
 * @returns the extension as it is verified: by the rules of the target's type
 */
export function asExtension(
  program: VerifierProgram,
  own: Subprogram,
  target: Verification,
  name: string,
): VerifierProgram {
  const { type, attachType, replaces } = target.program
  const replaced = functionNamed(target, name)
  if (!isReliable(target, replaced)) invalid('Cannot replace static functions')
  if (own.changesPacket && !replaced.changesPacket)
    invalid('Extension program changes packet data, while original does not')
  if (own.mightSleep && !replaced.mightSleep) invalid('Extension program may sleep, while original does not')
  if (replaces !== undefined) refuseNested()
  if (type === P.TRACING && AROUND.has(attachType)) invalid('Cannot extend fentry/fexit')
  if (program.functions.length === 0) invalid('Program extension requires BTF')
  checkSameType(typed(program.types, own), typed(target.program.types, replaced))
  if (BY_TARGET.has(type)) throw new Unmodelled(`extensions of programs of type ${type}`)
  return { ...program, type, attachType }
}

export function refuseNested(): never {
  return invalid('Cannot recursively attach')
}

/** Functions that nothing reaches aren't loaded. */
function functionNamed({ program, subprograms, exceptionCallback }: Verification, name: string): Subprogram {
  const { types } = program
  const id = types?.find(name).find((one) => typeById(types, one).kind === 'func')
  if (id === undefined)
    throw new Rejection(ENOENT, `the program that it extends has no function '${name}' in its BTF`)
  const found = subprograms.find((one) => one.info?.type === id && (one.index === 0 || one.called))
  if (found === undefined) return invalid(`Subprog ${name} doesn't exist`)
  if (found.index === exceptionCallback) invalid('Extension programs cannot attach to exception callback')
  return found
}

/** Whether its arguments are known to be what BTF says. */
function isReliable(target: Verification, replaced: Subprogram): boolean {
  const isMain = replaced.index === 0
  if (replaced.global || (isMain && target.program.replaces !== undefined)) return true
  try {
    const args = declaredArguments(target, replaced)
    return isMain
      ? args.length === 1 && args[0]?.kind === 'context'
      : args.every(({ kind }) => kind === 'number' || kind === 'context')
  } catch (error) {
    if (error instanceof Rejection) return false
    throw error
  }
}

interface TypedFunction {
  readonly name: string
  readonly isGlobal: boolean
  readonly btf: Btf
  readonly proto: BtfTypeOf<'func_proto'>
}

function typed(btf: Btf | undefined, { info }: Subprogram): TypedFunction {
  const func = btf === undefined || info?.type === undefined ? undefined : typeById(btf, info.type)
  const proto = btf === undefined || func?.kind !== 'func' ? undefined : typeById(btf, func.type)
  if (btf === undefined || info === undefined || proto?.kind !== 'func_proto')
    throw new Unmodelled('functions without types in extensions')
  return { name: info.name, isGlobal: info.global, btf, proto }
}

/** The extension declares what the function declares, argument by argument. */
function checkSameType(own: TypedFunction, replaced: TypedFunction): void {
  for (const { name, isGlobal } of [own, replaced])
    if (!isGlobal) invalid(`${name}() is not a global function`)
  const { proto } = own
  const count = replaced.proto.params.length
  if (proto.params.length !== count)
    invalid(`${own.name}() has ${proto.params.length} args while ${replaced.name}() has ${count} args`)
  const mine = resolveType(own.btf, proto.type)
  const theirs = resolveType(replaced.btf, replaced.proto.type)
  if (!isSameKind(mine, theirs))
    invalid(
      `Return type ${kindText(mine)} of ${own.name}() doesn't match type ${kindText(theirs)} of ${replaced.name}()`,
    )
  proto.params.forEach(({ type }, i) => {
    checkSameArgument(own, replaced, i, type, replaced.proto.params[i]?.type ?? 0)
  })
}

function checkSameArgument(
  own: TypedFunction,
  replaced: TypedFunction,
  i: number,
  mine: TypeId,
  theirs: TypeId,
): void {
  const a = resolveType(own.btf, mine)
  const b = resolveType(replaced.btf, theirs)
  if (!isSameKind(a, b))
    invalid(`arg${i} in ${own.name}() is ${kindText(a)} while ${replaced.name}() has ${kindText(b)}`)
  if (a.kind === 'ptr' && b.kind === 'ptr') {
    const [one, other] = [resolveType(own.btf, a.type), resolveType(replaced.btf, b.type)]
    const notContext = ({ name }: TypedFunction): never =>
      invalid(`arg${i} in ${name}() is not a pointer to context`)
    if (!isStruct(one)) return notContext(own)
    if (!isStruct(other)) return notContext(replaced)
    if (one.name !== other.name)
      invalid(
        `arg${i} ${own.name}(struct ${one.name} *) doesn't match ${replaced.name}(struct ${other.name} *)`,
      )
    return
  }
  const [size, other] = [sizeOf(own.btf, mine), sizeOf(replaced.btf, theirs)]
  if (size !== other)
    invalid(`arg${i} in ${own.name}() has size ${size} while ${replaced.name}() has ${other}`)
  if (!NUMBERS.has(a.kind)) invalid(`arg${i} in ${own.name}() has unrecognized type`)
}

const NUMBERS: ReadonlySet<string> = new Set(['int', 'enum', 'enum64'])

/** As far as the first word of a type in BTF tells them apart. */
function isSameKind(a: BtfType, b: BtfType): boolean {
  if (a.kind !== b.kind) return false
  switch (a.kind) {
    case 'enum':
    case 'enum64': {
      const other = b as typeof a
      return a.values.length === other.values.length && a.signed === other.signed
    }
    case 'struct':
    case 'union':
      return a.members.length === (b as typeof a).members.length
    default:
      return true
  }
}

const kindText = ({ kind }: BtfType): string => (kind === 'void' ? 'UNKNOWN' : kind.toUpperCase())
