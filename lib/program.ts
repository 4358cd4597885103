/** A loaded program. */
import type { KernelProgram, RunOptions, RunResult } from './kernel.js'
import { Link } from './link.js'
import { programTypeName } from './linux/program-types.js'

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

  /** Tag of the instructions (8 bytes, hex), as `bpftool prog` prints it; empty in the fallback. */
  get tag(): string {
    return this.#program.info.tag
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
}
