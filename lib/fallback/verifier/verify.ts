/** The verifier: whether Linux would take a program, and if not, why. */
import type { Privileges } from '../../linux/capabilities.js'
import { slotCount } from '../../isa/instruction.js'
import { BPF_ATTACH_TYPE as A } from '../../linux/attach-types.js'
import { BPF_PROG_TYPE as P, BPF_PROGRAM_FLAGS } from '../../linux/program-types.js'
import { hasConvertedContext } from '../packets/context-layout.js'
import { checkControlFlow } from './cfg.js'
import { Code } from './code.js'
import { checkDebugInfo, checkFunctionRecords } from './debug-info.js'
import { checkEncodings } from './encoding.js'
import { checkExceptionCallback, exceptionCallbackOf, likelyCallback } from './exceptions.js'
import { explore } from './explore.js'
import { asExtension, checkExtensionForm, refuseNested } from './extension.js'
import { tellFunctions, tellLiveRegisters } from './liveness-remarks.js'
import { LOG_LEVEL, VerifierLog, type LogOptions } from './log.js'
import { checkPrivileges } from './privileges.js'
import type { VerifierProgram } from './program.js'
import { E2BIG, invalid, Rejection, Unmodelled } from './rejection.js'
import { liveRegisters } from './register-liveness.js'
import { components } from './scc.js'
import { checkStackDepth } from './stack-depth.js'
import {
  checkCallsNothing,
  checkFunctionInfo,
  checkSubprograms,
  findSubprograms,
  type Subprogram,
} from './subprograms.js'
import { KIND, kindMask } from './values/register.js'
import { Verification } from './verification.js'

export { UNMODELLED } from './rejection.js'

export interface VerifyOptions {
  /** Milliseconds after which it gives up; undefined: Linux's limit of processed instructions alone bounds it. */
  readonly timeout?: number
  /** What is to be told of its way; undefined: nothing, which is the fastest. */
  readonly log?: LogOptions
  /** Of who loads the program. Default: all. */
  readonly privileges?: Privileges
}

export interface Verdict {
  readonly accepted: boolean
  /** Positive; 0: accepted. */
  readonly errno: number
  /** The deciding line of the log, as Linux words it. */
  readonly reason: string | undefined
  /** Lines of the log before the deciding one. */
  readonly details: readonly string[]
  /** Slot of the instruction that was simulated last, if any was. */
  readonly insn: number | undefined
  /** Slot of the instruction that is refused for its form, before any is simulated. */
  readonly malformed: number | undefined
  readonly insnsProcessed: number
  readonly totalStates: number
  /** States that were kept at once, at most. */
  readonly peakStates: number
  /** How long it took. */
  readonly milliseconds: number
  /** In Linux's format; empty where none was asked for. */
  readonly log: string
  /**
   * Whether the load, store or atomic operation at a slot was proven to stay within its memory, on every path that reaches it. False for all
   * instructions of programs that aren't accepted, and for those that no path reaches.
   */
  proven(insn: number): boolean
  /** Whether the instruction at a slot accesses the context. */
  accessesContext(insn: number): boolean
  /** Bytes of the context that it accesses: none may have less. */
  readonly contextSize: number
  /** Whether each run takes at most as many instructions as were processed: no helper repeats anything. */
  readonly terminates: boolean
}

/** BPF_COMPLEXITY_LIMIT_INSNS of Linux: instructions of a program, and instructions that are processed. */
export const MAX_INSTRUCTIONS = 1_000_000

