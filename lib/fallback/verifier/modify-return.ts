/** Functions of the kernel in which tracing programs may sleep, and those whose results they may change. */
import {
  ERROR_INJECTION,
  MODIFIABLE_FUNCTIONS,
  type ModifiableFunction,
  NEVER_SLEEPING,
  SECURITY_HOOK,
  SYSTEM_CALL,
  SYSTEM_CALL_ARGUMENT,
} from '../../linux/attach-rules.js'
import { BPF_ATTACH_TYPE as A } from '../../linux/attach-types.js'
import { BPF_PROGRAM_FLAGS } from '../../linux/program-types.js'
import type { KernelTypes } from './kernel-types.js'
import type { VerifierProgram } from './program.js'
import { invalid, Unmodelled } from './rejection.js'

/** Refuses programs that sleep, or change results, in functions that don't allow it. */
export function checkModification(
  { attachType, flags }: VerifierProgram,
  kernel: KernelTypes,
  name: string,
): void {
  const isModifiable = modifiable(kernel, name)
  if ((flags & BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE) !== 0) {
    if (isModifiable?.sleeps === true) return
    if (NEVER_SLEEPING.has(name)) invalid(`${name} is not sleepable`)
    checkInjection(kernel, name, `${name} is not sleepable`, 'sleepable programs in')
  } else if (attachType === A.MODIFY_RETURN) {
    if (name.startsWith(SECURITY_HOOK) || isModifiable !== undefined) return
    checkInjection(kernel, name, `${name}() is not modifiable`, 'fmod_ret of')
  }
}

function modifiable(kernel: KernelTypes, name: string): ModifiableFunction | undefined {
  const found = MODIFIABLE_FUNCTIONS.get(name)
  return found !== undefined && kernel.function(found.where) !== undefined ? found : undefined
}

/** Refuses where errors can't be injected into a function, as BTF tells; and by name, where it doesn't tell. */
function checkInjection(kernel: KernelTypes, name: string, refusal: string, what: string): void {
  if (!kernel.own && kernel.function(ERROR_INJECTION) === undefined) invalid(refusal)
  const isCall = SYSTEM_CALL.test(name) && kernel.function(name)?.params[0]?.name === SYSTEM_CALL_ARGUMENT
  if (kernel.own || !isCall)
    throw new Unmodelled(`${what} ${name}(): whether errors may be injected isn't known`)
}
