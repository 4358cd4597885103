/** Whether a kernel takes programs, and if not, why: one question for Linux's verifier and for the one in TypeScript. */
import { checkName, checkText } from './checked-settings.js'
import { BpfError } from './errors.js'
import { createKernel } from './fallback/index.js'
import { linkCode } from './fallback/loader/link-code.js'
import type { ExtendedProgram, Kernel, OpenObjectOptions, VerifyAnswer } from './kernel.js'
import { ATTACH_TYPE_NAMES, attachTypeByName } from './linux/attach-types.js'
import { PRIVILEGES, type Privileges } from './linux/capabilities.js'
import { errno } from './linux/errno.js'
import { parseKconfig } from './linux/kconfig.js'
import { BPF_PROG_TYPE, PROGRAM_TYPES, programTypeByName, programTypeName } from './linux/program-types.js'
import { notFound } from './named.js'
import type { LineInfo, ObjectFile, ProgramDefinition } from './object-file/types.js'
import { ObjectHandle } from './object-handle.js'
import { hostBtf, objectName, readBtf, readObject, type ObjectSource } from './read-object.js'
import { selectKernel, type KernelChoice } from './select-kernel.js'
import { explainVerifierLog, type VerifierExplanation } from './verifier-explanation.js'
import { parseVerifierLog } from './verifier-log.js'

export interface VerifyOptions {
  /** Whose verifier is asked. Default: `'fallback'`, which needs neither Linux nor rights. */
  readonly kernel?: KernelChoice
  /** Name of the one program to verify. Default: all of the object, those among them that aren't loaded by themselves. */
  readonly program?: string
  /** Program type under bpftool's name, in place of what the `SEC()` name says: `xdp`. */
  readonly type?: string
  /** Expected attach type in lower case, in place of what the `SEC()` name says: `cgroup_inet4_connect`. */
  readonly attachType?: string
  /**
   * Of who would load it. `'all'` (default): root, or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; `'bpf'`: without CAP_PERFMON; `'none'`: what everybody may
   * where kernel.unprivileged_bpf_disabled is 0. `'native'` judges by who asks, and takes `'all'` alone.
   */
  readonly privileges?: Privileges
  /**
   * Of extensions (`freplace`), by name: what each is to extend. Linux judges an extension by the rules of the program that it extends; the
   * fallback refuses one without a target as `UNSUPPORTED`.
   */
  readonly targets?: Readonly<Record<string, VerifyTarget>>
  /** Every access must be aligned, as on machines that can't do others: BPF_F_STRICT_ALIGNMENT. Default: false. */
  readonly strictAlignment?: boolean
  /**
   * What `log` tells: 0, of refused programs the path that led there, else nothing (default); 1 the same, with the summary of accepted ones; 2 all
   * paths; 4, added to either or alone, statistics.
   */
  readonly logLevel?: number
  /** As in `open()`. */
  readonly kconfig?: string
  /**
   * As in `open()`. Default of the fallback: /sys/kernel/btf/vmlinux, if programs ask for the kernel's types and this machine has it; else the
   * object's own.
   */
  readonly btf?: string | URL | Uint8Array
}

/** What an extension is to extend: as `setAttachTarget(name, program)` says it of programs that are loaded. */
export interface VerifyTarget {
  /** The function whose place it takes. Default: the one that its SEC() name says. */
  readonly name?: string
  /** The object whose program it extends. */
  readonly object: ObjectSource | ObjectHandle
  /** Name of that program. Default: the object's only one. */
  readonly program?: string
}

/** What a verifier said of one program. */
export interface ProgramVerdict {
  readonly program: string
  /** The SEC() name. */
  readonly section: string
  /** Program type under bpftool's name; `unspec`: nothing says it. */
  readonly type: string
  readonly accepted: boolean
  /** Positive; 0: accepted. */
  readonly errno: number
  /** The deciding line of the log, or what kept the program from the verifier. */
  readonly reason: string | undefined
  /** Undefined: the verifier never saw it. */
  readonly insnsProcessed: number | undefined
  /** States that were kept at once, at most. */
  readonly peakStates: number | undefined
  /** How long the verifier took. */
  readonly milliseconds: number | undefined
  /** In the kernel's format: see `logLevel`. */
  readonly log: string
  /** Of a refused program. */
  readonly explanation: VerifierExplanation | undefined
}

