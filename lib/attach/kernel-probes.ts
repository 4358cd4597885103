/** Verbs for functions and tracepoints of the kernel. */
import type { ProbeMode } from '../attach-request.js'
import { checkText } from '../checked-settings.js'
import { BpfError } from '../errors.js'
import type { KernelProgram } from '../kernel.js'
import { Link } from '../link.js'
import { isProgramLike, type ProgramLike } from '../program-like.js'
import { checkCookie, checkCookies, checkCount, checkOneOf, type CookieOption } from './options.js'
import { requireVerb } from './verbs.js'

const MODES: readonly ProbeMode[] = ['legacy', 'perf', 'link']

export interface KprobeOptions extends CookieOption {
  /** Bytes behind the function's start; not of return probes. */
  readonly offset?: number
  /** At the function's return. Default: whether the `SEC()` name says kretprobe. */
  readonly retprobe?: boolean
  /** How the probe is made. Default: the newest way that the kernel has. Needs an addon that was built with libbpf 1.2. */
  readonly mode?: ProbeMode
}

export function attachKprobe(program: KernelProgram, name: string, options: KprobeOptions): Link {
  const what = 'attachKprobe()'
  requireVerb(program.info, 'attachKprobe')
  return linkOf(program, {
    kind: 'kprobe',
    function: checkText(`${what}: the function`, name),
    offset: checkCount(`${what}: offset`, options.offset ?? 0),
    retprobe: options.retprobe ?? saysReturn(program),
    cookie: checkCookie(what, options.cookie),
    mode: checkOneOf(`${what}: mode`, options.mode, MODES),
  })
}

export interface KprobeMultiOptions {
  /** At the functions' returns. Default: whether the `SEC()` name says kretprobe.multi. A session is at both. */
  readonly retprobe?: boolean
  /** One for each function, in the order of the list. */
  readonly cookies?: readonly (bigint | number)[]
}

export function attachKprobeMulti(
  program: KernelProgram,
  functions: string | readonly string[],
  options: KprobeMultiOptions,
): Link {
  const what = 'attachKprobeMulti()'
  requireVerb(program.info, 'attachKprobeMulti')
  const cookies = checkCookies(what, options.cookies)
  return linkOf(program, {
    kind: 'kprobe.multi',
    functions: checkNames(what, functions, cookies),
    cookies,
    retprobe: options.retprobe ?? saysReturn(program),
  })
}

/** A pattern, or names; with cookies, names only: nobody knows how many a pattern matches. */
export function checkNames(
  what: string,
  names: string | readonly string[],
  cookies: readonly bigint[] | undefined,
): string | readonly string[] {
  if (typeof names === 'string') {
    checkText(`${what}: the pattern`, names)
    if (cookies === undefined || !/[*?]/.test(names)) return /[*?]/.test(names) ? names : [names]
    throw new BpfError('BAD_VALUE', `${what}: cookies go with a list of functions, not with a pattern`)
  }
  if (!Array.isArray(names) || names.length === 0)
    throw new BpfError('BAD_VALUE', `${what} takes a pattern such as 'tcp_*', or a list of functions`)
  return names.map((name: string) => checkText(`${what}: a function`, name))
}

export interface KsyscallOptions extends CookieOption {
  /** At the system call's return. Default: whether the `SEC()` name says kretsyscall. */
  readonly retprobe?: boolean
}

export function attachKsyscall(program: KernelProgram, syscall: string, options: KsyscallOptions): Link {
  const what = 'attachKsyscall()'
  requireVerb(program.info, 'attachKsyscall')
  return linkOf(program, {
    kind: 'ksyscall',
    syscall: checkText(`${what}: the system call`, syscall),
    retprobe: options.retprobe ?? saysReturn(program),
    cookie: checkCookie(what, options.cookie),
  })
}

export function attachTracepoint(
  program: KernelProgram,
  category: string,
  name: string,
  options: CookieOption,
): Link {
  const what = 'attachTracepoint()'
  requireVerb(program.info, 'attachTracepoint')
  return linkOf(program, {
    kind: 'tracepoint',
    category: checkPart(what, 'category', category),
    name: checkPart(what, 'name', name),
    cookie: checkCookie(what, options.cookie),
  })
}

/** Parts of a path in tracefs. */
function checkPart(what: string, part: string, value: string): string {
  checkText(`${what}: the ${part}`, value)
  if (!value.includes('/')) return value
  throw new BpfError(
    'BAD_VALUE',
    `${what} takes category and name apart: attachTracepoint('sched', 'sched_switch')`,
  )
}

export function attachRawTracepoint(program: KernelProgram, name: string, options: CookieOption): Link {
  const what = 'attachRawTracepoint()'
  requireVerb(program.info, 'attachRawTracepoint')
  return linkOf(program, {
    kind: 'rawTracepoint',
    name: checkText(`${what}: the name`, name),
    cookie: checkCookie(what, options.cookie),
  })
}

export function attachTrace(program: KernelProgram, options: CookieOption): Link {
  requireVerb(program.info, 'attachTrace')
  return linkOf(program, { kind: 'trace', cookie: checkCookie('attachTrace()', options.cookie) })
}

export function attachLsm(program: KernelProgram): Link {
  requireVerb(program.info, 'attachLsm')
  return linkOf(program, { kind: 'lsm' })
}

export function attachFreplace(
  program: KernelProgram,
  target: ProgramLike | undefined,
  name: string | undefined,
): Link {
  requireVerb(program.info, 'attachFreplace')
  if (target === undefined) return linkOf(program, { kind: 'freplace' })
  if (!isProgramLike(target))
    throw new BpfError('BAD_VALUE', 'attachFreplace() takes the Program whose function is replaced')
  const replaced = checkText('attachFreplace(): the function', name ?? '')
  return linkOf(program, { kind: 'freplace', target: { program: target.kernelProgram, function: replaced } })
}

/** Whether the name of the section stands for returns. */
export function saysReturn({ info }: KernelProgram): boolean {
  return /^\??(?:kret|uret)/.test(info.section)
}

export function linkOf(program: KernelProgram, request: Parameters<KernelProgram['attach']>[0]): Link {
  return new Link(program.attach(request), program.info.name)
}
