/** Exceptions: bpf_throw(), and the callbacks that run where a program throws, never called by it. */
import { typeById } from '../../btf/query.js'
import type { Code } from './code.js'
import type { FunctionArgument, VerifierProgram } from './program.js'
import { EEXIST, ENOENT, invalid, Rejection, Unmodelled } from './rejection.js'
import type { Subprogram } from './subprograms.js'

const GLOBAL = 1

/** The slot at which the program's exception callback starts; undefined: it has none, or it isn't told. */
export function exceptionCallbackOf({
  exceptionCallbacks = [],
  functions,
  types,
}: VerifierProgram): number | undefined {
  if (exceptionCallbacks === 'untold' || functions.length === 0) return undefined
  const [name, ...others] = exceptionCallbacks
  if (name === undefined) return undefined
  if (others.length > 0) throw new Rejection(EEXIST, 'multiple exception callback tags for main subprog')
  if (types !== undefined) {
    const func = types
      .find(name)
      .map((id) => typeById(types, id))
      .find(({ kind }) => kind === 'func')
    if (func?.kind !== 'func')
      throw new Rejection(ENOENT, `exception callback '${name}' could not be found in BTF`)
    if (func.linkage !== GLOBAL) invalid(`exception callback '${name}' must have global linkage`)
  }
  const info = functions.findLast((one) => one.name === name)
  if (info === undefined) return invalid('exception callback type id not found in func_info')
  if (info.start === 0) invalid('invalid exception callback insn_off in func_info: 0')
  return info.start
}

/**
 * Where it isn't told: loaders bring no other function that nothing calls. Only for the sake of what is wrong with it, since others may be told otherwise.
 *
 * @returns the slot at which it starts
 */
export function likelyCallback(
  code: Code,
  { exceptionCallbacks, functions }: VerifierProgram,
): number | undefined {
  if (exceptionCallbacks !== 'untold') return undefined
  const called = new Set([0])
  for (let slot = 0; slot < code.length; slot++)
    if (code.isLocalCall(slot) || code.isFunctionAddress(slot)) called.add(slot + 1 + code.immAt(slot))
  const [only, ...others] = functions.filter((one) => one.global && !called.has(one.start))
  return others.length === 0 ? only?.start : undefined
}

/** Refuses calls of the program's exception callback; and of what may be one, where it isn't told which function is. */
export function checkExceptionCallback(
  code: Code,
  subprograms: readonly Subprogram[],
  { exceptionCallbacks }: VerifierProgram,
  callback: Subprogram | undefined,
): void {
  const isUntold = exceptionCallbacks === 'untold'
  if (!isUntold && callback === undefined) return
  for (let slot = 0; slot < code.length; slot++) {
    if (!code.isLocalCall(slot) && !code.isFunctionAddress(slot)) continue
    const target = slot + 1 + code.immAt(slot)
    if (target === callback?.start) invalid(`insn ${slot} cannot call exception cb directly`)
    const callee = subprograms.find(({ start }) => start === target)
    if (isUntold && callee !== undefined && mayHandleExceptions(callee))
      throw new Unmodelled(`call of ${callee.name}(): it may be an exception callback, and types aren't told`)
  }
}

/** As exception callbacks are written: global, with a cookie of 64 bits, and a number as the result. */
function mayHandleExceptions(subprogram: Subprogram): boolean {
  const { info } = subprogram
  const [cookie, ...others] = info?.args ?? []
  return subprogram.global && info?.returns === 'int' && others.length === 0 && isCookie(cookie)
}

function isCookie(argument: FunctionArgument | undefined): boolean {
  return argument?.kind === 'scalar' && argument.size === 8 && argument.typeName.startsWith('unsigned')
}
