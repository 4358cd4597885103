/** Verbs for functions and USDT probes of executables and libraries. */
import type { ProbeMode } from '../attach-request.js'
import { checkText } from '../checked-settings.js'
import { BpfError } from '../errors.js'
import type { KernelProgram } from '../kernel.js'
import type { Link } from '../link.js'
import { checkNames, linkOf, saysReturn } from './kernel-probes.js'
import {
  checkCookie,
  checkCookies,
  checkCount,
  checkOneOf,
  checkProcess,
  type CookieOption,
  type ProcessOption,
} from './options.js'
import { requireVerb } from './verbs.js'

interface InProcess {
  /** Only this process, or this one (`'self'`). Default: every process, also those that start later. */
  readonly pid?: ProcessOption
}

interface UprobeBase extends CookieOption, InProcess {
  /** At the function's return. Default: whether the `SEC()` name says uretprobe. */
  readonly retprobe?: boolean
  /** Offset in the file of a counter that says how many probes there are: 16 bits that the traced program looks at. Linux 4.20. */
  readonly refCtrOffset?: number
  /** How the probe is made. Default: the newest way that the kernel has. Needs an addon that was built with libbpf 1.2. */
  readonly mode?: ProbeMode
}

/** Where: a function, and bytes behind its start; or an offset in the file. */
export type UprobeOptions = UprobeBase &
  (
    | { readonly function: string; readonly offset?: number }
    | { readonly function?: never; readonly offset: number }
  )

export function attachUprobe(program: KernelProgram, binary: string, options: UprobeOptions): Link {
  const what = 'attachUprobe()'
  requireVerb(program.info, 'attachUprobe')
  const { function: name, offset } = options
  if (name === undefined && offset === undefined)
    throw new BpfError(
      'BAD_VALUE',
      `${what} takes a function, or an offset in the file: { function: 'malloc' }`,
    )
  return linkOf(program, {
    kind: 'uprobe',
    binary: checkText(`${what}: the binary`, binary),
    function: name === undefined ? undefined : checkText(`${what}: function`, name),
    offset: checkCount(`${what}: offset`, offset ?? 0),
    retprobe: options.retprobe ?? saysReturn(program),
    pid: checkProcess(what, options.pid),
    cookie: checkCookie(what, options.cookie),
    refCtrOffset: checkCount(`${what}: refCtrOffset`, options.refCtrOffset ?? 0),
    mode: checkOneOf(`${what}: mode`, options.mode, ['legacy', 'perf', 'link']),
  })
}

interface UprobeMultiBase extends InProcess {
  /** At the functions' returns. Default: whether the `SEC()` name says uretprobe.multi. A session is at both. */
  readonly retprobe?: boolean
  /** One for each place, in the order of the list. */
  readonly cookies?: readonly (bigint | number)[]
  /** Offsets in the file of counters, one for each place; 0: none. */
  readonly refCtrOffsets?: readonly number[]
}

/** Where: functions, by a pattern such as `'SSL_*'` or by name; or offsets in the file. */
export type UprobeMultiOptions = UprobeMultiBase &
  (
    | { readonly functions: string | readonly string[]; readonly offsets?: never }
    | { readonly functions?: never; readonly offsets: readonly number[] }
  )

export function attachUprobeMulti(program: KernelProgram, binary: string, options: UprobeMultiOptions): Link {
  const what = 'attachUprobeMulti()'
  requireVerb(program.info, 'attachUprobeMulti')
  const cookies = checkCookies(what, options.cookies)
  const pid = checkProcess(what, options.pid)
  return linkOf(program, {
    kind: 'uprobe.multi',
    binary: checkText(`${what}: the binary`, binary),
    places: placesOf(what, options, cookies),
    cookies,
    refCtrOffsets: options.refCtrOffsets?.map((offset) => checkCount(`${what}: refCtrOffsets`, offset)),
    retprobe: options.retprobe ?? saysReturn(program),
    // Here 0 is every process, and this one is a number like any other.
    pid: pid === -1 ? 0 : pid || process.pid,
  })
}

function placesOf(
  what: string,
  { functions, offsets }: UprobeMultiOptions,
  cookies: readonly bigint[] | undefined,
): string | readonly string[] | readonly number[] {
  if (functions !== undefined) return checkNames(what, functions, cookies)
  if (!Array.isArray(offsets) || offsets.length === 0)
    throw new BpfError('BAD_VALUE', `${what} takes functions or offsets: { functions: 'SSL_*' }`)
  return (offsets as readonly number[]).map((offset) => checkCount(`${what}: offsets`, offset))
}

export interface UsdtOptions extends CookieOption, InProcess {}

export function attachUsdt(
  program: KernelProgram,
  binary: string,
  provider: string,
  name: string,
  options: UsdtOptions,
): Link {
  const what = 'attachUsdt()'
  requireVerb(program.info, 'attachUsdt')
  return linkOf(program, {
    kind: 'usdt',
    binary: checkText(`${what}: the binary`, binary),
    provider: checkText(`${what}: the provider`, provider),
    name: checkText(`${what}: the name`, name),
    pid: checkProcess(what, options.pid),
    cookie: checkCookie(what, options.cookie),
  })
}
