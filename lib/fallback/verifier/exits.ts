/** The ends of programs and functions: what they return, and that nothing is left behind. */
import { BPF_ATTACH_TYPE as A } from '../../linux/attach-types.js'
import { BPF_PROG_TYPE as P } from '../../linux/program-types.js'
import type { AttachTarget } from './attach-target.js'
import { checkCallbackResult, returnFromFunction } from './calls.js'
import { readRegister } from './operands.js'
import { markPrecise } from './precision.js'
import { denied, invalid } from './rejection.js'
import { checkNoLeak } from './references.js'
import { typeName } from './type-names.js'
import { KIND } from './values/register.js'
import type { Verification } from './verification.js'

interface Range {
  readonly least: number
  readonly most: number
}

const ONE: Range = { least: 1, most: 1 }
const ZERO: Range = { least: 0, most: 0 }
const VERDICT: Range = { least: 0, most: 1 }
/** Two flags beside the verdict. */
const WIDE_VERDICT: Range = { least: 0, most: 3 }

const ALWAYS_ONE: ReadonlySet<number> = new Set([
  A.CGROUP_UDP4_RECVMSG,
  A.CGROUP_UDP6_RECVMSG,
  A.CGROUP_UNIX_RECVMSG,
  A.CGROUP_INET4_GETPEERNAME,
  A.CGROUP_INET6_GETPEERNAME,
  A.CGROUP_UNIX_GETPEERNAME,
  A.CGROUP_INET4_GETSOCKNAME,
  A.CGROUP_INET6_GETSOCKNAME,
  A.CGROUP_UNIX_GETSOCKNAME,
])
const VERDICTS: ReadonlySet<number> = new Set([
  P.CGROUP_SOCK,
  P.SOCK_OPS,
  P.CGROUP_DEVICE,
  P.CGROUP_SYSCTL,
  P.CGROUP_SOCKOPT,
  P.SK_LOOKUP,
  P.NETFILTER,
])

/** What a program may return; undefined: anything. */
function returnRange(type: number, attachType: number, target: AttachTarget | undefined): Range | undefined {
  if (VERDICTS.has(type)) return VERDICT
  switch (type) {
    case P.CGROUP_SOCK_ADDR:
      if (ALWAYS_ONE.has(attachType)) return ONE
      return attachType === A.CGROUP_INET4_BIND || attachType === A.CGROUP_INET6_BIND ? WIDE_VERDICT : VERDICT
    case P.CGROUP_SKB:
      return attachType === A.CGROUP_INET_EGRESS ? WIDE_VERDICT : VERDICT
    case P.KPROBE:
      return attachType === A.TRACE_KPROBE_SESSION || attachType === A.TRACE_UPROBE_SESSION
        ? VERDICT
        : undefined
    case P.TRACING:
      if (attachType === A.TRACE_ITER) return VERDICT
      return attachType === A.TRACE_FENTRY || attachType === A.TRACE_FEXIT ? ZERO : undefined
    case P.LSM:
      if (attachType !== A.LSM_CGROUP) return target?.range
      return target?.returns === 'void' ? ONE : VERDICT
    case P.STRUCT_OPS:
      return target?.returns === 'pointer' ? ZERO : undefined
    default:
      return undefined
  }
}

/** Hooks and operations without a result: what is in r0 doesn't matter, not even whether it is initialised. */
function mayReturnNothing({ program: { type, attachType }, target }: Verification): boolean {
  if (type !== P.STRUCT_OPS && (type !== P.LSM || attachType === A.LSM_CGROUP)) return false
  return target?.returns === 'void'
}

/** @returns the slot at which the caller goes on; -1: the path ends */
export function simulateExit(env: Verification): number {
  const { state } = env
  checkNoLeak(env, 'BPF_EXIT instruction in main prog', state.frames.length === 1)
  if (state.frames.length > 1) return returnFromFunction(env)
  checkResult(env, 0)
  return -1
}

/**
 * bpf_throw() ends the program from any of its functions. Without a callback the cookie is what the program returns.
 *
 * @returns -1: the path ends
 */
export function throwException(env: Verification): number {
  const isUntold = env.program.exceptionCallbacks === 'untold'
  if (env.exceptionCallback === undefined && !isUntold) checkResult(env, 1)
  checkNoLeak(env, 'bpf_throw', true, true)
  if (isUntold) env.assume("bpf_throw(): whether there is an exception callback isn't told")
  return -1
}

/** Checks what the program, a function that is verified on its own, or a callback that runs later returns in a register. */
function checkResult(env: Verification, number: number): void {
  const { callback, subprogram } = env.state.current
  const isProgram = subprogram === 0 || subprogram === env.exceptionCallback
  const isFunction = !isProgram && callback?.async !== true
  if (number === 0 && isFunction && env.subprograms[subprogram]?.info?.returns === 'void') return
  if (isProgram && callback === undefined && mayReturnNothing(env)) return
  const result = readRegister(env, number)
  if (env.isSecret(result)) denied(`R${number} leaks addr as return value`)
  if (isFunction) {
    if (result.kind !== KIND.SCALAR)
      invalid(`At subprogram exit the register R${number} is not a scalar value (${typeName(result)})`)
    return
  }
  const where = callback === undefined ? 'At program exit' : 'At async callback return'
  const range = callback ?? returnRange(env.program.type, env.program.attachType, env.target)
  if (range === undefined) return
  if (result.kind !== KIND.SCALAR)
    invalid(`${where} the register R${number} is not a known value (${typeName(result)})`)
  markPrecise(env, number)
  // Security hooks return an int: only half of the register counts.
  const isInt = callback === undefined && env.program.type === P.LSM && env.target?.range !== undefined
  if (isInt && result.s32Min >= range.least && result.s32Max <= range.most) return
  checkCallbackResult(result, range, where, isInt, number)
}
