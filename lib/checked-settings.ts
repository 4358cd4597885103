/** Checks of what callers set before load(): each says what was expected and what was given. */
import { BpfError } from './errors.js'
import { didYouMean } from './nearest.js'

const UINT32_MAX = 0xffffffff
const UINT64_MAX = (1n << 64n) - 1n

/** @param what as the start of a sentence: `map 'events': maxEntries` */
export function checkUint32(what: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= UINT32_MAX) return value
  throw new BpfError('BAD_VALUE', `${what} must be an unsigned 32-bit integer, not ${String(value)}`)
}

export function checkUint64(what: string, value: bigint): bigint {
  if (typeof value === 'bigint' && value >= 0n && value <= UINT64_MAX) return value
  throw new BpfError('BAD_VALUE', `${what} must be a bigint of 64 bits without a sign, not ${String(value)}`)
}

export function checkBoolean(what: string, value: boolean): boolean {
  if (typeof value === 'boolean') return value
  throw new BpfError('BAD_VALUE', `${what} must be true or false, not ${String(value)}`)
}

/** Text that may reach C: without a zero in it, and not empty. */
export function checkText(what: string, value: string): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  throw new BpfError('BAD_VALUE', `${what} must be a text without zeros, not ${JSON.stringify(value)}`)
}

/** A file descriptor, where a number stands for one. */
export function checkDescriptor(what: string, fd: number): number {
  if (Number.isInteger(fd) && fd >= 0 && fd <= 0x7fffffff) return fd
  throw new BpfError('BAD_VALUE', `${what} must be a file descriptor, not ${String(fd)}`)
}

/** The number that a name stands for. */
export function checkName(
  what: string,
  name: string,
  numberOf: (name: string) => number | undefined,
  names: () => Iterable<string>,
): number {
  const number = typeof name === 'string' ? numberOf(name) : undefined
  if (number !== undefined) return number
  const hint = typeof name === 'string' ? didYouMean(name, names()) : undefined
  throw new BpfError('BAD_VALUE', `${what}: there is no '${name}'`, hint === undefined ? {} : { hint })
}
