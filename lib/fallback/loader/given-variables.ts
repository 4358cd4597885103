/** Variables that a simulated kernel was given, as the loader finds them. */
import type { ObjectSpace } from '../hooks/layout.js'
import type { Variable, WideAddress } from '../hooks/variables.js'
import { essentialName } from './core/names.js'
import type { ResolvedSymbol } from './kernel-symbols.js'

/** Where a variable is that the kernel was given; undefined: not for one who knows so little, or so much, of its type. */
export function addressOfVariable(
  variable: Variable,
  known: ResolvedSymbol | undefined,
  space: ObjectSpace,
): WideAddress | undefined {
  if (known?.kind !== 'symbol') return undefined
  const { symbol } = known
  if (symbol.kind === 'variable') {
    if (variable.copies === undefined) return undefined
    variable.bind(symbol.struct && essentialName(symbol.struct.name), symbol.size)
  }
  return variable.addressIn(space)
}

/** How to have it. */
export function variableHint(name: string, given: Variable | undefined): string {
  if (given === undefined) return `createKernel({ variables: { ${name}: … } }) gives it. `
  return given.copies === undefined
    ? 'Option variables of createKernel() gives its address alone: give it contents. '
    : 'Option variables of createKernel() gives it, but no BTF tells its type. '
}
