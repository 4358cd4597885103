/** Why bpf_object__load failed: told by what libbpf printed, since one errno stands for many causes. */
import { BpfError, systemError, unsupported, type SourcePosition, type VerifierReport } from '../errors.js'
import type { ProgramSpec } from '../kernel.js'
import { errnoName } from '../linux/errno.js'
import { programType } from '../linux/program-types.js'
import { isOlderThan } from '../linux/release.js'
import { unknownSection } from '../linux/sections.js'
import type { RawFailure } from './addon-types.js'
import { kernelSymbols } from './kernel-functions.js'
import { withoutAcceptedLogs } from './load-log.js'
import { permissionHint } from './privileges.js'
import { helperHint } from './refusal.js'
import { didYouMeanHint, nearestOfMany } from './suggest.js'
import { parseVerifierReport } from './verifier-log.js'

/** A known cause: a pattern of what libbpf prints, and the error that it means. The first one that fits counts. */
interface Cause {
  readonly pattern: RegExp
  readonly toError: (found: RegExpExecArray, raw: RawFailure) => BpfError
}

const CAUSES: readonly Cause[] = [
  {
    pattern: /prog '([^']*)': missing BPF prog type, check ELF section name '([^']*)'/,
    toError: ([, program = '', section = '']) => unknownSection(program, section),
  },
  {
    pattern: /failed to resolve CO-RE relocation ([^\n]*)/,
    toError: ([, relocation = ''], raw) =>
      relocationError(raw, `CO-RE relocation ${relocation.trim()} has no match in this kernel`, {
        hint: 'The type or field does not exist here: guard its use with bpf_core_field_exists() or bpf_core_type_exists()',
      }),
  },
  {
    pattern: /extern \(kcfg\) '([^']*)': (?:value|unrecognized|invalid)[^\n]*|libbpf: failed to parse '(CONFIG_[^']*)'/,
    toError: ([line, option = ''], { call, subject }) =>
      new BpfError('BAD_VALUE', `${subject}: kernel option ${option}: the value doesn't suit the type of the extern`, {
        call,
        hint: line.replace(/^libbpf: /, ''),
      }),
  },
  {
    pattern: /failed to open system Kconfig|error parsing system Kconfig/,
    toError: (_, raw) =>
      relocationError(raw, "its __kconfig externs need the kernel's configuration, which can't be read here", {
        hint: "Linux has it in /proc/config.gz (CONFIG_IKCONFIG_PROC) or /boot/config-VERSION; or give the values: open(…, { kconfig: 'CONFIG_HZ=250\\n' })",
      }),
  },
  {
    pattern: /extern (?:\([^)]*\) )?'([^']*)'[^\n]*(?:not found|not resolved)[^\n]*/,
    toError: ([, name = ''], raw) => {
      const weak = 'Declare it __weak and test it, if the program can do without it'
      const near = name.startsWith('CONFIG_') ? undefined : didYouMeanHint(nearestOfMany(name, kernelSymbols()))
      return relocationError(raw, `extern '${name}' is not in this kernel`, {
        hint: near === undefined ? weak : `${near} ${weak}`,
      })
    },
  },
  {
    pattern: /BPF map '([^']*)' is referenced but wasn't created/,
    toError: ([, map = ''], raw) => relocationError(raw, `map '${map}' is used by a program but was not created`, {}),
  },
  {
    pattern: /prog '([^']*)': failed to find kernel BTF type ID of '([^']*)'/,
    toError: ([, program = '', target = ''], { call, errno }) =>
      new BpfError(errnoName(errno), `program '${program}': this kernel's type information has no '${target}'`, {
        call,
        errno,
        hint: 'The function or hook does not exist here, was inlined, or is in a module that is not loaded',
      }),
  },
  {
    pattern: /failed to find valid kernel BTF|Error loading vmlinux BTF|vmlinux BTF is not found/,
    toError: (_, { call, errno, subject }) =>
      new BpfError('UNSUPPORTED', `${subject} needs the type information of the kernel, and this one has none`, {
        call,
        errno,
        hint: 'It takes a kernel built with CONFIG_DEBUG_INFO_BTF=y, which has /sys/kernel/btf/vmlinux',
      }),
  },
  {
    pattern: /map '([^']*)': failed to create: [^\n]*/,
    toError: ([, map = ''], { call, errno }) => {
      const hint = mapHint(errnoName(errno))
      return systemError(call, errno, `map '${map}'`, hint === undefined ? {} : { hint })
    },
  },
]

