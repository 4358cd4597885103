/**
 * May this process use bpf(), and for which program types? If not: what is missing, in words that a person can act on.
 *
 * Sources: capabilities(7), bpf(2), Documentation/admin-guide/sysctl/kernel.rst (unprivileged_bpf_disabled).
 */
import { holds } from '../linux/capabilities.js'
import { errno, errnoName, errnoText } from '../linux/errno.js'
import { BPF_PROG_TYPE, programType } from '../linux/program-types.js'
import { loadAddon } from './addon.js'
import { capabilitySets, inUserNamespace, sysctl } from './host.js'

export interface Privileges {
  readonly allowed: boolean
  /** Why not, for people: one sentence without a full stop. */
  readonly reason?: string
  /** What to do about it. */
  readonly hint?: string
  /** Names of capabilities that are missing: `CAP_BPF`. */
  readonly missing: readonly string[]
}

/** What decides. Read from the system by {@link readSituation}; given by tests. */
export interface Situation {
  /** CapEff of /proc/self/status. */
  readonly effective: bigint
  /** kernel.unprivileged_bpf_disabled: 0 allows some types to everybody; undefined if it cannot be read. */
  readonly unprivilegedBpfDisabled: number | undefined
  /** Whether the process is in a user namespace of its own, where capabilities don't count for bpf(). */
  readonly inUserNamespace: boolean
  /** Errno of creating a tiny array map; 0 if it worked. */
  readonly probe: number
}

type CapabilityName = 'CAP_BPF' | 'CAP_PERFMON' | 'CAP_NET_ADMIN'

/** What anybody may load where kernel.unprivileged_bpf_disabled is 0. */
const UNPRIVILEGED_TYPES: ReadonlySet<number> = new Set([BPF_PROG_TYPE.SOCKET_FILTER, BPF_PROG_TYPE.CGROUP_SKB])

/** @param programTypes BPF_PROG_TYPE_* that are to be loaded; none: any use of bpf() */
export function checkPrivileges(
  programTypes: readonly number[] = [],
  situation: Situation = readSituation(),
): Privileges {
  const unprivileged =
    situation.unprivilegedBpfDisabled === 0 && programTypes.every((type) => UNPRIVILEGED_TYPES.has(type))

  const missing = neededFor(programTypes).filter((name) => !holds(situation.effective, name))
  if (missing.length > 0 && !(unprivileged && situation.probe === 0)) {
    return {
      allowed: false,
      reason: `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing${typesClause(programTypes, missing)}`,
      hint: hintFor(missing, situation),
      missing,
    }
  }
  if (situation.probe !== 0) return { allowed: false, ...deniedAnyway(situation), missing: [] }
  return { allowed: true, missing: [] }
}

/**
 * Why this process may not load programs of these types; undefined if it may.
 *
 * @param programTypes BPF_PROG_TYPE_* numbers
 */
export function whyNotAllowed(
  programTypes: readonly number[],
): { readonly problem: string; readonly hint: string } | undefined {
  const { allowed, reason, hint } = checkPrivileges(programTypes)
  return allowed ? undefined : { problem: reason ?? 'bpf() is denied', hint: hint ?? '' }
}

/** The hint for EPERM and EACCES: what the process lacks; undefined if it lacks nothing that is known. */
export function permissionHint(): string | undefined {
  const { allowed, reason, hint } = checkPrivileges()
  return allowed ? undefined : `${reason}. ${hint}`
}

/** The effective capability set in the text of /proc/self/status; none if it isn't there. */
export function parseEffectiveCapabilities(status: string): bigint {
  return capabilitySets(status).effective
}

/** Reads what decides from /proc, and asks the kernel for a map. */
export function readSituation(): Situation {
  const load = loadAddon()
  const disabled = Number.parseInt(sysctl('kernel.unprivileged_bpf_disabled') ?? '', 10)
  return {
    effective: capabilitySets().effective,
    unprivilegedBpfDisabled: Number.isNaN(disabled) ? undefined : disabled,
    inUserNamespace: inUserNamespace(),
    probe: 'addon' in load ? load.addon.probe() : errno('ENOSYS'),
  }
}

function neededFor(programTypes: readonly number[]): readonly CapabilityName[] {
  const needed = new Set<CapabilityName>(['CAP_BPF'])
  for (const type of programTypes) {
    for (const capability of programType(type)?.capabilities ?? []) {
      needed.add(capability === 'perfmon' ? 'CAP_PERFMON' : 'CAP_NET_ADMIN')
    }
  }
  return [...needed]
}

function typesClause(programTypes: readonly number[], missing: readonly CapabilityName[]): string {
  if (missing.includes('CAP_BPF')) return ''
  const names = programTypes.flatMap((type) => {
    const info = programType(type)
    const wants = info?.capabilities.some((one) => missing.includes(one === 'perfmon' ? 'CAP_PERFMON' : 'CAP_NET_ADMIN'))
    return info !== undefined && wants === true ? [info.name] : []
  })
  return `, which programs of type ${[...new Set(names)].join(', ')} need`
}

function hintFor(missing: readonly CapabilityName[], { unprivilegedBpfDisabled }: Situation): string {
  const list = missing.map((name) => name.toLowerCase()).join(',')
  const sysctl =
    missing.includes('CAP_BPF') && unprivilegedBpfDisabled !== undefined && unprivilegedBpfDisabled !== 0
      ? `; kernel.unprivileged_bpf_disabled is ${unprivilegedBpfDisabled}`
      : ''
  return (
    `Run as root, or give the process ${missing.join(', ')}: AmbientCapabilities=${missing.join(' ')} in a systemd unit, ` +
    `setcap ${list}=ep on a copy of node, --cap-add in a container (Linux before 5.8: CAP_SYS_ADMIN)${sysctl}`
  )
}

/** The capabilities are there, and yet bpf() fails. */
function deniedAnyway({ probe, inUserNamespace }: Situation): { readonly reason: string; readonly hint: string } {
  const name = errnoName(probe)
  if (name === 'ENOSYS') {
    return { reason: 'this kernel has no bpf() system call', hint: 'It takes a kernel built with CONFIG_BPF_SYSCALL=y' }
  }
  if (name !== 'EPERM' && name !== 'EACCES') {
    return { reason: `bpf() fails: ${errnoText(probe)} (${name})`, hint: 'Look at the limits of memory and locked memory (ulimit -l)' }
  }
  if (inUserNamespace) {
    return {
      reason: `bpf() is denied (${name}): the capabilities hold in a user namespace only`,
      hint: 'bpf() wants CAP_BPF in the initial user namespace: run outside of it (rootless containers are inside of one), or have a BPF token delegated to it (bpfTokenPath)',
    }
  }
  return {
    reason: `bpf() is denied (${name}) although CAP_BPF is held`,
    hint: 'A seccomp filter (containers: allow bpf, or seccomp=unconfined), a security module (SELinux, AppArmor) or kernel lockdown denies it',
  }
}
