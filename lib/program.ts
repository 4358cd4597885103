/** A loaded program. */
import type { KernelProgram, RunOptions, RunResult } from './kernel.js'
import { Link } from './link.js'
import { programTypeName } from './linux/program-types.js'
import {
  openProgramStream,
  readProgramStream,
  type ProgramStream,
  type ProgramStreamOptions,
} from './program-stream.js'

/** A program that the kernel accepted. It lives as long as its object, or a link to it, is open. */
export class Program {
  readonly #program: KernelProgram

  /** @internal */
  constructor(program: KernelProgram) {
    this.#program = program
  }

  get name(): string {
    return this.#program.info.name
  }

  /** The `SEC()` name. */
  get section(): string {
    return this.#program.info.section
  }

  /** Program type under bpftool's name: `tracing`, `xdp`, `sched_cls` … */
  get type(): string {
    return programTypeName(this.#program.info.type)
  }

  /** Kernel id. */
  get id(): number {
    return this.#program.info.id
  }

  /** Its file descriptor, to be handed to other processes or libraries; it stays the program's. Undefined in the fallback kernel. */
  get fd(): number | undefined {
    return this.#program.fd
  }

  /** Tag of the instructions (8 bytes, hex), as `bpftool prog` prints it; empty in the fallback. */
  get tag(): string {
    return this.#program.info.tag
  }

  /** What the verifier told of it, where its `logLevel` asked for that before `load()`; else empty. */
  get log(): string {
    return this.#program.info.log
  }

  /**
   * Attaches it where its `SEC()` name says.
   *
   * @throws BpfError `EPERM` naming the capability, `ENOENT` for a target that doesn't exist, `UNSUPPORTED` for a section
   *   that says no place
   */
  attach(): Link {
    return new Link(this.#program.attach(), this.name)
  }

  /**
   * Runs it in the kernel on a given input (BPF_PROG_TEST_RUN, Linux 4.12+; `CAP_BPF` and what the type needs).
   *
   * @returns `retval` as an unsigned 32-bit number, and data or context as the program left them
   */
  run(options: RunOptions = {}): RunResult {
    return this.#program.run(options)
  }

  /**
   * What the program has written to a stream with `bpf_stream_printk()` since the last call; on `stderr` also what the kernel has to tell of it:
   * a page fault in an arena, a `may_goto` loop that took too long. The kernel keeps 100,000 bytes and drops what comes then.
   *
   * Needs Linux 6.17 and an addon that was built with libbpf 1.6 or newer.
   *
   * @throws BpfError `UNSUPPORTED` where the addon or the kernel has none
   */
  stream(name: 'stdout' | 'stderr'): string {
    return readProgramStream(this.#program, name)
  }

  /** Reads the same line by line, as the program writes it: see {@link ProgramStream}. @throws as `stream()` does */
  streamReader(name: 'stdout' | 'stderr', options: ProgramStreamOptions = {}): ProgramStream {
    return openProgramStream(this.#program, name, options)
  }

  /** @internal */
  get kernelProgram(): KernelProgram {
    return this.#program
  }
}
