/**
 * The one error class of the library, and its stable codes.
 *
 * Errors are data: a program branches on `code`, a person reads `message` and `hint`.
 */
import { errnoName, errnoText } from './linux/errno.js'

/** Codes that are ours. Every other code is the name of an errno, such as `'EPERM'` or `'ENOENT'`. */
export type LibraryErrorCode =
  | 'BAD_OBJECT' // the bytes are not a well-formed BPF object
  | 'BAD_BTF' // the type information in the object is malformed
  | 'NO_BTF' // the operation needs type information that the object lacks: compile with -g
  | 'BAD_ASSEMBLY' // text that is no BPF assembly: line, column and what was expected are in the error
  | 'BAD_VALUE' // a key, value or option has the wrong type, size or range
  | 'BAD_PHASE' // the operation belongs to another phase: open, loaded, attached
  | 'CLOSED' // the handle was closed
  | 'NOT_FOUND' // no map, program, variable or type of that name
  | 'UNKNOWN_SECTION' // a SEC() name that no program type answers to
  | 'VERIFIER_REJECTED' // the kernel's verifier, or the fallback's, refused a program
  | 'RELOCATION_FAILED' // CO-RE or another relocation cannot be resolved against the target
  | 'ITERATION_ABORTED' // a map changed so fast that a walk over it found no end
  | 'TRAP' // a program did something that only an unverified program can do
  | 'NO_NATIVE_KERNEL' // the native kernel was asked for and cannot be had here
  | 'UNSUPPORTED' // known, but not available in this kernel, build or version; the message names it

export type BpfErrorCode = LibraryErrorCode | (string & {})

/** Where in the source a verdict or trap points, from BTF line information. */
export interface SourcePosition {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly text: string
}

/** What a verifier said when it refused a program. */
export interface VerifierReport {
  /** The deciding line of the log, in the kernel's wording. */
  readonly summary: string
  /** The whole log, as the kernel wrote it. */
  readonly log: string
  /** The program that was refused. */
  readonly program?: string
  /** Index of the instruction (8-byte slots) that was refused, if the log tells. */
  readonly insn?: number
  readonly source?: SourcePosition
}

/** Where a program did what only an unverified program can do. */
export interface TrapReport {
  readonly program: string
  /** Index of the instruction (8-byte slots). */
  readonly insn: number
  readonly source?: SourcePosition
  /** The address that was accessed, where it was an access. */
  readonly address?: bigint
}

export interface BpfErrorDetails {
  /** A positive errno, where a system call or a kernel decided. */
  readonly errno?: number
  /** The system call or libbpf function that failed: `bpf_object__load`, `bpf(BPF_MAP_UPDATE_ELEM)` … */
  readonly call?: string
  /** What to do about it. Printed behind the message. */
  readonly hint?: string
  readonly verifier?: VerifierReport
  readonly trap?: TrapReport
  readonly cause?: unknown
}

/** Every error that the library throws on purpose, save `TypeError` and `RangeError` for wrong arguments. */
export class BpfError extends Error {
  override readonly name = 'BpfError'
  /** Stable: an errno name or one of {@link LibraryErrorCode}. */
  readonly code: BpfErrorCode
  readonly errno?: number
  readonly call?: string
  readonly hint?: string
  readonly verifier?: VerifierReport
  /** Of code `TRAP`, where an instruction is to blame. */
  readonly trap?: TrapReport

  constructor(code: BpfErrorCode, message: string, details: BpfErrorDetails = {}) {
    super(details.hint === undefined ? message : `${message}. ${details.hint}`, { cause: details.cause })
    this.code = code
    if (details.errno !== undefined) this.errno = details.errno
    if (details.call !== undefined) this.call = details.call
    if (details.hint !== undefined) this.hint = details.hint
    if (details.verifier !== undefined) this.verifier = details.verifier
    if (details.trap !== undefined) this.trap = details.trap
  }
}

/**
 * The error for a call that returned an errno.
 *
 * @param call   what failed, as the field names it
 * @param errno  positive errno
 * @param subject what it was about: `map 'events'`, `program 'handle_exec'`
 */
export function systemError(
  call: string,
  errno: number,
  subject: string,
  details: Omit<BpfErrorDetails, 'errno' | 'call'> = {},
): BpfError {
  const name = errnoName(errno)
  return new BpfError(name, `${subject}: ${call} failed: ${errnoText(errno)} (${name})`, {
    ...details,
    errno,
    call,
  })
}

/** The error for something that exists in Linux but not here: it always carries the thing's name. */
export function unsupported(what: string, hint?: string): BpfError {
  return new BpfError('UNSUPPORTED', `UNSUPPORTED: ${what}`, hint === undefined ? {} : { hint })
}
