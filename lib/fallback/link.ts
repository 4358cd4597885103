/** Attachments of the simulated kernel: they live as long as a handle or a pin holds them. */
import { BpfError, systemError, unsupported } from '../errors.js'
import type { KernelLink, LinkReference } from '../kernel.js'
import type { LinkInfo } from '../link-info.js'
import { errno } from '../linux/errno.js'

/** What a link needs of the machine that it is made on. */
export interface LinkHost {
  /** By id. */
  readonly links: Map<number, LoadedLink>
  /** By the names that they are pinned under. */
  readonly linkPins: Map<string, LoadedLink>
  /** Of other things: a name stands for one thing only. */
  readonly pins: ReadonlyMap<string, unknown>
  newLinkId(): number
}

/** What is attached where. */
export interface LinkSubject {
  readonly target: string
  info(id: number): LinkInfo
  detach(): void
}

export class LoadedLink {
  readonly id: number
  readonly subject: LinkSubject
  readonly #host: LinkHost
  #holders = 0

  constructor(host: LinkHost, subject: LinkSubject) {
    this.#host = host
    this.id = host.newLinkId()
    this.subject = subject
    host.links.set(this.id, this)
  }

  /** BPF_OBJ_PIN. Paths are names here: there is no file system. @throws BpfError `EEXIST` */
  pin(path: string): void {
    const { linkPins, pins } = this.#host
    if (linkPins.has(path) || pins.has(path))
      throw systemError('bpf(BPF_OBJ_PIN)', errno('EEXIST'), `pin ${path}`)
    linkPins.set(path, this.retain())
  }

  /** @throws BpfError `ENOENT` */
  unpin(path: string): void {
    const { linkPins } = this.#host
    const pinned = linkPins.get(path)
    if (pinned === undefined) throw systemError('unlink', errno('ENOENT'), `pin ${path}`)
    linkPins.delete(path)
    pinned.release()
  }

  get isPinned(): boolean {
    for (const pinned of this.#host.linkPins.values()) if (pinned === this) return true
    return false
  }

  retain(): this {
    this.#holders++
    return this
  }

  /** The last holder's release detaches. */
  release(): void {
    if (--this.#holders > 0) return
    this.#host.links.delete(this.id)
    this.subject.detach()
  }
}

/** A handle of a link. */
export class FallbackLink implements KernelLink {
  readonly id: number
  readonly target: string
  readonly fd = undefined
  #link: LoadedLink | undefined

  constructor(link: LoadedLink) {
    this.#link = link.retain()
    this.id = link.id
    this.target = link.subject.target
  }

  info(): LinkInfo {
    return this.#open().subject.info(this.id)
  }

  /** As bpf_link_update() answers for links that have no such operation. */
  update(): void {
    this.#open()
    throw systemError('bpf(BPF_LINK_UPDATE)', errno('EINVAL'), `link of ${this.target}`, {
      hint: 'Links of tracing programs keep their program: attach the other one, and close this',
    })
  }

  pin(path: string): void {
    this.#open().pin(path)
  }

  unpin(path: string): void {
    this.#open().unpin(path)
  }

  detach(): void {
    this.#open()
    throw systemError('bpf(BPF_LINK_DETACH)', errno('EOPNOTSUPP'), `link of ${this.target}`, {
      hint: 'Links of tracing programs are detached by close(), when nothing else holds them',
    })
  }

  /** Without a pin the hold stays. */
  disown(): void {
    const link = this.#open()
    this.#link = undefined
    if (link.isPinned) link.release()
  }

  openIterator(): never {
    throw unsupported(`walks of ${this.target}: it is no iterator`)
  }

  close(): void {
    const link = this.#link
    this.#link = undefined
    link?.release()
  }

  #open(): LoadedLink {
    if (this.#link === undefined) throw new BpfError('CLOSED', `link of ${this.target} was closed`)
    return this.#link
  }
}

/** @throws BpfError `ENOENT` */
export function openKernelLink(host: LinkHost, reference: LinkReference): KernelLink {
  if ('fd' in reference) throw unsupported('file descriptors of links in the fallback kernel')
  const [call, subject, link] =
    'id' in reference
      ? ['bpf(BPF_LINK_GET_FD_BY_ID)', `link ${reference.id}`, host.links.get(reference.id)]
      : ['bpf(BPF_OBJ_GET)', `link pinned at ${reference.pin}`, host.linkPins.get(reference.pin)]
  if (link === undefined) throw systemError(call, errno('ENOENT'), subject)
  return new FallbackLink(link)
}