const MAX_LOG_LEVEL = 7
const PATH = 1
const STATISTICS = 4

/**
 * Has the programs of an object verified, each on its own, and keeps nothing of them.
 *
 * @param source an object, opened or loaded (only its file counts, not how it was configured); path, `file:` URL, or the bytes of an ELF file
 * @returns a verdict for each program, in the object's order
 * @throws BpfError for what is no object, `NOT_FOUND`, `BAD_VALUE`; `NO_NATIVE_KERNEL` where `'native'` can't be had. A program that can't be
 *   verified is no error but a verdict
 * @example
 * for (const { program, explanation } of verify('probe.bpf.o')) if (explanation) console.log(program, explanation.hint)
 */
export function verify(
  source: ObjectSource | ObjectHandle,
  options: VerifyOptions = {},
): readonly ProgramVerdict[] {
  const { file, name } = readSource(source)
  const { kernel: choice = 'fallback' } = options
  const request = readOptions(name, options)
  const programs = programsOf(file, name, options.program)
  const targets = readTargets(file, name, options)
  const kernel = hostTyped(choice, file, programs, options) ?? selectKernel(choice, { programs })
  return programs.map((program) =>
    verdictOf(kernel, file, program, { ...request, target: targets.get(program.name) }),
  )
}

function readSource(source: ObjectSource | ObjectHandle): {
  readonly file: ObjectFile
  readonly name: string
} {
  if (source instanceof ObjectHandle) return source
  return { file: readObject(source), name: objectName(source) }
}

/** A simulated kernel with this machine's types. */
let hostKernel: Kernel | undefined

/** Programs that follow kernel objects are verified by the types of this machine's kernel, if it tells them. */
function hostTyped(
  choice: KernelChoice,
  { externs }: ObjectFile,
  programs: readonly ProgramDefinition[],
  { btf }: VerifyOptions,
): Kernel | undefined {
  const asks = programs.some(
    ({ type = 0, code }) => TYPES_BY_BTF.has(type) || code.coreRelocations.length > 0,
  )
  if (choice !== 'fallback' || btf !== undefined || (!asks && externs.length === 0)) return undefined
  if (hostKernel !== undefined) return hostKernel
  const host = hostBtf()
  return host === undefined ? undefined : (hostKernel = createKernel({ btf: host }))
}

const TYPES_BY_BTF: ReadonlySet<number> = new Set([
  BPF_PROG_TYPE.TRACING,
  BPF_PROG_TYPE.LSM,
  BPF_PROG_TYPE.STRUCT_OPS,
  BPF_PROG_TYPE.EXT,
])

interface Request {
  readonly target?: ExtendedProgram | undefined
  readonly object: OpenObjectOptions
  readonly type: number | undefined
  readonly attachType: number | undefined
  readonly privileges: Privileges | undefined
  readonly strictAlignment: boolean | undefined
  readonly logLevel: number
}

function readOptions(name: string, options: VerifyOptions): Request {
  const { type, attachType, privileges, strictAlignment, logLevel = 0, kconfig, btf } = options
  if (!Number.isInteger(logLevel) || logLevel < 0 || logLevel > MAX_LOG_LEVEL)
    throw new BpfError(
      'BAD_VALUE',
      `option logLevel goes from 0 to ${MAX_LOG_LEVEL}, not ${String(logLevel)}`,
    )
  if (kconfig !== undefined && kconfig !== '') {
    checkText('option kconfig', kconfig)
    parseKconfig(kconfig)
  }
  return {
    object: { name, kconfig, btf: btf === undefined ? undefined : readBtf(btf) },
    type:
      type === undefined
        ? undefined
        : checkName('option type', type, programTypeByName, () => PROGRAM_TYPES.map((known) => known.name)),
    attachType:
      attachType === undefined
        ? undefined
        : checkName('option attachType', attachType, attachTypeByName, () => ATTACH_TYPE_NAMES),
    privileges: checkPrivileges(privileges),
    strictAlignment,
    logLevel,
  }
}

