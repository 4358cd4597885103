/** What is said of programs, and what a run takes and gives. */

export interface ProgramInfo {
  readonly name: string
  readonly section: string
  readonly id: number
  readonly type: number
  /** BPF_ATTACH_TYPE that it was loaded for; 0 where the type knows none. */
  readonly expectedAttachType: number
  /** Hex, 8 bytes: Linux's tag of the instructions; empty where there is none. */
  readonly tag: string
  /** What the verifier told of it, where a log level asked for that; else empty. */
  readonly log: string
}

/** See `TEST_RUNS` of linux/test-run.ts for what which program type takes. */
export interface RunOptions {
  /** Packet or other input data. */
  readonly data?: Uint8Array | undefined
  /** The context, for program types that take one directly. */
  readonly ctx?: Uint8Array | undefined
  readonly repeat?: number | undefined
  /** The CPU to run on; undefined: the calling thread's. */
  readonly cpu?: number | undefined
  /** BPF_F_TEST_*. */
  readonly flags?: number | undefined
  /** Of live frames: packets at once. */
  readonly batchSize?: number | undefined
}

export interface RunResult {
  /** r0 as an unsigned 32-bit number: what the kernel reports. */
  readonly retval: number
  /** Mean time of a run, in nanoseconds. */
  readonly durationNs: number
  /** The data after the run, where the program type gives it back. */
  readonly data?: Uint8Array
  /** The context after the run, where the program type gives it back. */
  readonly ctx?: Uint8Array
}
