/** Attaching to the hooks of a cgroup. */
import type { CgroupSharing } from '../attach-request.js'
import { checkName, checkUint64 } from '../checked-settings.js'
import { BpfError } from '../errors.js'
import type { KernelProgram } from '../kernel.js'
import type { Link } from '../link.js'
import { BPF_ATTACH_TYPE, attachTypeByName, attachTypeName } from '../linux/attach-types.js'
import type { ProgramLike } from '../program-like.js'
import { checkPathOrFd, programReference, toAnchor, type InOrder } from './targets.js'
import { checkOneOf } from './options.js'
import { linkOf } from './kernel-probes.js'
import { requireVerb } from './verbs.js'

/** As a BPF link, beside those that are attached already. Order and revision: Linux 6.17. */
export interface CgroupOptions extends InOrder {
  /** Under libbpf's name: `cgroup_inet_egress`. Without: what the `SEC()` name says. */
  readonly attachType?: string
  readonly sharing?: 'link'
}

/** The attachments from before links: a process that is killed leaves them. */
export interface CgroupProgramOptions {
  readonly attachType?: string
  /**
   * `multi`: beside other programs here, and those of cgroups below. `override`: alone here, until a cgroup below has one of its own. `exclusive`:
   * alone, here and below.
   */
  readonly sharing: 'multi' | 'override' | 'exclusive'
  /** With `multi`: the program whose place it takes, in one step. The two others replace what is there by themselves. */
  readonly replace?: ProgramLike | number
}

const SHARINGS: readonly CgroupSharing[] = ['link', 'multi', 'override', 'exclusive']
const attachTypeNames = (): readonly string[] => Object.values(BPF_ATTACH_TYPE).map(attachTypeName)

export function attachCgroup(
  program: KernelProgram,
  cgroup: string | number,
  options: CgroupOptions | CgroupProgramOptions,
): Link {
  const what = 'attachCgroup()'
  const { info } = program
  requireVerb(info, 'attachCgroup')
  const { attachType, sharing = 'link' } = options
  checkOneOf(`${what}: sharing`, sharing, SHARINGS)
  if (attachType === undefined && info.section === 'cgroup/skb') {
    throw new BpfError(
      'BAD_VALUE',
      `${what}: program '${info.name}' of SEC("cgroup/skb") doesn't say its direction`,
      {
        hint: "Give attachType: 'cgroup_inet_ingress' or 'cgroup_inet_egress'",
      },
    )
  }
  const { order, expectedRevision, replace } = {
    order: undefined,
    expectedRevision: undefined,
    replace: undefined,
    ...options,
  }
  if (replace !== undefined && sharing !== 'multi') throw misplaced(what, 'replace', "'multi'")
  if ((order !== undefined || expectedRevision !== undefined) && sharing !== 'link') {
    throw misplaced(what, order === undefined ? 'expectedRevision' : 'order', "'link'")
  }
  return linkOf(program, {
    kind: 'cgroup',
    cgroup: checkPathOrFd(`${what}: the cgroup`, cgroup),
    attachType:
      attachType === undefined
        ? undefined
        : checkName(`${what}: attachType`, attachType, attachTypeByName, attachTypeNames),
    sharing,
    replace: replace === undefined ? undefined : programReference(`${what}: replace`, replace),
    order: order === undefined ? undefined : toAnchor(what, order),
    expectedRevision:
      expectedRevision === undefined ? undefined : checkUint64(`${what}: expectedRevision`, expectedRevision),
  })
}

function misplaced(what: string, option: string, sharing: string): BpfError {
  return new BpfError('BAD_VALUE', `${what}: ${option} goes with sharing: ${sharing} only`)
}