/** By the extensions' names. */
function readTargets(
  file: ObjectFile,
  object: string,
  { targets = {}, btf, kconfig }: VerifyOptions,
): ReadonlyMap<string, ExtendedProgram> {
  return new Map(
    Object.entries(targets).map(([extension, { name, object: source, program }]) => {
      const [definition] = programsOf(file, object, extension)
      if (definition?.type !== BPF_PROG_TYPE.EXT)
        throw new BpfError('BAD_VALUE', `option targets: program '${extension}' is no extension (freplace)`)
      const extended = readSource(source)
      const [only, ...others] = programsOf(extended.file, extended.name, program)
      if (only === undefined || others.length > 0)
        throw new BpfError(
          'BAD_VALUE',
          `option targets: object '${extended.name}' has ${only === undefined ? 'no program' : 'several programs'}: say which one '${extension}' extends`,
        )
      const options = { name: extended.name, kconfig, btf: btf === undefined ? undefined : readBtf(btf) }
      return [extension, { file: extended.file, object: options, program: only.name, name }]
    }),
  )
}

function checkPrivileges(privileges: Privileges | undefined): Privileges | undefined {
  if (privileges === undefined || PRIVILEGES.includes(privileges)) return privileges
  throw new BpfError(
    'BAD_VALUE',
    `option privileges is one of ${PRIVILEGES.join(', ')}, not '${privileges as string}'`,
  )
}

function programsOf(
  { programs }: ObjectFile,
  object: string,
  wanted: string | undefined,
): readonly ProgramDefinition[] {
  if (wanted === undefined) return programs
  const found = programs.filter(({ name }) => name === wanted)
  if (found.length > 0) return found
  throw notFound(
    'program',
    wanted,
    `object '${object}'`,
    programs.map(({ name }) => name),
  )
}

function verdictOf(
  kernel: Kernel,
  file: ObjectFile,
  program: ProgramDefinition,
  request: Request,
): ProgramVerdict {
  const { name, section } = program
  const { logLevel } = request
  const type = programTypeName(request.type ?? program.type ?? 0)
  const ask = (level: number): VerifyAnswer =>
    kernel.verifyProgram(file, { ...request, program: name, logLevel: level })
  let answer: VerifyAnswer
  let log = ''
  try {
    // A log costs time: without one to begin with, and once more where there is something to explain.
    answer = ask(logLevel === 0 ? STATISTICS : logLevel)
    log = answer.log
    if (answer.errno !== 0 && (logLevel & 3) === 0) log = ask(logLevel | PATH).log
  } catch (error) {
    if (!(error instanceof BpfError)) throw error
    return { program: name, section, type, ...unseen(error) }
  }
  const { statistics, reason } = parseVerifierLog(log)
  const accepted = answer.errno === 0
  return {
    program: name,
    section,
    type,
    accepted,
    errno: answer.errno,
    reason: accepted ? undefined : (reason ?? answer.reason),
    insnsProcessed: statistics?.insnsProcessed,
    peakStates: statistics?.peakStates,
    milliseconds: answer.milliseconds,
    log: accepted && logLevel === 0 ? '' : log,
    explanation: accepted
      ? undefined
      : explainVerifierLog(log, { lines: linesOf(file, program), programType: type }),
  }
}

/** Of a program that didn't come before the verifier. */
function unseen(error: BpfError): Omit<ProgramVerdict, 'program' | 'section' | 'type'> {
  const isUnsupported = error.code === 'UNSUPPORTED'
  return {
    accepted: false,
    errno: Math.abs(error.errno ?? errno(isUnsupported ? 'EOPNOTSUPP' : 'EINVAL')),
    reason: error.message,
    insnsProcessed: undefined,
    peakStates: undefined,
    milliseconds: undefined,
    log: '',
    explanation: undefined,
  }
}

/** Of the program with its sub-programs behind it, as the verifier counts instructions. */
function linesOf(file: ObjectFile, program: ProgramDefinition): readonly LineInfo[] {
  try {
    return linkCode(file, program).lines
  } catch (error) {
    // The log's own places must do.
    if (error instanceof BpfError) return []
    throw error
  }
}