/** Never throws for what a program does: what isn't modelled is refused with a reason that starts with `UNSUPPORTED: `. */
export function verifyProgram(program: VerifierProgram, options: VerifyOptions = {}): Verdict {
  const log = logOf(program, options.log)
  const run: { env: Verification | undefined } = { env: undefined }
  const started = performance.now()
  const verdict = (rejection: Rejection | undefined): Verdict => ({
    accepted: rejection === undefined,
    errno: rejection?.errno ?? 0,
    reason: rejection?.reason,
    details: rejection?.details ?? [],
    insn: rejection === undefined ? undefined : run.env?.simulated,
    malformed: rejection?.slot,
    insnsProcessed: run.env?.insnsProcessed ?? 0,
    totalStates: run.env?.totalStates ?? 0,
    peakStates: run.env?.peakStates ?? 0,
    milliseconds: performance.now() - started,
    log: logText(run.env, rejection, log, options.log, performance.now() - started),
    contextSize: run.env?.contextSize ?? 0,
    terminates: rejection === undefined && run.env !== undefined && endsAsWalked(run.env),
    accessesContext: (insn) => ((run.env?.pointerKinds[insn] ?? 0) & (1 << KIND.CTX)) !== 0,
    proven: (insn) => rejection === undefined && run.env !== undefined && isProven(run.env, insn),
  })
  try {
    verify(program, options, run, log)
    return verdict(undefined)
  } catch (error) {
    if (error instanceof Rejection) return verdict(error)
    throw error
  }
}

/** The log to its end: why the program is refused, and what it took to find that out. */
function logText(
  env: Verification | undefined,
  rejection: Rejection | undefined,
  log: VerifierLog | undefined,
  options: LogOptions | undefined,
  milliseconds: number,
): string {
  if (options === undefined || options.level === 0) return ''
  const { insnsProcessed = 0, totalStates = 0, peakStates = 0, statesAtInsn = 0 } = env ?? {}
  const tail = [
    ...(rejection === undefined ? [] : [...rejection.details, rejection.reason, ...rejection.sequel]),
    ...((options.level & LOG_LEVEL.STATS) === 0
      ? []
      : [`verification time ${Math.round(milliseconds * 1000)} usec`]),
    `processed ${insnsProcessed} insns (limit ${MAX_INSTRUCTIONS}) max_states_per_insn ${statesAtInsn} total_states ${totalStates} peak_states ${peakStates} mark_read 0`,
  ]
  return `${log?.text ?? ''}${tail.join('\n')}\n`
}

function isProven(
  { program, pointerKinds, framesAreMixed, numbersAreWrong }: Verification,
  insn: number,
): boolean {
  const kinds = pointerKinds[insn] ?? 0
  if (kinds === 0 || numbersAreWrong) return false
  if (framesAreMixed && (kinds & (1 << KIND.STACK)) !== 0) return false
  const memory = hasConvertedContext(program.type) ? MEMORY | PACKETS : MEMORY
  return (kinds & ~memory) === 0
}

/** Memory that the kernel itself hands out. What callers provide may be smaller than it says, or not be there. */
const MEMORY = kindMask([KIND.STACK, KIND.MAP_VALUE, KIND.MAP_KEY, KIND.MEM])
/** Contexts of packets are the kernel's own too, and tell where the packets are. */
const PACKETS = kindMask([KIND.CTX, KIND.PACKET, KIND.PACKET_META])

/** What may go on for longer than was walked: loops by helpers, and functions that are verified apart. */
function endsAsWalked({ code, subprograms, numbersAreWrong }: Verification): boolean {
  if (numbersAreWrong) return false
  if (subprograms.some((subprogram) => subprogram.global)) return false
  for (let slot = 0; slot < code.length; slot++) {
    if (code.isMayGoto(slot) || code.isFunctionAddress(slot)) return false
  }
  return true
}

const SLEEPABLE_TYPES: ReadonlySet<number> = new Set([P.KPROBE, P.LSM, P.STRUCT_OPS, P.SYSCALL])
const SLEEPABLE_TRACING: ReadonlySet<number> = new Set([
  A.TRACE_FENTRY,
  A.TRACE_FEXIT,
  A.MODIFY_RETURN,
  A.TRACE_ITER,
])

function checkSleepable({ type, attachType, flags }: VerifierProgram): void {
  const isSleepable = (flags & BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE) !== 0
  if (type === P.SYSCALL && !isSleepable) invalid('Syscall programs can only be sleepable')
  if (!isSleepable || SLEEPABLE_TYPES.has(type)) return
  if (type === P.TRACING && SLEEPABLE_TRACING.has(attachType)) return
  invalid('Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable')
}

