/** What others need of a `Program` or a `BpfMap`: so that links and attach options know them without importing the classes. */
import { BpfError } from './errors.js'
import type { KernelMap, KernelProgram } from './kernel.js'

/** A `Program`. */
export interface ProgramLike {
  readonly name: string
  /** Kernel id. */
  readonly id: number
  /** @internal */
  readonly kernelProgram: KernelProgram
}

/** A `BpfMap`. */
export interface MapLike {
  /** @internal */
  readonly kernelMap: KernelMap
}

export function isProgramLike(value: unknown): value is ProgramLike {
  return typeof value === 'object' && value !== null && 'kernelProgram' in value
}

export function isMapLike(value: unknown): value is MapLike {
  return typeof value === 'object' && value !== null && 'kernelMap' in value
}

/** What a program or map stands for below the seam. @param what for the error, as the start of a sentence: `link.update()` */
export function kernelHandleOf(what: string, value: ProgramLike | MapLike): KernelProgram | KernelMap {
  if (isProgramLike(value)) return value.kernelProgram
  if (isMapLike(value)) return value.kernelMap
  throw new BpfError('BAD_VALUE', `${what} takes a Program or, of struct_ops, a BpfMap`)
}
