/** Objects with a program for each of many places: of them, a test loads the few that it attaches. */
import type { BpfObject } from '../../lib/index.js'
import { open } from '../../lib/open.js'
import { objectPath } from './kernels.js'

/** What kernels from before a program's type can't load doesn't stand in the way of the others. */
export function loadOnly(object: string, ...names: readonly string[]): BpfObject {
  const spec = open(objectPath(`test/${object}`), { kernel: 'native' })
  for (const [name, program] of Object.entries(spec.programs)) program.autoload = names.includes(name)
  return spec.load()
}

/** How often a program `on_name` has run. */
export function hits(object: BpfObject, name: string): number {
  return Number(object.bss[`${name}_hits`])
}

/** The numbers of the programs that ran during `action`, in their order. */
export function orderOf(object: BpfObject, action: () => void): readonly number[] {
  object.bss['ran'] = 0
  action()
  const order = object.bss['order'] as readonly number[]
  return order.slice(0, Math.min(Number(object.bss['ran']), order.length))
}