function verify(
  program: VerifierProgram,
  options: VerifyOptions,
  run: { env: Verification | undefined },
  log?: VerifierLog,
): void {
  const count = slotCount(program.code)
  if (count === 0) throw new Rejection(E2BIG, 'the program has no instructions')
  if (count > MAX_INSTRUCTIONS)
    throw new Rejection(E2BIG, `the program has ${count} instructions, more than ${MAX_INSTRUCTIONS}`)
  const { privileges = 'all' } = options
  checkPrivileges(program, privileges)
  checkExtensionForm(program)
  const code = new Code(program.code, program.kfuncs)
  if (privileges === 'none') checkCallsNothing(code)
  const { debugInfo } = program
  if (debugInfo !== undefined) checkFunctionRecords(debugInfo)
  const likely = likelyCallback(code, program)
  const callbackStart = exceptionCallbackOf(program) ?? likely
  const subprograms = findSubprograms(code, program, callbackStart)
  if (log?.detailed !== undefined) tellFunctions(log, subprograms)
  checkSubprograms(code, subprograms)
  const exceptionCallback = subprograms.find(({ start }) => start === callbackStart)
  if (debugInfo !== undefined) checkDebugInfo(debugInfo, subprograms, code)
  checkFunctionInfo(subprograms, program.functions.length > 0)
  checkEncodings(code, program)
  const marks = checkControlFlow(code, subprograms, privileges !== 'none', exceptionCallback)
  checkSleepable(program)
  const judged = program.type === P.EXT ? extension(program, subprograms, options) : program
  const limits = { instructions: MAX_INSTRUCTIONS, milliseconds: options.timeout }
  const alive = liveRegisters(code, judged.type)
  const component = components(code)
  const env = new Verification(judged, code, subprograms, marks, alive, component, limits, log, privileges)
  run.env = env
  if (log?.detailed !== undefined) tellLiveRegisters(log, code, alive, component)
  if (exceptionCallback !== undefined) {
    env.exceptionCallback = exceptionCallback.index
    if (likely !== undefined)
      env.assume(`${exceptionCallback.name}(): whether it is the exception callback isn't told`)
    exceptionCallback.called = exceptionCallback.isCallback = exceptionCallback.isAsyncCallback = true
  }
  explore(env)
  checkStackDepth(code, subprograms, program.type)
  checkExceptionCallback(code, subprograms, program, exceptionCallback)
  if (env.assumed !== undefined) throw new Unmodelled(env.assumed)
}

/** An extension as a program of its target's type. The target must be one that Linux takes. */
function extension(
  program: VerifierProgram,
  [own]: readonly Subprogram[],
  { privileges, timeout }: VerifyOptions,
): VerifierProgram {
  const { replaces } = program
  if (replaces === undefined || own === undefined)
    throw new Unmodelled('extensions (freplace) whose target is not given')
  const { program: target, name } = replaces
  if (target.type === P.EXT && target.replaces === undefined) refuseNested()
  const run: { env: Verification | undefined } = { env: undefined }
  try {
    verify(
      target,
      { ...(privileges !== undefined && { privileges }), ...(timeout !== undefined && { timeout }) },
      run,
    )
  } catch (error) {
    if (error instanceof Unmodelled) throw new Unmodelled(`in the program that it extends: ${error.what}`)
    if (!(error instanceof Rejection)) throw error
    throw new Rejection(error.errno, `the program that it extends is refused: ${error.reason}`)
  }
  if (run.env === undefined) throw new Unmodelled('extensions of programs without instructions')
  return asExtension(program, own, run.env, name)
}

/** Statistics alone need no look at each instruction. */
function logOf({ code, kfuncs }: VerifierProgram, options: LogOptions | undefined): VerifierLog | undefined {
  if (options === undefined || (options.level & (LOG_LEVEL.PATH | LOG_LEVEL.ALL)) === 0) return undefined
  return new VerifierLog(code, options, kfuncs)
}
