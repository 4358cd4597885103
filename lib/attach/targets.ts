/** What several verbs take: interfaces, namespaces, neighbours, other programs. */
import type { Anchor, HandleOrFd, Neighbour } from '../attach-request.js'
import { checkDescriptor, checkText, checkUint32 } from '../checked-settings.js'
import { BpfError } from '../errors.js'
import type { Link } from '../link.js'
import { isProgramLike, type ProgramLike } from '../program-like.js'

/** A network interface: its name (`eth0`) or its index. */
export type InterfaceReference = string | number

export interface InNamespace {
  /**
   * The network namespace where the interface is: a name as `ip netns` gives them, a path (`/proc/42/ns/net`), or a file descriptor. Without:
   * the one of this process. Another one takes `CAP_SYS_ADMIN`.
   */
  readonly netns?: string | number
}

/** A program or link that is attached to the same hook; by kernel id where there is no handle. */
export type AttachedNeighbour =
  ProgramLike | Link | { readonly programId: number } | { readonly linkId: number }

/** Where among the programs of a hook; without, behind all. */
export type AttachOrder =
  'first' | 'last' | { readonly before: AttachedNeighbour } | { readonly after: AttachedNeighbour }

/** How the list of a hook's programs is changed. */
export interface InOrder {
  readonly order?: AttachOrder
  /** Attaches only if the list is at this revision (`ESTALE` otherwise): nobody has changed it since it was looked at. */
  readonly expectedRevision?: bigint
}

/** @param what as the start of a sentence: `attachXdp()` */
export function checkInterface(what: string, reference: InterfaceReference): InterfaceReference {
  if (typeof reference !== 'number') return checkText(`${what}: the interface`, reference)
  if (Number.isInteger(reference) && reference > 0 && reference <= 0x7fffffff) return reference
  throw new BpfError(
    'BAD_VALUE',
    `${what}: the interface must be a name or an index from 1 on, not ${String(reference)}`,
  )
}

export function checkNetns(what: string, netns: string | number): string | number {
  return checkPathOrFd(`${what}: netns`, netns)
}

export function checkPathOrFd(what: string, reference: string | number): string | number {
  return typeof reference === 'number' ? checkDescriptor(what, reference) : checkText(what, reference)
}

/** A program as it crosses the seam: its handle, or a descriptor. */
export function programReference(what: string, program: ProgramLike | number): HandleOrFd {
  if (typeof program === 'number') return checkDescriptor(what, program)
  if (isProgramLike(program)) return program.kernelProgram
  throw new BpfError('BAD_VALUE', `${what} must be a Program, or the file descriptor of one`)
}

export function toAnchor(what: string, order: AttachOrder): Anchor {
  if (order === 'first' || order === 'last') return order
  if (typeof order === 'object' && order !== null) {
    if ('before' in order) return { before: toNeighbour(what, order.before) }
    if ('after' in order) return { after: toNeighbour(what, order.after) }
  }
  throw new BpfError(
    'BAD_VALUE',
    `${what}: order is 'first', 'last', { before: … } or { after: … }, not ${JSON.stringify(order)}`,
  )
}

function toNeighbour(what: string, neighbour: AttachedNeighbour): Neighbour {
  const wrong = `${what}: order goes by a Program, a Link, { programId } or { linkId }`
  if (typeof neighbour !== 'object' || neighbour === null) throw new BpfError('BAD_VALUE', wrong)
  if ('programId' in neighbour) return { programId: checkUint32(`${what}: programId`, neighbour.programId) }
  if ('linkId' in neighbour) return { linkId: checkUint32(`${what}: linkId`, neighbour.linkId) }
  if (typeof neighbour.id !== 'number') throw new BpfError('BAD_VALUE', wrong)
  if (isProgramLike(neighbour)) return { programId: neighbour.id }
  if (neighbour.id !== 0) return { linkId: neighbour.id }
  throw new BpfError(
    'BAD_VALUE',
    `${what}: ${neighbour.target} is no BPF link, so nothing goes before or after it`,
    {
      hint: 'Give its program',
    },
  )
}