/** The error for a failed bpf_object__load. */
export function loadFailure(failure: RawFailure): BpfError {
  const raw = { ...failure, log: withoutAcceptedLogs(failure.log) }
  const { call, errno, subject, log } = raw
  for (const { pattern, toError } of CAUSES) {
    const found = pattern.exec(log)
    if (found !== null) return toError(found, raw)
  }
  const verifier = parseVerifierReport(log)
  if (verifier !== undefined) return refusal(verifier, call, errno)
  const program = /prog '([^']*)': BPF program load failed/.exec(log)?.[1]
  const what = program === undefined ? subject : `program '${program}'`
  const hint = loadHint(errnoName(errno)) ?? lastLine(log)
  return systemError(call, errno, what, hint === undefined ? {} : { hint })
}

/** The error for a program that the verifier refused. */
function refusal(verifier: VerifierReport, call: string, errno: number): BpfError {
  const place = verifier.source === undefined ? '' : ` (${verifier.source.file}:${verifier.source.line})`
  const message = `program '${verifier.program ?? '?'}' was refused by the verifier: ${verifier.summary}${place}`
  const hint = helperHint(verifier.summary)
  return new BpfError('VERIFIER_REJECTED', message, { call, errno, verifier, ...(hint !== undefined && { hint }) })
}

/**
 * The better error for a program that the verifier refused, if the kernel didn't tell the line of its source.
 *
 * @param find  answers the source of an instruction of a program
 * @returns undefined if it is another error, if the source is in it already, or isn't known
 */
export function withSource(
  error: unknown,
  find: (program: string, insn: number) => SourcePosition | undefined,
): BpfError | undefined {
  if (!(error instanceof BpfError) || error.code !== 'VERIFIER_REJECTED') return undefined
  const { verifier, call = 'bpf_object__load', errno = 0 } = error
  if (verifier?.program === undefined || verifier.insn === undefined || verifier.source !== undefined) return undefined
  const source = find(verifier.program, verifier.insn)
  return source && refusal({ ...verifier, source }, call, errno)
}

/**
 * The better error for a failed load, if a program's type is younger than the running kernel: that answers EINVAL, as it does to
 * much else. Asked after a failure only, because distributions carry features back to old versions.
 *
 * @param programs  the object's
 * @param release   of the running kernel: `5.10.0-46-cloud-amd64`
 * @returns undefined if that is not the cause
 */
export function typeIsTooNew(
  error: unknown,
  programs: readonly Pick<ProgramSpec, 'name' | 'type' | 'autoload'>[],
  release: string,
): BpfError | undefined {
  if (!(error instanceof BpfError) || error.code !== 'EINVAL' || error.verifier !== undefined) return undefined
  for (const { name, type, autoload } of programs) {
    const info = programType(type)
    if (!autoload || info === undefined || !isOlderThan(release, info.since)) continue
    const what = `program '${name}': type ${info.name}, which is in Linux since ${info.since}`
    return unsupported(what, `This is Linux ${release}. Set autoload = false on the program if the object can do without it`)
  }
  return undefined
}

function relocationError(
  { call, errno, subject, log }: RawFailure,
  problem: string,
  details: { readonly hint?: string },
): BpfError {
  const verifier = parseVerifierReport(log)
  const what = verifier?.program === undefined ? subject : `program '${verifier.program}'`
  return new BpfError('RELOCATION_FAILED', `${what}: ${problem}`, {
    call,
    errno,
    ...details,
    ...(verifier !== undefined && { verifier }),
  })
}

function loadHint(errno: string): string | undefined {
  switch (errno) {
    case 'EPERM':
    case 'EACCES':
      return permissionHint() ?? 'The kernel gave no reason: this program type may need CAP_PERFMON or CAP_NET_ADMIN, or lockdown refuses it'
    case 'EINVAL':
      return 'The kernel gave no reason: this program type, attach type or flag may be unknown to it'
    case 'ENOMEM':
      return 'Kernels before 5.11 count BPF memory against the limit of locked memory: raise it (ulimit -l)'
    default:
      return undefined
  }
}

function mapHint(errno: string): string | undefined {
  switch (errno) {
    case 'EPERM':
      return permissionHint() ?? 'The kernel refuses maps of this type to this process'
    case 'EINVAL':
      return 'Its type, sizes or flags do not go together, or this kernel does not know them; a ring buffer wants a power of two of whole pages'
    case 'E2BIG':
    case 'ENOMEM':
      return 'It is too large: give it fewer maxEntries'
    default:
      return undefined
  }
}

function lastLine(log: string): string | undefined {
  const lines = log.split('\n').filter((line) => line !== '' && !/failed to load object|failed to load: -|failed to load BPF skeleton/.test(line))
  const last = lines.at(-1)?.replace(/^libbpf: /, '')
  return last === undefined ? undefined : `libbpf: ${last}`
}
