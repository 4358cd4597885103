/** Exception callbacks: run where a program throws, never called by it. */
import type { Code } from './code.js'
import type { FunctionArgument, VerifierProgram } from './program.js'
import { invalid, Unmodelled } from './rejection.js'
import type { Subprogram } from './subprograms.js'

/** Refuses calls of the program's exception callback; and of what may be one, where it isn't told which function is. */
export function checkExceptionCallback(
  code: Code,
  subprograms: readonly Subprogram[],
  { exceptionCallback }: VerifierProgram,
): void {
  if (exceptionCallback === undefined) return
  for (let slot = 0; slot < code.length; slot++) {
    if (!code.isLocalCall(slot) && !code.isFunctionAddress(slot)) continue
    const target = slot + 1 + code.immAt(slot)
    if (target === exceptionCallback) invalid(`insn ${slot} cannot call exception cb directly`)
    const callee = subprograms.find(({ start }) => start === target)
    if (exceptionCallback === 'untold' && callee !== undefined && mayHandleExceptions(callee))
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
