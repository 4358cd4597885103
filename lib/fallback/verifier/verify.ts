/** The verifier: whether Linux would take a program, and if not, why. */
import { BPF_ATTACH_TYPE as A } from '../../linux/attach-types.js'
import { BPF_PROG_TYPE as P, BPF_PROGRAM_FLAGS } from '../../linux/program-types.js'
import { checkControlFlow } from './cfg.js'
import { Code } from './code.js'
import { checkEncodings } from './encoding.js'
import { explore } from './explore.js'
import type { VerifierProgram } from './program.js'
import { E2BIG, invalid, Rejection } from './rejection.js'
import { liveRegisters } from './register-liveness.js'
import { components } from './scc.js'
import { checkStackDepth } from './stack-depth.js'
import { checkFunctionInfo, findSubprograms } from './subprograms.js'
import { KIND } from './values/register.js'
import { Verification } from './verification.js'

export { UNMODELLED } from './rejection.js'

export interface VerifyOptions {
  /** Milliseconds after which it gives up; undefined: Linux's limit of processed instructions alone bounds it. */
  readonly timeout?: number
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
  readonly insnsProcessed: number
  readonly totalStates: number
  /** States that were kept at once, at most. */
  readonly peakStates: number
  /**
   * Whether the load, store or atomic operation at a slot was proven to stay within its memory, on every path that reaches it. False for all
   * instructions of programs that aren't accepted, and for those that no path reaches.
   */
  proven(insn: number): boolean
}

/** BPF_COMPLEXITY_LIMIT_INSNS of Linux: instructions of a program, and instructions that are processed. */
export const MAX_INSTRUCTIONS = 1_000_000

/** Never throws for what a program does: what isn't modelled is refused with a reason that starts with `UNSUPPORTED: `. */
export function verifyProgram(program: VerifierProgram, options: VerifyOptions = {}): Verdict {
  const run: { env: Verification | undefined } = { env: undefined }
  const verdict = (rejection: Rejection | undefined): Verdict => ({
    accepted: rejection === undefined,
    errno: rejection?.errno ?? 0,
    reason: rejection?.reason,
    details: rejection?.details ?? [],
    insn: rejection === undefined ? undefined : run.env?.simulated,
    insnsProcessed: run.env?.insnsProcessed ?? 0,
    totalStates: run.env?.totalStates ?? 0,
    peakStates: run.env?.peakStates ?? 0,
    proven: (insn) => rejection === undefined && run.env !== undefined && isProven(run.env, insn),
  })
  try {
    verify(program, options, run)
    return verdict(undefined)
  } catch (error) {
    if (error instanceof Rejection) return verdict(error)
    throw error
  }
}

function isProven({ pointerKinds, framesAreMixed }: Verification, insn: number): boolean {
  const kind = pointerKinds[insn] ?? 0
  if (kind === KIND.STACK) return !framesAreMixed
  // Loads through pointers to kernel objects may fault, and give 0 then.
  return kind !== 0 && kind !== KIND.BTF_ID
}

const SLEEPABLE_TYPES: ReadonlySet<number> = new Set([P.KPROBE, P.LSM, P.STRUCT_OPS, P.SYSCALL])
const SLEEPABLE_TRACING: ReadonlySet<number> = new Set([
  A.TRACE_FENTRY,
  A.TRACE_FEXIT,
  A.MODIFY_RETURN,
  A.TRACE_ITER,
])

function checkSleepable({ type, attachType, flags }: VerifierProgram): void {
  if ((flags & BPF_PROGRAM_FLAGS.BPF_F_SLEEPABLE) === 0 || SLEEPABLE_TYPES.has(type)) return
  if (type === P.TRACING && SLEEPABLE_TRACING.has(attachType)) return
  invalid('Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable')
}

function verify(
  program: VerifierProgram,
  options: VerifyOptions,
  run: { env: Verification | undefined },
): void {
  const count = program.instructions.length
  if (count === 0) throw new Rejection(E2BIG, 'the program has no instructions')
  if (count > MAX_INSTRUCTIONS)
    throw new Rejection(E2BIG, `the program has ${count} instructions, more than ${MAX_INSTRUCTIONS}`)
  checkSleepable(program)
  const code = new Code(program.instructions)
  const subprograms = findSubprograms(code, program)
  checkFunctionInfo(subprograms)
  checkEncodings(code, program)
  const marks = checkControlFlow(code, subprograms)
  const limits = { instructions: MAX_INSTRUCTIONS, milliseconds: options.timeout }
  const env = new Verification(
    program,
    code,
    subprograms,
    marks,
    liveRegisters(code, program.type),
    components(code),
    limits,
  )
  run.env = env
  explore(env)
  checkStackDepth(code, subprograms, program.type)
}
