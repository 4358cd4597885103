/** Attachments of programs to the places where they run. */
import { Handle } from './handle.js'
import type { KernelLink } from './kernel.js'

/**
 * A program attached to something. Closing it detaches.
 *
 * Lifetime: its own. It outlives the object that it came from; without `close()` it lasts until the process ends.
 */
export class Link extends Handle {
  readonly #link: KernelLink
  /** Name of the attached program. */
  readonly program: string

  /** @internal */
  constructor(link: KernelLink, program: string) {
    super(link, `link of program '${program}' (${link.info.target})`)
    this.#link = link
    this.program = program
  }

  /** Kernel id of the link (Linux 5.8+); 0 for an attachment that is no BPF link. */
  get id(): number {
    return this.#link.info.id
  }

  /** What the program is attached to: `tp_btf/sched_process_exec`. */
  get target(): string {
    return this.#link.info.target
  }
}

/** A program that `attach()` left alone, and why. */
export interface SkippedProgram {
  readonly program: string
  readonly reason: string
}

/** What `object.attach()` did. Closing it detaches all. */
export class Links implements Disposable, Iterable<Link> {
  readonly attached: readonly Link[]
  readonly skipped: readonly SkippedProgram[]

  /** @internal */
  constructor(attached: readonly Link[], skipped: readonly SkippedProgram[]) {
    this.attached = attached
    this.skipped = skipped
  }

  [Symbol.iterator](): Iterator<Link> {
    return this.attached[Symbol.iterator]()
  }

  /** Detaches all, last one first. Idempotent. */
  close(): void {
    for (const link of this.attached.toReversed()) link.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
