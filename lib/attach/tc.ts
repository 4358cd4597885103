/** Attaching to traffic control: tcx, netkit, clsact. */
import type { TcDirection, TcMechanism } from '../attach-request.js'
import { checkBoolean, checkUint32, checkUint64 } from '../checked-settings.js'
import { BpfError } from '../errors.js'
import type { KernelProgram } from '../kernel.js'
import type { Link } from '../link.js'
import { BPF_ATTACH_TYPE as A } from '../linux/attach-types.js'
import {
  checkInterface,
  checkNetns,
  toAnchor,
  type InNamespace,
  type InOrder,
  type InterfaceReference,
} from './targets.js'
import { checkOneOf } from './options.js'
import { linkOf } from './kernel-probes.js'
import { requireVerb } from './verbs.js'

/** By whatever the kernel has: tcx from Linux 6.6 on, else a filter of the clsact qdisc. `link.target` and `link.info().type` say which. */
export interface TcOptions extends InNamespace {
  /** Without: what the `SEC()` name says (`tcx/ingress`). */
  readonly direction?: 'ingress' | 'egress'
  readonly via?: undefined
  readonly priority?: undefined
}

/** By tcx: links, in an order. Linux 6.6. */
export interface TcxOptions extends InNamespace, InOrder {
  readonly direction?: 'ingress' | 'egress'
  readonly via?: 'tcx' | undefined
  readonly priority?: undefined
}

/**
 * By a filter of the clsact qdisc, which is made where there is none. Closing it removes the filter, and
 * the qdisc if this made it and no other filter is there.
 */
export interface ClsactOptions extends InNamespace {
  readonly direction?: 'ingress' | 'egress'
  readonly via: 'clsact'
  /** Of the filter, within its priority; without, Linux chooses. */
  readonly handle?: number
  /** From 1 to 65535: the smallest runs first. Without, Linux chooses one below all. */
  readonly priority?: number
  /** Takes the place of the filter with that handle and priority. */
  readonly replace?: boolean
}

/** By the ends of a netkit pair; `interface` is the primary one. Linux 6.7. */
export interface NetkitOptions extends InNamespace, InOrder {
  /** Packets that this end sends. Without: what the `SEC()` name says (`netkit/peer`). */
  readonly direction: 'primary' | 'peer'
  readonly via?: 'netkit' | undefined
}

const DIRECTIONS: readonly TcDirection[] = ['ingress', 'egress', 'primary', 'peer']
const MECHANISMS: readonly TcMechanism[] = ['tcx', 'clsact', 'netkit']

const BY_ATTACH_TYPE: Readonly<Record<number, TcDirection>> = {
  [A.TCX_INGRESS]: 'ingress',
  [A.TCX_EGRESS]: 'egress',
  [A.NETKIT_PRIMARY]: 'primary',
  [A.NETKIT_PEER]: 'peer',
}

/** All that the options may hold together. */
interface AnyTcOptions extends InNamespace, InOrder {
  readonly direction?: TcDirection
  readonly via?: TcMechanism | undefined
  readonly handle?: number
  readonly priority?: number | undefined
  readonly replace?: boolean
}

export function attachTc(
  program: KernelProgram,
  interfaceReference: InterfaceReference,
  options: TcOptions | TcxOptions | ClsactOptions | NetkitOptions,
): Link {
  const what = 'attachTc()'
  requireVerb(program.info, 'attachTc')
  const { netns, via, order, expectedRevision, handle, priority, replace, ...rest }: AnyTcOptions = options
  const direction = rest.direction ?? BY_ATTACH_TYPE[program.info.expectedAttachType]
  if (direction === undefined) {
    throw new BpfError('BAD_VALUE', `${what}: program '${program.info.name}' doesn't say its direction`, {
      hint: "Give direction: 'ingress' or 'egress'",
    })
  }
  checkOneOf(`${what}: direction`, direction, DIRECTIONS)
  checkOneOf(`${what}: via`, via, MECHANISMS)
  checkTogether(what, direction, options)
  return linkOf(program, {
    kind: 'tc',
    interface: checkInterface(what, interfaceReference),
    netns: netns === undefined ? undefined : checkNetns(what, netns),
    direction,
    via,
    order: order === undefined ? undefined : toAnchor(what, order),
    expectedRevision:
      expectedRevision === undefined ? undefined : checkUint64(`${what}: expectedRevision`, expectedRevision),
    handle: handle === undefined ? undefined : checkUint32(`${what}: handle`, handle),
    priority: priority === undefined ? undefined : checkPriority(what, priority),
    replace: replace === undefined ? undefined : checkBoolean(`${what}: replace`, replace),
  })
}

/** What the types say of options that go together, for those who have none. */
function checkTogether(what: string, direction: TcDirection, { via, ...options }: AnyTcOptions): void {
  const isEnd = direction === 'primary' || direction === 'peer'
  if (via !== undefined && (via === 'netkit') !== isEnd) {
    throw new BpfError('BAD_VALUE', `${what}: ${via} knows no direction '${direction}'`, {
      hint:
        via === 'netkit'
          ? "The ends of a netkit pair are 'primary' and 'peer'"
          : "There are 'ingress' and 'egress'",
    })
  }
  const given = (names: readonly (keyof AnyTcOptions)[]): string | undefined =>
    names.find((name) => options[name as keyof typeof options] !== undefined)
  const filter = given(['handle', 'priority', 'replace'])
  if (filter !== undefined && via !== 'clsact') {
    throw new BpfError('BAD_VALUE', `${what}: ${filter} is for filters of clsact`, {
      hint: "Say via: 'clsact'",
    })
  }
  const ordered = given(['order', 'expectedRevision'])
  if (ordered !== undefined && via === 'clsact') {
    throw new BpfError('BAD_VALUE', `${what}: ${ordered} is for tcx and netkit`, {
      hint: 'Filters of clsact run by priority',
    })
  }
}

function checkPriority(what: string, priority: number): number {
  if (Number.isInteger(priority) && priority >= 1 && priority <= 0xffff) return priority
  throw new BpfError('BAD_VALUE', `${what}: priority goes from 1 to 65535, not ${String(priority)}`)
}
