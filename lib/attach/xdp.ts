/** Attaching to a network interface's XDP hook. */
import type { HandleOrFd, XdpMode } from '../attach-request.js'
import { checkBoolean } from '../checked-settings.js'
import { BpfError } from '../errors.js'
import type { KernelProgram } from '../kernel.js'
import type { Link } from '../link.js'
import type { ProgramLike } from '../program-like.js'
import {
  checkInterface,
  checkNetns,
  programReference,
  type InNamespace,
  type InterfaceReference,
} from './targets.js'
import { checkOneOf } from './options.js'
import { linkOf } from './kernel-probes.js'
import { requireVerb } from './verbs.js'

export interface XdpOptions extends InNamespace {
  /**
   * Where the program meets a packet: `native` in the driver, before anything was allocated; `generic` behind it, on every interface; `offload` on
   * the card. Without: in the driver if that can, else behind it.
   */
  readonly mode?: XdpMode
  /** `link` (default): a BPF link. */
  readonly via?: 'link'
  readonly replace?: undefined
}

/** The attachment from before links: a process that is killed leaves it. */
export interface XdpNetlinkOptions extends InNamespace {
  readonly mode?: XdpMode
  readonly via: 'netlink'
  /** The program whose place it takes, in one step; true: of whichever is there. Without, `EBUSY` where one is. */
  readonly replace?: ProgramLike | number | boolean
}

const MODES: readonly XdpMode[] = ['native', 'generic', 'offload']

export function attachXdp(
  program: KernelProgram,
  interfaceReference: InterfaceReference,
  options: XdpOptions | XdpNetlinkOptions,
): Link {
  const what = 'attachXdp()'
  requireVerb(program.info, 'attachXdp')
  const { mode, netns, via = 'link', replace } = options
  if (via !== 'netlink' && replace !== undefined) {
    throw new BpfError('BAD_VALUE', `${what}: a link replaces nothing`, {
      hint: 'link.update() puts another program in its place',
    })
  }
  return linkOf(program, {
    kind: 'xdp',
    interface: checkInterface(what, interfaceReference),
    netns: netns === undefined ? undefined : checkNetns(what, netns),
    mode: checkOneOf(`${what}: mode`, mode, MODES),
    via: checkOneOf(`${what}: via`, via, ['link', 'netlink']) ?? 'link',
    replace: replace === undefined ? undefined : replaced(what, replace),
  })
}

function replaced(what: string, replace: ProgramLike | number | boolean): HandleOrFd | boolean {
  return typeof replace === 'boolean'
    ? checkBoolean(`${what}: replace`, replace)
    : programReference(`${what}: replace`, replace)
}
