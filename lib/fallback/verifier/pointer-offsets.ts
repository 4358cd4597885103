/** Pointers that must be to the start of what they point to. */
import { denied } from './rejection.js'
import { typeName } from './type-names.js'
import type { Register } from './values/register.js'
import { isConst, tnumText } from './values/tnum.js'

/** Refuses pointers with an offset where none is allowed. */
export function checkNoOffset(number: number, base: Register, fixedAllowed = false): void {
  const name = typeName(base)
  if (base.offset < 0) denied(`negative offset ${name} ptr R${number} off=${base.offset} disallowed`)
  if (!fixedAllowed && base.offset !== 0)
    denied(`dereference of modified ${name} ptr R${number} off=${base.offset} disallowed`)
  if (!isConst(base) || (base.valueLo | base.valueHi) !== 0)
    denied(`variable ${name} access var_off=${tnumText(base)} disallowed`)
}
