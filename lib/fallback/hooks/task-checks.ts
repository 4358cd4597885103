/** What a test may give a simulated task: checked before anything is made or changed. */
import { BpfError } from '../../errors.js'
import { describe } from '../describe.js'
import type { Exit, TaskIdentity } from './task-options.js'

/** Bit of an exit status: a core was dumped. */
const CORE_DUMPED = 0x80

/** @throws BpfError `BAD_VALUE` for options that are no object */
export function checkOptions(call: string, options: unknown, example: string): void {
  if (typeof options === 'object' && options !== null) return
  throw new BpfError('BAD_VALUE', `${call}() takes options: ${example}, not ${describe(options)}`)
}

/** @throws BpfError `BAD_VALUE` for what is no text */
export function checkText(what: string, value: unknown): void {
  if (typeof value !== 'string')
    throw new BpfError('BAD_VALUE', `${what} is a string, not ${describe(value)}`)
}

/** @throws BpfError `BAD_VALUE` for a file and arguments that can't be executed */
export function checkProgram(filename: unknown, argv: unknown): void {
  if (typeof filename !== 'string' || filename === '')
    throw new BpfError('BAD_VALUE', `filename is a path such as '/usr/bin/curl', not ${describe(filename)}`)
  if (argv === undefined || (Array.isArray(argv) && argv.every((arg) => typeof arg === 'string'))) return
  throw new BpfError('BAD_VALUE', `argv is an array of strings: ['curl', 'localhost'], not ${describe(argv)}`)
}

/** Before anything is made or changed. @throws BpfError `BAD_VALUE` */
export function checkIdentity({ comm, uid, gid, fields }: TaskIdentity): void {
  if (comm !== undefined) checkText('comm', comm)
  if (uid !== undefined) checkId(uid, 'uid')
  if (gid !== undefined) checkId(gid, 'gid')
  if (fields === undefined || (typeof fields === 'object' && fields !== null && !Array.isArray(fields)))
    return
  throw new BpfError('BAD_VALUE', `fields are values by member: { flags: 4 }, not ${describe(fields)}`)
}

/** A uid or gid. @throws BpfError `BAD_VALUE` */
export function checkId(value: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffffffff) return value
  throw new BpfError('BAD_VALUE', `a ${what} is an unsigned 32-bit integer, not ${String(value)}`)
}

/** As waitpid() tells it. @throws BpfError `BAD_VALUE` for what is no exit code and no signal */
export function statusOf(exit: Exit): number {
  if (typeof exit === 'number') {
    if (!Number.isInteger(exit) || exit < 0 || exit > 255) {
      throw new BpfError('BAD_VALUE', `an exit code is 0…255, not ${exit}`, {
        hint: 'For a signal: exit({ signal: 9 })',
      })
    }
    return exit << 8
  }
  if (typeof exit !== 'object' || exit === null)
    throw new BpfError('BAD_VALUE', `exit() takes a code or { signal: 9 }, not ${describe(exit)}`)
  const { signal, core = false } = exit
  if (!Number.isInteger(signal) || signal < 1 || signal > 64) {
    throw new BpfError('BAD_VALUE', `a signal is 1…64, not ${String(signal)}`)
  }
  return signal | (core ? CORE_DUMPED : 0)
}
