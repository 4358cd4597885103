/** Linux's capabilities, by number. Source: linux/capability.h, capabilities(7). */

const NAMES = [
  'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL', 'CAP_SETGID', 'CAP_SETUID',
  'CAP_SETPCAP', 'CAP_LINUX_IMMUTABLE', 'CAP_NET_BIND_SERVICE', 'CAP_NET_BROADCAST', 'CAP_NET_ADMIN', 'CAP_NET_RAW',
  'CAP_IPC_LOCK', 'CAP_IPC_OWNER', 'CAP_SYS_MODULE', 'CAP_SYS_RAWIO', 'CAP_SYS_CHROOT', 'CAP_SYS_PTRACE', 'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN', 'CAP_SYS_BOOT', 'CAP_SYS_NICE', 'CAP_SYS_RESOURCE', 'CAP_SYS_TIME', 'CAP_SYS_TTY_CONFIG', 'CAP_MKNOD',
  'CAP_LEASE', 'CAP_AUDIT_WRITE', 'CAP_AUDIT_CONTROL', 'CAP_SETFCAP', 'CAP_MAC_OVERRIDE', 'CAP_MAC_ADMIN', 'CAP_SYSLOG',
  'CAP_WAKE_ALARM', 'CAP_BLOCK_SUSPEND', 'CAP_AUDIT_READ', 'CAP_PERFMON', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE',
] as const // prettier-ignore

/**
 * What a process that loads programs may do. `all`: what root has, CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN among it. `bpf`: CAP_BPF and
 * CAP_NET_ADMIN: without CAP_PERFMON no address may leak, and nothing may be reached even by speculation. `none`: what everybody may where the
 * sysctl kernel.unprivileged_bpf_disabled is 0.
 */
export type Privileges = 'all' | 'bpf' | 'none'

export const PRIVILEGES: readonly Privileges[] = ['all', 'bpf', 'none']

export type Capability = (typeof NAMES)[number]

/** Number of a capability. */
export function capabilityNumber(name: Capability): number {
  return NAMES.indexOf(name)
}

/** Names of the capabilities in a set such as CapEff of /proc/self/status. */
export function capabilityNames(set: bigint): readonly Capability[] {
  return NAMES.filter((_, number) => ((set >> BigInt(number)) & 1n) === 1n)
}

/** Whether a set has a capability. CAP_SYS_ADMIN has those that were split off from it: CAP_BPF, CAP_PERFMON; and for bpf() CAP_NET_ADMIN. */
export function holds(set: bigint, name: Capability): boolean {
  const has = (one: Capability): boolean => ((set >> BigInt(capabilityNumber(one))) & 1n) === 1n
  const isPart = name === 'CAP_BPF' || name === 'CAP_PERFMON' || name === 'CAP_NET_ADMIN'
  return has(name) || (isPart && has('CAP_SYS_ADMIN'))
}
