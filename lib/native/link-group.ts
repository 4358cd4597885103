/** Several attachments that were made as one: a perf event on each CPU. */
import { BpfError, unsupported } from '../errors.js'
import type { KernelIterator, KernelLink, KernelMap, KernelProgram } from '../kernel.js'
import type { LinkInfo } from '../link-info.js'

export class LinkGroup implements KernelLink {
  readonly id = 0
  readonly fd = undefined
  readonly target: string
  readonly #links: readonly KernelLink[]

  constructor(links: readonly KernelLink[], target: string) {
    this.#links = links
    this.target = target
  }

  info(): LinkInfo {
    const links = this.#links.map((link) => link.info())
    return { type: 'group', id: 0, programId: links[0]?.programId ?? 0, links }
  }

  update(to: KernelProgram | KernelMap, expected?: KernelProgram | KernelMap): void {
    for (const link of this.#links) link.update(to, expected)
  }

  /** Each gets a name of its own: `PATH`, `PATH.1`, `PATH.2` … */
  pin(path: string): void {
    const done: string[] = []
    try {
      for (const [index, link] of this.#links.entries()) {
        const name = pinName(path, index)
        link.pin(name)
        done.push(name)
      }
    } catch (error) {
      for (const [index, name] of done.entries()) this.#links[index]?.unpin(name)
      throw error
    }
  }

  unpin(path: string): void {
    for (const [index, link] of this.#links.entries()) link.unpin(pinName(path, index))
  }

  detach(): void {
    for (const link of this.#links) link.detach()
  }

  disown(): void {
    for (const link of this.#links) link.disown()
  }

  openIterator(): KernelIterator {
    throw unsupported(`walks of ${this.target}: it is no iterator`)
  }

  close(): void {
    for (const link of this.#links.toReversed()) link.close()
  }
}

function pinName(path: string, index: number): string {
  return index === 0 ? path : `${path}.${index}`
}

/** One link of the attachments that `attach` makes; those that were made are closed again if one fails. */
export function grouped<T>(items: readonly T[], attach: (item: T) => KernelLink, target: string): KernelLink {
  const links: KernelLink[] = []
  try {
    for (const item of items) links.push(attach(item))
  } catch (error) {
    for (const link of links.toReversed()) link.close()
    throw error
  }
  const [first] = links
  if (first === undefined) throw new BpfError('BAD_VALUE', `${target}: there is nothing to attach to`)
  return links.length === 1 ? first : new LinkGroup(links, target)
}
