/** A program as the kernel lists it. */
import type { ProgramDefinition } from '../object-file/types.js'

/** Runs that were counted, while somebody wanted it. */
export interface RunCount {
  count: number
  nanoseconds: number
}

export interface ListedProgram {
  readonly id: number
  readonly definition: ProgramDefinition
  readonly license: string
  /** Nanoseconds of the simulated boot clock. */
  readonly loadTime: bigint
  readonly instructions: Uint8Array
  readonly mapIds: readonly number[]
  readonly runs: RunCount
}
