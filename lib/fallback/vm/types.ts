/** What the loader hands to an execution engine, and what an engine hands to a helper. */
import type { LineInfo } from '../../object-file/types.js'
import type { Memory } from '../memory.js'

/** A program after relocation: entry function first, then each sub-program that it reaches. */
export interface ExecutableProgram {
  readonly name: string
  /** Whole program. Map and data references are plain 64-bit immediates by now (LDDW, src 0). */
  readonly code: Uint8Array
  /** Instruction slots at which functions start, ascending; the first is 0. */
  readonly functions: readonly { readonly name: string; readonly start: number }[]
  /** By byte offset into `code`, ascending. */
  readonly lines: readonly LineInfo[]
  /**
   * Whether a load from an unmapped kernel address gives 0, as Linux does for BTF-typed pointers of tracing programs,
   * instead of a trap.
   */
  readonly faultingLoadsReadZero: boolean
}

/** Registers of the running program, 64 bits as two signed 32-bit halves. Helpers find arguments in 1…5, leave r0. */
export interface Registers {
  readonly lo: Int32Array
  readonly hi: Int32Array
}

/** A helper: reads r1…r5, writes r0. May throw a `BpfError` to abort the program. */
export type HelperFunction = (registers: Registers, engine: Engine) => void

/** One program made ready to run on one kernel's memory. */
export interface Engine {
  readonly program: ExecutableProgram
  readonly memory: Memory
  readonly registers: Registers
  /**
   * Runs from the entry function with r1 = the context's address (a kernel address, low half given). Leaves r0 in
   * `registers`. Re-entrant: a helper may run another program, or call a callback of this one.
   */
  run(context: number): void
  /** Calls the function at a BPF_PSEUDO_FUNC address with up to five arguments (low, high pairs): callbacks. */
  call(functionAddress: number, args: readonly number[]): void
  /** Gives the stack memory back. The engine can't run any more. May be called twice. */
  close(): void
}

export interface EngineEnvironment {
  readonly memory: Memory
  /** By helper id; a missing one is an `UNSUPPORTED` error when the engine is made, naming the helper. */
  readonly helpers: ReadonlyMap<number, HelperFunction>
  /** Instructions after which a program is stopped: never a hang. */
  readonly fuel: number
}
