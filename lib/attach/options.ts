/** Checks of attach options that several verbs have. */
import { checkUint64 } from '../checked-settings.js'
import { BpfError } from '../errors.js'

/** What a program reads with bpf_get_attach_cookie(), to tell its attachments apart: an unsigned 64-bit number. */
export interface CookieOption {
  readonly cookie?: bigint | number
}

/** @param what as the start of a sentence: `attachKprobe()` */
export function checkCookie(what: string, cookie: bigint | number | undefined): bigint | undefined {
  if (cookie === undefined) return undefined
  if (typeof cookie === 'number') return BigInt(checkCount(`${what}: cookie`, cookie))
  return checkUint64(`${what}: cookie`, cookie)
}

export function checkCookies(
  what: string,
  cookies: readonly (bigint | number)[] | undefined,
): readonly bigint[] | undefined {
  if (cookies === undefined) return undefined
  if (!Array.isArray(cookies)) throw new BpfError('BAD_VALUE', `${what}: cookies are an array`)
  return cookies.map((cookie) => checkCookie(what, cookie) ?? 0n)
}

/** A number from 0 on that a JavaScript number holds exactly. */
export function checkCount(what: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new BpfError('BAD_VALUE', `${what} must be an integer from 0 on, not ${String(value)}`)
}

/** An option that has a few values. */
export function checkOneOf<T extends string | number>(
  what: string,
  value: T | undefined,
  values: readonly T[],
): T | undefined {
  if (value === undefined || values.includes(value)) return value
  throw new BpfError('BAD_VALUE', `${what} must be one of ${values.join(', ')}, not '${String(value)}'`)
}

/** A process; undefined: every one. */
export type ProcessOption = number | 'self'

/** @returns -1: every process; 0: this one */
export function checkProcess(what: string, pid: ProcessOption | undefined): number {
  if (pid === undefined) return -1
  if (pid === 'self') return 0
  if (Number.isInteger(pid) && pid > 0 && pid <= 0x7fffffff) return pid
  throw new BpfError(
    'BAD_VALUE',
    `${what}: pid must be the number of a process or 'self', not ${String(pid)}`,
  )
}
