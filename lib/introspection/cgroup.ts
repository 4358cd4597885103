/** What is attached to cgroups, as `bpftool cgroup` shows it. */
import type { KernelIntrospection } from '../kernel-introspection.js'
import { BPF_ATTACH_TYPE, attachTypeName } from '../linux/attach-types.js'

export interface CgroupAttachment {
  /** Program id. */
  readonly id: number
  /** `cgroup_inet_ingress` … */
  readonly attachType: string
  /** `multi`: with others, in order; `override`: unless a cgroup below has its own; empty: nothing below may have its own. */
  readonly attachFlags: 'multi' | 'override' | ''
}

export interface CgroupOptions {
  /** What runs for a process in the cgroup, with what its ancestors have, in the order in which it runs. Default false: what is attached right there. */
  readonly effective?: boolean
}

const FLAGS = { ALLOW_OVERRIDE: 1, ALLOW_MULTI: 2 } as const

/** Every hook of a cgroup. */
const HOOKS: readonly number[] = Object.entries(BPF_ATTACH_TYPE)
  .filter(([name]) => name.startsWith('CGROUP_') || name === 'LSM_CGROUP')
  .map(([, type]) => type)

/**
 * @param path the cgroup's directory, in a cgroup2 file system
 * @throws BpfError `ENOENT` with the nearest name, `BAD_VALUE` for what is no cgroup, `EPERM`
 */
export function cgroupAttachments(
  kernel: KernelIntrospection,
  path: string,
  { effective = false }: CgroupOptions,
): readonly CgroupAttachment[] {
  const details = effective ? 'none' : 'flags'
  return HOOKS.flatMap((attachType) => {
    const list = kernel.attached({ target: { cgroup: path }, attachType, effective, details })
    return (list?.programIds ?? []).map((id, i) => ({
      id,
      attachType: attachTypeName(attachType),
      attachFlags: flagName(list?.flags?.[i] ?? list?.attachFlags ?? 0),
    }))
  })
}

function flagName(flags: number): CgroupAttachment['attachFlags'] {
  if ((flags & FLAGS.ALLOW_MULTI) !== 0) return 'multi'
  return (flags & FLAGS.ALLOW_OVERRIDE) !== 0 ? 'override' : ''
}
