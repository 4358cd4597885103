/** Memory that is passed to helpers and global functions: all of it must be accessible. */
import { BPF_PROG_TYPE } from '../../linux/program-types.js'
import { accessMemory, checkMapFlags, checkMapValue, checkPacket, checkRegion } from './memory-access.js'
import { accessObject } from './kernel-pointers.js'
import type { VerifierMap } from './program.js'
import { markPrecise } from './precision.js'
import { denied } from './rejection.js'
import { checkNoDynptr, checkStackBounds, checkStackRange, storeStack } from './stack.js'
import { typeName } from './type-names.js'
import { FLAG, isKnownZero, KIND, type Register } from './values/register.js'
import { umaxNumber, uminNumber } from './values/numbers.js'
import { isConst, tnumText } from './values/tnum.js'
import { unsignedText } from './values/wide.js'
import type { Verification } from './verification.js'

export interface MemoryUse {
  /** Bytes; the largest number that it may be. */
  readonly size: number
  readonly write: boolean
  readonly zeroSize: boolean
  /** It need not be initialised, and is afterwards: where size and place are known. */
  readonly uninitialised?: boolean
}

/** @returns what is to be done when all arguments have been checked */
export function checkMemory(
  env: Verification,
  number: number,
  base: Register,
  use: MemoryUse,
): (() => void) | undefined {
  const { size, write, zeroSize } = use
  const { offset } = base
  switch (base.kind) {
    case KIND.PACKET:
    case KIND.PACKET_META:
      checkPacket(number, base, offset, size, zeroSize)
      return undefined
    case KIND.MAP_KEY:
      if (write) denied(`R${number} cannot write into ${typeName(base)}`)
      checkRegion(number, base, offset, size, (base.map as VerifierMap).keySize, false)
      return undefined
    case KIND.MAP_VALUE:
      checkMapFlags(base.map as VerifierMap, offset, size, write)
      checkMapValue(number, base, offset, size, zeroSize)
      return undefined
    case KIND.MEM:
      if (write && (base.flags & FLAG.RDONLY) !== 0) denied(`R${number} cannot write into ${typeName(base)}`)
      if ((base.flags & FLAG.UNTRUSTED) === 0) checkRegion(number, base, offset, size, base.range, zeroSize)
      return undefined
    case KIND.BUF:
      if (write && (base.flags & FLAG.RDONLY) !== 0) denied(`R${number} cannot write into ${typeName(base)}`)
      if (!isConst(base) || (base.valueLo | base.valueHi) !== 0)
        denied(`R${number} invalid variable buffer offset: off=${offset}, var_off=${tnumText(base)}`)
      return undefined
    case KIND.STACK:
      return checkStackMemory(env, number, base, use)
    case KIND.BTF_ID:
      accessObject(env, number, base, offset, size, write)
      return undefined
    case KIND.CTX:
      if (env.program.type === BPF_PROG_TYPE.SYSCALL) {
        if (size === 0 && zeroSize) return undefined
        accessMemory(env, { number, offset: size - 1, size: 1, write })
        return undefined
      }
  }
  if (zeroSize && size === 0 && isKnownZero(base)) return undefined
  denied(`R${number} type=${typeName(base)} expected=fp`)
}

function checkStackMemory(
  env: Verification,
  number: number,
  base: Register,
  { size, write, zeroSize, uninitialised }: MemoryUse,
): (() => void) | undefined {
  if (size === 0 && !zeroSize) denied('invalid zero-sized read')
  if (uninitialised !== true || !isConst(base)) {
    checkStackRange(env, number, base, base.offset, size, write)
    return undefined
  }
  checkStackBounds(env, number, base, base.offset, size, write)
  checkNoDynptr(env, base, base.offset, size)
  return () => {
    for (let i = 0; i < size; i++) storeStack(env, base, base.offset + i, 1, undefined)
  }
}

/** BPF_MAX_VAR_SIZ: no size is larger. */
const MAX_SIZE = 1 << 29

/** The size of memory, and with it the memory in the register before. */
export function checkSizedMemory(
  env: Verification,
  number: number,
  size: Register,
  use: Omit<MemoryUse, 'size'>,
): (() => void) | undefined {
  if (size.sminHi < 0) denied(`R${number} min value is negative, either use unsigned or 'var &= const'`)
  if (uminNumber(size) === 0 && !use.zeroSize) {
    const range = `[${unsignedText(size.uminHi, size.uminLo)},${unsignedText(size.umaxHi, size.umaxLo)}]`
    denied(`R${number} invalid zero-sized read: u64=${range}`)
  }
  const most = umaxNumber(size)
  if (most >= MAX_SIZE) denied(`R${number} unbounded memory access, use 'var &= const' or 'if (var < const)'`)
  const constant = isConst(size)
  const memory = env.register(number - 1)
  const after = checkMemory(env, number - 1, memory, {
    ...use,
    size: most,
    uninitialised: constant && use.uninitialised === true,
  })
  markPrecise(env, number)
  return after
}
