/** What the loader hands to an execution engine, and what an engine hands to a helper. */
import type { LineInfo } from '../../object-file/types.js'
import type { Memory } from '../memory.js'
import type { IntrinsicTables } from './wasm/intrinsic-tables.js'

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
  /** What address space casts do. Undefined: the program has no arena, and none. */
  readonly casts?: AddressCasts | undefined
  /** Contexts that the program may not access in place. Undefined: there are none. */
  readonly contexts?: HiddenContexts | undefined
}

/** A load or store of a program. */
export interface HiddenAccess {
  /** Bytes. */
  readonly size: number
  readonly write: boolean
  /** A load that extends the sign. */
  readonly signed: boolean
}

/** Where an access really goes. */
export interface HiddenPlace {
  /** Low half. */
  readonly address: number
  readonly size: number
  readonly signed: boolean
}

/** Contexts of which a program sees something else than what lies there. No program has rights to their bytes, so engines come here. */
export interface HiddenContexts {
  /** @param address low half. @returns undefined: in no context, or it isn't allowed */
  placeOf(address: number, access: HiddenAccess): HiddenPlace | undefined
  /** Why an access isn't allowed; undefined: there are no other words for it than the memory's. */
  describe(address: number, size: number, write: boolean): string | undefined
  /** Whether bytes lie in a context that a program runs on. */
  has(address: number, size: number): boolean
}

/** Addresses of an arena, in user space and in the kernel's memory. */
export interface AddressCasts {
  /** What is added to the low half of user space's address for the kernel's. */
  readonly difference: number
  /** The high half of user space's addresses, signed. */
  readonly userHigh: number
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
   *
   * @param second r2 at the start, unsigned 32 bits: Linux's programs have nothing there, raw ones the length of what r1 points to
   */
  run(context: number, second?: number): void
  /** Calls the function at a BPF_PSEUDO_FUNC address with up to five arguments (low, high pairs): callbacks. */
  call(functionAddress: number, args: readonly number[]): void
  /** Slot of the instruction that called the helper that runs, where the engine knows. */
  position?(): number | undefined
  /** Gives the stack memory back. The engine can't run any more. May be called twice. */
  close(): void
}

/** `auto`: WebAssembly where it may be compiled, for programs that run long or often; else the interpreter. */
export type EngineName = 'auto' | 'interpreter' | 'wasm'

/** What a verifier has proven of a program, for a compiler to leave checks out. What isn't proven is checked as the program runs. */
export interface Proof {
  /** Whether the access by the instruction at a slot is always allowed; that of a helper to its key too. */
  isProven(slot: number): boolean
  /** Instructions that a run takes at most; undefined: that isn't known. */
  readonly longestRun?: number | undefined
  /** All accesses are proven. */
  readonly provesAll: boolean
  /** It ends, and needs no more frames than there are: neither instructions nor calls are counted. */
  readonly terminates: boolean
  /** What isn't counted of a program that may not end: loops inside its functions, other than by may_goto. Only what is called again and again is. */
  readonly loopsEnd?: boolean
}

export interface EngineEnvironment {
  readonly engine: EngineName
  readonly memory: Memory
  /** By helper id; a missing one is an `UNSUPPORTED` error when the engine is made, naming the helper. */
  readonly helpers: ReadonlyMap<number, HelperFunction>
  /** Instructions after which a program is stopped: never a hang. */
  readonly fuel: number
  /**
   * bpf_tail_call(r1 context, r2 prog array, r3 index): runs the program there, which leaves r0 in `registers`. @returns false where the call fails
   * and the caller goes on: no such slot, nothing in it, or 33 tail calls before. Undefined: there are no programs to call.
   */
  readonly tailCall?: (registers: Registers, engine: Engine) => boolean
  /**
   * The packet behind a context, for LD_ABS and LD_IND. @returns low half of the address of `size` bytes at a signed offset, or -1 where the packet
   * has none there; undefined: it is no context that has a packet. Undefined: contexts have no packets.
   */
  readonly packetAt?: (context: number, offset: number, size: number) => number | undefined
  /** The contexts of programs of a type that can't access them in place. Undefined: all can. */
  readonly hiddenContexts?: (programType: number, attachType: number) => HiddenContexts | undefined
  /** No verifier has seen the programs: every access is checked, and every loop and call counted. */
  readonly sandboxed: boolean
  /** What is known of a program. Undefined: nothing. */
  readonly proof?: (program: ExecutableProgram) => Proof | undefined
  /** What compiled programs do without calling a helper. Undefined: nothing. */
  readonly intrinsics?: IntrinsicTables
}
