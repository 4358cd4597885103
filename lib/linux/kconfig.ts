/**
 * Kernel options in the format of Linux's .config, and how libbpf reads them for `extern … __kconfig`.
 *
 * Source: Documentation/kbuild/kconfig-language.rst of the Linux kernel; behaviour of libbpf 1.7 where a line counts once and the first
 * one wins.
 */
import { BpfError } from '../errors.js'

export type KconfigValue =
  | { readonly kind: 'tristate'; readonly value: 'y' | 'm' | 'n' }
  | { readonly kind: 'string'; readonly value: string }
  /** As written; negative ones as two's complement of 64 bits. */
  | { readonly kind: 'number'; readonly value: bigint }

const TRISTATES: ReadonlySet<string> = new Set(['y', 'm', 'n'])
const NUMBER = /^([+-]?)(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)$/i

/**
 * Options by name (`CONFIG_HZ`). Lines that don't start with `CONFIG_` are passed over.
 *
 * @throws BpfError `BAD_VALUE` for a line without a value, or with one that is none
 */
export function parseKconfig(text: string): ReadonlyMap<string, KconfigValue> {
  const options = new Map<string, KconfigValue>()
  for (const line of text.split('\n')) {
    if (!line.startsWith('CONFIG_')) continue
    const separator = line.indexOf('=')
    if (separator < 0 || separator === line.length - 1) {
      throw new BpfError('BAD_VALUE', `kconfig: '${line}' gives the option no value`, {
        hint: 'A line is CONFIG_NAME=y, =n, =m, a number, or a text in double quotes',
      })
    }
    const name = line.slice(0, separator)
    const value = parseValue(line.slice(separator + 1))
    if (value === undefined) {
      throw new BpfError(
        'BAD_VALUE',
        `kconfig: '${line}': the value is no number, and no text in double quotes`,
      )
    }
    if (!options.has(name)) options.set(name, value)
  }
  return options
}

function parseValue(text: string): KconfigValue | undefined {
  if (TRISTATES.has(text)) return { kind: 'tristate', value: text as 'y' | 'm' | 'n' }
  if (text.startsWith('"')) {
    return text.length > 1 && text.endsWith('"') ? { kind: 'string', value: text.slice(1, -1) } : undefined
  }
  const [, sign, digits] = NUMBER.exec(text) ?? []
  if (digits === undefined) return undefined
  // As in C, a leading zero makes it octal.
  const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits)
  return { kind: 'number', value: BigInt.asUintN(64, sign === '-' ? -value : value) }
}
