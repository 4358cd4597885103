/** An attachment in Linux. */
import { systemError } from '../errors.js'
import type { KernelIterator, KernelLink, KernelMap, KernelProgram } from '../kernel.js'
import type { LinkInfo } from '../link-info.js'
import { errno } from '../linux/errno.js'
import type { AddonLink } from './addon-types.js'
import { NativeIterator } from './iterator.js'
import { readLinkInfo } from './link-info.js'
import { fdOf, NativeHandle } from './native-handle.js'
import { removePin } from './pin.js'

/** What an attachment is that is no BPF link. */
const NO_LINK: LinkInfo = { type: 'none', id: 0, programId: 0 }

export class NativeLink implements KernelLink {
  readonly id: number
  readonly target: string
  readonly #handle: AddonLink
  /** Names that this handle gave it. */
  readonly #pins = new Set<string>()

  /** @param target undefined: what the kernel tells */
  constructor(handle: AddonLink, target?: string, pin?: string) {
    this.#handle = handle
    const info = this.info()
    this.id = info.id
    this.target = target ?? describeLink(info)
    if (pin !== undefined) this.#pins.add(pin)
  }

  get fd(): number | undefined {
    return this.#handle.fd()
  }

  info(): LinkInfo {
    return this.fd === undefined ? { ...NO_LINK, ...this.#handle.facts() } : readLinkInfo(this.#handle.info())
  }

  update(to: KernelProgram | KernelMap, expected?: KernelProgram | KernelMap): void {
    const what = `update of ${this.target}`
    if (to instanceof NativeHandle) {
      this.#checkExpectedMap(expected)
      if (to.takeLink(this.#handle)) return
    }
    this.#handle.update(fdOf(to, what), expected && fdOf(expected, what))
  }

  /** struct_ops: Linux would check it only of a map that it knows to be filled. */
  #checkExpectedMap(expected: KernelProgram | KernelMap | undefined): void {
    const info = this.info()
    if (info.type !== 'struct_ops' || expected === undefined || info.mapId === expected.info.id) return
    throw systemError('bpf(BPF_LINK_UPDATE)', errno('EPERM'), this.target, { hint: `Map ${info.mapId} is attached, not '${expected.info.name}'` })
  }

  pin(path: string): void {
    this.#handle.pin(path)
    this.#pins.add(path)
  }

  unpin(path: string): void {
    removePin(path)
    this.#pins.delete(path)
  }

  detach(): void {
    this.#handle.detach()
  }

  disown(): void {
    this.#handle.disown(this.#pins.size > 0)
  }

  openIterator(): KernelIterator {
    return new NativeIterator(this.#handle.openIterator(), `walk of ${this.target}`)
  }

  close(): void {
    this.#handle.close()
  }
}

/** What a link is attached to, as far as the kernel tells: for those that were made elsewhere. */
function describeLink(info: LinkInfo): string {
  switch (info.type) {
    case 'raw_tracepoint':
      return `raw_tp/${info.name}`
    case 'iter':
      return `iter/${info.name}`
    case 'tracing':
    case 'cgroup':
    case 'netns':
      return info.attachType
    case 'tcx':
    case 'netkit':
      return `${info.attachType} of interface ${info.ifindex}`
    case 'xdp':
      return `xdp of interface ${info.ifindex}`
    case 'sockmap':
      return `${info.attachType} of map ${info.mapId}`
    case 'struct_ops':
      return `struct_ops of map ${info.mapId}`
    case 'uprobe_multi':
      return `uprobe.multi/${info.path}`
    case 'perf_event':
      return describeEvent(info.event)
    default:
      return info.type
  }
}

function describeEvent(event: Extract<LinkInfo, { type: 'perf_event' }>['event']): string {
  switch (event?.kind) {
    case 'uprobe':
    case 'uretprobe':
      return `${event.kind}/${event.path}`
    case 'kprobe':
    case 'kretprobe':
      return `${event.kind}/${event.function}`
    case 'tracepoint':
      return `tracepoint/${event.name}`
    default:
      return 'perf_event'
  }
}
