/** `extern … __kconfig`: what the simulated kernel was built with. */
import { sizeOf } from '../../btf/query.js'
import type { Btf } from '../../btf/types.js'
import { unsupported } from '../../errors.js'
import type { ExternDefinition, MapDefinition } from '../../object-file/types.js'
import { HZ } from '../hooks/clock.js'

/** Version that the simulated kernel says it is: 6.18.0. */
export const KERNEL_VERSION = (6 << 16) | (18 << 8)

/** Values by name: what libbpf itself supplies, and the options that the simulation has a truth for. */
const VALUES: Readonly<Record<string, number>> = {
  LINUX_KERNEL_VERSION: KERNEL_VERSION,
  LINUX_HAS_BPF_COOKIE: 1,
  LINUX_HAS_SYSCALL_WRAPPER: 1,
  CONFIG_HZ: HZ,
}

/**
 * The bytes of a `.kconfig` map. What isn't known is 0 where the extern is weak.
 * @throws BpfError `UNSUPPORTED` naming the option, where it isn't
 */
export function kconfigBytes(
  btf: Btf,
  definition: MapDefinition,
  externs: readonly ExternDefinition[],
): Uint8Array {
  const bytes = new Uint8Array(definition.valueSize)
  const view = new DataView(bytes.buffer)
  for (const { name, type, offset } of definition.data?.variables ?? []) {
    const value = VALUES[name]
    if (value === undefined) {
      if (externs.find((extern) => extern.name === name)?.weak === true) continue
      throw unsupported(`kernel option ${name} in the fallback kernel`, 'Declare it __weak: it is 0 then')
    }
    const size = sizeOf(btf, type)
    for (let i = 0; i < Math.min(size, 4); i++) view.setUint8(offset + i, value >>> (8 * i))
  }
  return bytes
}
