/** What every open thing has in common: it is closed once, and it isn't lost unnoticed. */
import { BpfError } from './errors.js'

/** What a handle stands for below the seam. */
export interface Resource {
  close(): void
}

interface Leak {
  readonly description: string
  readonly resource: Resource
}

/**
 * Resources of open handles. They stay here when their handle is collected: a link that nobody holds any more goes on
 * working until the process ends, with a warning, rather than being detached at a moment that nobody chose.
 */
const openResources = new Set<Resource>()

const collected = new FinalizationRegistry<Leak>(({ description, resource }) => {
  if (!openResources.has(resource)) return
  process.emitWarning(
    `${description} was garbage-collected while open. It stays open until the process ends: keep a reference, and call close()`,
    { type: 'LibbpfNodeWarning', code: 'LIBBPF_NODE_LEAK' },
  )
})

/**
 * An open thing: object, link. `close()` may be called any number of times; `using` calls it at the end of the block.
 */
export abstract class Handle implements Disposable {
  readonly #resource: Resource
  readonly #description: string
  #closed = false

  /** @param description for messages: `link handle_exec (tp_btf/sched_process_exec)` */
  protected constructor(resource: Resource, description: string) {
    this.#resource = resource
    this.#description = description
    openResources.add(resource)
    collected.register(this, { description, resource }, this)
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Gives everything back to the kernel. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.pass()
    this.#resource.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Ends this handle without closing the resource, which another handle has by now. */
  protected pass(): void {
    this.#closed = true
    collected.unregister(this)
    openResources.delete(this.#resource)
  }

  protected assertOpen(): void {
    if (this.#closed) throw new BpfError('CLOSED', `${this.#description} is closed`)
  }
}
