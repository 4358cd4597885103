/** Names of the kernel's functions by address, as /proc/kallsyms tells; not at all where kernel.kptr_restrict hides addresses. */
import { readFileSync } from 'node:fs'

const CALL_BASE = '__bpf_call_base'

/** How far the functions of the kernel are from `__bpf_call_base`. Read once: helpers are not in modules. */
let helpers: ReadonlyMap<number, string> | undefined

/** The function that a loaded program's call of a helper reaches; undefined where that can't be told. */
export function helperByCallOffset(offset: number): string | undefined {
  return (helpers ??= readHelpers()).get(offset)
}

function readHelpers(): ReadonlyMap<number, string> {
  let text: string
  try {
    text = readFileSync('/proc/kallsyms', 'latin1')
  } catch {
    return new Map()
  }
  const symbols = Array.from(text.matchAll(/^([0-9a-f]+) [tT] (\w+)$/gm), ([, address = '', name = '']) => ({
    address: BigInt(`0x${address}`),
    name,
  }))
  const base = symbols.find(({ name }) => name === CALL_BASE)?.address ?? 0n
  if (base === 0n) return new Map()
  const near = symbols.filter(({ name }) => name.startsWith('bpf_') || name.startsWith('____bpf'))
  return new Map(near.map(({ address, name }) => [Number(address - base), name]))
}
