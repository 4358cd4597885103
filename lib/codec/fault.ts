/** What is wrong with a value, and where: faults collect their path on the way up, and become a `BpfError` on top. */
import { BpfError } from '../errors.js'

/** Thrown inside an encoder. Every level that it passes puts its segment in front: `.min`, `[3]`. */
export class Fault extends Error {
  path = ''
  readonly problem: string
  readonly hint: string | undefined

  constructor(problem: string, hint?: string) {
    super(problem)
    this.problem = problem
    this.hint = hint
  }
}

/** Puts a segment in front of the path, if it is a fault that passes, and throws on. */
export function passOn(error: unknown, segment: string): never {
  if (error instanceof Fault) error.path = segment + error.path
  throw error
}

/** @param root what the path starts with: `config` */
export function faultToError(fault: Fault, root: string): BpfError {
  const details = fault.hint === undefined ? {} : { hint: fault.hint }
  return new BpfError('BAD_VALUE', `${root}${fault.path}: ${fault.problem}`, details)
}

/** `.min`, or `["odd name"]` for what is no identifier. */
export function memberSegment(name: string): string {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`
}

/** A value as a message shows it: short, and without calling any of its methods. */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'bigint':
      // The decimal digits of a huge bigint take long to find.
      return BigInt.asIntN(256, value) === value ? String(value) : 'a bigint of more than 256 bits'
    case 'object':
      if (value === null) return 'null'
      if (Array.isArray(value)) return `an array of ${value.length}`
      if (ArrayBuffer.isView(value)) return `${viewName(value)} of ${value.byteLength} bytes`
      return 'an object'
    case 'function':
      return 'a function'
    default:
      return String(value)
  }
}

function viewName(view: ArrayBufferView): string {
  return view instanceof DataView
    ? 'a DataView'
    : view instanceof Uint8Array
      ? 'a Uint8Array'
      : 'a typed array'
}

/**
 * The error for bytes that don't hold a value, or aren't bytes at all.
 *
 * @param what `decode` or `encode`
 */
export function boundsError(
  what: string,
  typeName: string,
  size: number,
  bytes: unknown,
  offset: unknown,
): BpfError {
  const subject = `${what} ${typeName}`
  if (!(bytes instanceof Uint8Array)) {
    return new BpfError('BAD_VALUE', `${subject}: expected a Uint8Array, got ${show(bytes)}`)
  }
  if (typeof offset !== 'number' || !Number.isInteger(offset) || offset < 0) {
    return new BpfError(
      'BAD_VALUE',
      `${subject}: the offset must be a whole number of bytes, got ${show(offset)}`,
    )
  }
  const left = Math.max(0, bytes.length - offset)
  return new BpfError('BAD_VALUE', `${subject}: ${size} bytes needed at offset ${offset}, ${left} are there`)
}
