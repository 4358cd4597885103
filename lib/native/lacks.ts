/** What a machine or a process lacks of a requirement, and the sentence that says so. */
import { capabilityNumber, holds, type Capability } from '../linux/capabilities.js'
import { isOlderThan } from '../linux/release.js'
import { PARANOID, type Requirement } from '../linux/requirements.js'
import { capabilitySets, inUserNamespace, kernelOptions, perfEventParanoid, release, securityPolicy, type SecurityPolicy } from './host.js'

/** What counts of a machine and a process. Read by {@link readHost}; given by tests. */
export interface Host {
  /** `uname -r`. */
  readonly release: string
  /** undefined: nobody tells. */
  readonly options: ReadonlyMap<string, string> | undefined
  /** CapEff. */
  readonly effective: bigint
  readonly inUserNamespace: boolean
  readonly policy: SecurityPolicy
  /** The sysctl kernel.perf_event_paranoid; undefined: nobody tells. */
  readonly paranoid: number | undefined
}

export function readHost(): Host {
  return {
    release: release(),
    options: kernelOptions(),
    effective: capabilitySets().effective,
    inUserNamespace: inUserNamespace(),
    policy: securityPolicy(),
    paranoid: perfEventParanoid(),
  }
}

export interface Lacks {
  readonly capabilities: readonly Capability[]
  /** Options that the kernel was built without; empty also where nobody tells. */
  readonly options: readonly string[]
  /** The version that it takes, if this kernel is older. */
  readonly version: string | undefined
}

/** Linux before 5.8 knows neither CAP_BPF nor CAP_PERFMON: it wants CAP_SYS_ADMIN. */
const SPLIT = '5.8'

export function lacksOf(requirement: Requirement, host: Host): Lacks {
  const { config, since, capabilities } = requirement
  const wanted = isOlderThan(host.release, SPLIT) && capabilities.length > 0 ? (['CAP_SYS_ADMIN'] as const) : capabilities
  return {
    capabilities: wanted.filter((name) => !holds(host.effective, name)),
    options: host.options === undefined ? [] : config.filter((name) => !host.options?.has(name)),
    version: isOlderThan(host.release, since) ? since : undefined,
  }
}

/**
 * Why something was refused, for people; undefined where the requirement doesn't explain it.
 *
 * @param what  such as `tcx`, or `programs of type netfilter`: the subject of the sentence
 * @param errno name: `EPERM`
 */
export function whyRefused(what: string, requirement: Requirement, errno: string, host: Host = readHost()): string | undefined {
  const { capabilities, options, version } = lacksOf(requirement, host)
  if (errno === 'EPERM' || errno === 'EACCES') {
    if (capabilities.length > 0) {
      const instead = requirement.instead === undefined ? '' : `. ${requirement.instead}`
      return `${what}: ${capabilities.join(' and ')} ${capabilities.length === 1 ? 'is' : 'are'} missing${instead}`
    }
    return paranoidHint(what, requirement, host) ?? policyHint(what, host)
  }
  if (version !== undefined) return `${what}: Linux has it since ${version}, and this is ${host.release}`
  if (options.length > 0) return `${what}: this kernel was built without ${options.join(' and ')}`
  return undefined
}

/** undefined: that is not what stands in the way. */
function paranoidHint(what: string, { opensPerfEvents }: Requirement, { paranoid = 0, effective }: Host): string | undefined {
  if (opensPerfEvents !== true || paranoid < PARANOID || holds(effective, 'CAP_SYS_ADMIN')) return undefined
  return `${what}: kernel.perf_event_paranoid is ${paranoid}, with which this kernel wants CAP_SYS_ADMIN: sysctl kernel.perf_event_paranoid=${PARANOID - 1}`
}

/** What is left when the capabilities are there and the kernel says EPERM. */
export function policyHint(what: string, { inUserNamespace: inside, policy }: Host): string {
  if (inside) {
    return `${what}: the capabilities hold in a user namespace only. It takes the initial one, or a token (open(…, { bpfTokenPath }), Linux 6.9)`
  }
  const suspects = [
    ...(policy.lockdown !== undefined && policy.lockdown !== 'none' ? [`kernel lockdown (${policy.lockdown})`] : []),
    ...(policy.seccomp ? ['the seccomp filter of this process (containers: allow bpf and perf_event_open)'] : []),
    ...(policy.modules ?? []).filter((name) => ACCESS_MODULES.has(name)).map((name) => `security module ${name}`),
  ]
  const list = suspects.length > 0 ? suspects.join(', ') : 'a seccomp filter, a security module (SELinux, AppArmor), kernel lockdown'
  return `${what}: the capabilities are there, so the security policy refuses it: ${list}, or a kernel that was changed to`
}

/** For EPERM and EACCES of calls without a requirement of their own: what the process lacks of all that bpf() may want. */
export function permissionAdvice(host: Host = readHost()): string {
  const lacking = PRIVILEGES.filter((name) => !holds(host.effective, name))
  return lacking.length > 0 ? `This process lacks ${lacking.join(', ')}` : policyHint('bpf()', host)
}

const PRIVILEGES = ['CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN', 'CAP_SYS_ADMIN'] as const

/** Security modules that decide about bpf(). */
const ACCESS_MODULES: ReadonlySet<string> = new Set(['selinux', 'apparmor', 'smack', 'tomoyo', 'bpf'])

/** A set with these capabilities: for tests, and to ask what others would see. */
export function capabilitySet(...names: readonly Capability[]): bigint {
  return names.reduce((set, name) => set | (1n << BigInt(capabilityNumber(name))), 0n)
}
