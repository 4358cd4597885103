/** Attachments of programs to the places where they run. */
import { checkText } from './checked-settings.js'
import { Handle } from './handle.js'
import type { KernelLink } from './kernel.js'
import type { LinkInfo } from './link-info.js'
import { kernelHandleOf, type MapLike, type ProgramLike } from './program-like.js'

/**
 * A program attached to something. Closing it detaches, if nothing else (a pin, another process) holds it.
 *
 * Lifetime: its own. It outlives the object that it came from; without `close()` it lasts until the process ends.
 *
 * @example
 * using link = program.attachTracepoint('sched', 'sched_switch')
 * link.pin('/sys/fs/bpf/switches') // now it outlives the process
 */
export class Link extends Handle {
  readonly #link: KernelLink
  /** Name of the attached program, or of the struct_ops map. */
  readonly program: string

  /** @internal */
  constructor(link: KernelLink, program: string) {
    super(link, `link of program '${program}' (${link.target})`)
    this.#link = link
    this.program = program
  }

  /** Kernel id of the link (Linux 5.8+); 0 for an attachment that is no BPF link. */
  get id(): number {
    return this.#link.id
  }

  /** What the program is attached to: `tp_btf/sched_process_exec`. */
  get target(): string {
    return this.#link.target
  }

  /** Its file descriptor, to be handed to other processes or libraries; it stays the link's. Undefined in the fallback kernel, and of what is no BPF link. */
  get fd(): number | undefined {
    this.assertOpen()
    return this.#link.fd
  }

  /**
   * What the kernel says of it now; which fields there are, `type` tells (Linux 5.8; much of it is younger).
   *
   * @example
   * const info = link.info()
   * if (info.type === 'kprobe_multi') console.log(info.missed)
   */
  info(): LinkInfo {
    this.assertOpen()
    return this.#link.info()
  }

  /**
   * Puts another program in its place, without a moment in which none runs. Links of cgroups, network namespaces, XDP, tcx, netkit and sockmaps
   * take programs of the same type, iterators too; struct_ops takes another map. Tracing takes none.
   *
   * @param expected what must be there now: if it isn't, nothing is done
   * @throws BpfError `EINVAL` or `EOPNOTSUPP` where the type of link has no such thing, `EPERM` if `expected` isn't there, `UNSUPPORTED` for what is no
   *   BPF link
   */
  update(to: ProgramLike | MapLike, expected?: ProgramLike | MapLike): void {
    this.assertOpen()
    const next = kernelHandleOf('link.update()', to)
    this.#link.update(next, expected && kernelHandleOf('link.update()', expected))
  }

  /**
   * Gives it a name in a BPF file system: the attachment lasts until `unpin()` then, and longer than this process.
   *
   * @throws BpfError `UNSUPPORTED` for what is no BPF link, `EEXIST`, `EPERM` for a path that is not in a BPF file system
   */
  pin(path: string): this {
    this.assertOpen()
    this.#link.pin(checkText('link.pin(): the path', path))
    return this
  }

  /** Removes a name. Who holds nothing else detaches with the last one. @throws BpfError `ENOENT` */
  unpin(path: string): this {
    this.assertOpen()
    this.#link.unpin(checkText('link.unpin(): the path', path))
    return this
  }

  /**
   * Detaches at once, also what is pinned or held by another process: the link stays, defunct. Linux 5.9: links of cgroups, network namespaces,
   * XDP, tcx, netkit, sockmaps and struct_ops.
   *
   * @throws BpfError `EOPNOTSUPP` for links of tracing: those end with `close()`, and with what else holds them
   */
  detach(): void {
    this.assertOpen()
    this.#link.detach()
  }

  /**
   * Ends this handle, but not the attachment: it lasts as long as its pin; without one, until the process ends. What is no BPF link (a clsact
   * filter, a socket's filter) lasts as long as what it is attached to.
   */
  disown(): void {
    this.assertOpen()
    this.pass()
    this.#link.disown()
  }

  /** @internal */
  protected get kernelLink(): KernelLink {
    return this.#link
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
