/** The kernel's printf for programs: what bpf_bprintf_prepare() of kernel/bpf/helpers.c accepts. */
import { EINVAL } from '../errors.js'
import type { Machine } from '../machine.js'
import { Access, KERNEL_HI, USER_HI } from '../memory.js'

/** An argument: 64 bits as two signed halves. */
export interface FormatArgument {
  readonly low: number
  readonly high: number
}

/** `%`, flags, width, and either a pointer format or length and conversion. */
const CONVERSION = /^%([0+\- ]*)([1-9]\d*)?(?:(p)([ku]s|[iI][46]|[KxsSB])?|(s|c)|(l{0,2})([diuxX]))/
const MAX_STRING = 512
const MAX_WIDTH = 512

/**
 * The text, or -EINVAL for a format that the kernel refuses: an unknown conversion, one without an argument, a character that is no
 * printable ASCII. A string that can't be read is empty.
 */
export function formatText(
  machine: Machine,
  format: string,
  args: readonly FormatArgument[],
): string | number {
  if (/[^\x20-\x7e\t-\r]/.test(format)) return EINVAL
  let text = ''
  let next = 0
  for (let at = 0; at < format.length;) {
    if (format[at] !== '%') {
      text += format[at++]
      continue
    }
    if (format[at + 1] === '%') {
      text += '%'
      at += 2
      continue
    }
    const match = CONVERSION.exec(format.slice(at))
    const argument = args[next++]
    if (match === null || argument === undefined) return EINVAL
    const [whole, flags = '', width = '0', pointer, pointerKind = '', textual, length = '', conversion = ''] =
      match
    // A pointer format that isn't known ends in a letter or digit behind the p.
    if (pointer !== undefined && pointerKind === '' && /^\w/.test(format.slice(at + whole.length)))
      return EINVAL
    const body =
      pointer !== undefined
        ? formatPointer(machine, argument, pointerKind)
        : textual !== undefined
          ? formatTextual(machine, argument, textual)
          : formatInteger(argument, length, conversion, flags)
    text += pad(body, Math.min(Number(width), MAX_WIDTH), flags, conversion !== '')
    at += whole.length
  }
  return text
}

function formatInteger(argument: FormatArgument, length: string, conversion: string, flags: string): string {
  const bits = length === '' ? 32 : 64
  const raw = (BigInt(argument.high) << 32n) | BigInt(argument.low >>> 0)
  if (conversion === 'd' || conversion === 'i') {
    const value = BigInt.asIntN(bits, raw)
    const sign = value < 0n ? '' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : ''
    return sign + value.toString()
  }
  const value = BigInt.asUintN(bits, raw)
  const digits = value.toString(conversion === 'u' ? 10 : 16)
  return conversion === 'X' ? digits.toUpperCase() : digits
}

function formatTextual(machine: Machine, argument: FormatArgument, conversion: string): string {
  if (conversion === 'c') return String.fromCharCode(argument.low & 0xff)
  return readText(machine, argument, argument.high === USER_HI)
}

function formatPointer(machine: Machine, argument: FormatArgument, kind: string): string {
  switch (kind) {
    case 'ks':
    case 'us':
      return readText(machine, argument, kind === 'us')
    case 'i4':
    case 'I4':
      return readBytes(machine, argument, 4)
        .map((byte) => (kind === 'i4' ? String(byte).padStart(3, '0') : String(byte)))
        .join('.')
    case 'i6':
    case 'I6': {
      const bytes = readBytes(machine, argument, 16).map((byte) => byte.toString(16).padStart(2, '0'))
      const groups = Array.from({ length: 8 }, (_, i) => `${bytes[2 * i] ?? '00'}${bytes[2 * i + 1] ?? '00'}`)
      return groups.join(kind === 'i6' ? '' : ':')
    }
    default: {
      // Linux scrambles what plain %p shows; here there is nothing to hide. Symbols (%ps, %pS, %pB) have no names here.
      const digits = (half: number): string => (half >>> 0).toString(16).padStart(8, '0')
      return `${/[sSB]/.test(kind) ? '0x' : ''}${digits(argument.high)}${digits(argument.low)}`
    }
  }
}

function pad(text: string, width: number, flags: string, numeric: boolean): string {
  if (flags.includes('-')) return text.padEnd(width)
  if (!numeric || !flags.includes('0')) return text.padStart(width)
  const sign = /^[-+ ]/.exec(text)?.[0] ?? ''
  return sign + text.slice(sign.length).padStart(width - sign.length, '0')
}

function readText(machine: Machine, argument: FormatArgument, user: boolean): string {
  const bytes: number[] = []
  const address = argument.low >>> 0
  while (bytes.length < MAX_STRING - 1) {
    const at = address + bytes.length
    if (!isReadable(machine, argument.high, at, 1, user)) return ''
    const byte = machine.memory.u8[at] ?? 0
    if (byte === 0) break
    bytes.push(byte)
  }
  return new TextDecoder().decode(Uint8Array.from(bytes))
}

function readBytes(machine: Machine, argument: FormatArgument, size: number): number[] {
  const address = argument.low >>> 0
  if (!isReadable(machine, argument.high, address, size, false)) return Array.from({ length: size }, () => 0)
  return [...machine.memory.u8.subarray(address, address + size)]
}

function isReadable(machine: Machine, high: number, address: number, size: number, user: boolean): boolean {
  if (user) return high === USER_HI && (machine.task.process.memory?.contains(address, size) ?? false)
  return high === KERNEL_HI && machine.memory.accessible(address, size, Access.read)
}
