/** `extern … __kconfig`: what the simulated kernel was built with. */
import { resolveType } from '../../btf/query.js'
import type { Btf } from '../../btf/types.js'
import { BpfError, unsupported } from '../../errors.js'
import type { KconfigValue } from '../../linux/kconfig.js'
import type { ExternDefinition, MapDefinition, Variable } from '../../object-file/types.js'
import { HZ } from '../hooks/clock.js'

/** Version that the simulated kernel says it is: 6.18.0. */
export const KERNEL_VERSION = (6 << 16) | (18 << 8)

/** What libbpf itself supplies, whatever a text says. */
const SUPPLIED: Readonly<Record<string, number>> = {
  LINUX_KERNEL_VERSION: KERNEL_VERSION,
  LINUX_HAS_BPF_COOKIE: 1,
  LINUX_HAS_SYSCALL_WRAPPER: 1,
}

/** Options that the simulation has a truth for. */
const OWN: Readonly<Record<string, number>> = { CONFIG_HZ: HZ }

/**
 * The bytes of a `.kconfig` map. What isn't known is 0 where the extern is weak.
 *
 * @param given options that a text gives: they count before the simulation's own
 * @throws BpfError `UNSUPPORTED` naming the option, where it isn't; `BAD_VALUE` for a value that the extern's type can't hold
 */
export function kconfigBytes(
  btf: Btf,
  definition: MapDefinition,
  externs: readonly ExternDefinition[],
  given: ReadonlyMap<string, KconfigValue>,
): Uint8Array {
  const bytes = new Uint8Array(definition.valueSize)
  for (const variable of definition.data?.variables ?? []) {
    const { name, offset, size } = variable
    const value = valueOf(name, given)
    if (value === undefined) {
      if (externs.find((extern) => extern.name === name)?.weak === true) continue
      throw unsupported(
        `kernel option ${name} in the fallback kernel`,
        `open(…, { kconfig: '${name}=…' }) gives it a value, createKernel() takes the same option; declared __weak, it is 0`,
      )
    }
    bytes.set(encode(btf, variable, value).subarray(0, size), offset)
  }
  return bytes
}

function valueOf(name: string, given: ReadonlyMap<string, KconfigValue>): KconfigValue | undefined {
  const supplied = Object.hasOwn(SUPPLIED, name) ? SUPPLIED[name] : undefined
  if (supplied !== undefined) return { kind: 'number', value: BigInt(supplied) }
  const own = Object.hasOwn(OWN, name) ? OWN[name] : undefined
  return given.get(name) ?? (own === undefined ? undefined : { kind: 'number', value: BigInt(own) })
}

/** `enum libbpf_tristate`. */
const LIBBPF_TRISTATE = { n: 0, y: 1, m: 2 } as const

/** As libbpf does: a value's form must suit the extern's type. */
function encode(btf: Btf, { name, type: id, size }: Variable, value: KconfigValue): Uint8Array {
  const bytes = new Uint8Array(size)
  const type = resolveType(btf, id)
  const isBool = type.kind === 'int' && type.bool
  switch (value.kind) {
    case 'tristate':
      if (isBool && value.value !== 'm') bytes[0] = value.value === 'y' ? 1 : 0
      else if (type.kind === 'enum') bytes[0] = LIBBPF_TRISTATE[value.value]
      else if (type.kind === 'int' && !isBool && size === 1) bytes[0] = value.value.charCodeAt(0)
      else throw unsuitable(name, value.value)
      return bytes
    case 'string':
      if (type.kind !== 'array') throw unsuitable(name, `"${value.value}"`)
      // Cut where it doesn't fit; the last byte stays 0.
      bytes.set(new TextEncoder().encode(value.value).subarray(0, size - 1))
      return bytes
    case 'number': {
      const signed = type.kind === 'int' && type.signed
      const cut = signed
        ? BigInt.asUintN(64, BigInt.asIntN(8 * size, value.value))
        : BigInt.asUintN(8 * size, value.value)
      const fits = isBool ? value.value <= 1n : cut === value.value
      if (type.kind !== 'int' || !fits) throw unsuitable(name, String(value.value))
      for (let i = 0; i < size; i++) bytes[i] = Number((value.value >> BigInt(8 * i)) & 0xffn)
      return bytes
    }
  }
}

function unsuitable(name: string, value: string): BpfError {
  return new BpfError('BAD_VALUE', `kernel option ${name}: ${value} doesn't suit the type of the extern`)
}
