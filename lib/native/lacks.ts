/** What a machine or a process lacks of a requirement, and the sentence that says so. */
import { capabilityNumber, holds, type Capability } from '../linux/capabilities.js'
import { isOlderThan } from '../linux/release.js'
import type { Requirement } from '../linux/requirements.js'
import { conditionsOf } from './conditions.js'
import { readHost, type Host } from './host-facts.js'

export { readHost, type Host } from './host-facts.js'

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
  const { config, since } = requirement
  const wanted = wantedCapabilities(requirement, host)
  return {
    capabilities: wanted.filter((name) => !holds(host.effective, name)),
    options: host.options === undefined ? [] : config.filter((name) => !host.options?.has(name)),
    version: isOlderThan(host.release, since) ? since : undefined,
  }
}

function wantedCapabilities({ capabilities, forEverybody }: Requirement, host: Host): readonly Capability[] {
  if (forEverybody === true && host.sysctls.unprivilegedBpfDisabled === 0) return []
  return isOlderThan(host.release, SPLIT) && capabilities.length > 0 ? ['CAP_SYS_ADMIN'] : capabilities
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
      const instead = requirement.instead ?? sysctlInstead(requirement, host)
      const text = `${what}: ${capabilities.join(' and ')} ${capabilities.length === 1 ? 'is' : 'are'} missing`
      return instead === undefined ? text : `${text}. ${instead}`
    }
    return conditionHint(what, requirement, host) ?? policyHint(what, host)
  }
  if (version !== undefined) return `${what}: Linux has it since ${version}, and this is ${host.release}`
  if (options.length > 0) return `${what}: this kernel was built without ${options.join(' and ')}`
  return undefined
}

/** undefined: no sysctl does instead of a capability. */
function sysctlInstead({ forEverybody }: Requirement, { sysctls: { unprivilegedBpfDisabled: level } }: Host): string | undefined {
  if (forEverybody !== true || level === undefined || level === 0) return undefined
  const change = level === 1 ? ', which at 1 stays until the next boot' : ''
  return `Without it, it takes kernel.unprivileged_bpf_disabled=0 (it is ${level}${change})`
}

/** The condition that isn't met; undefined: that is not what stands in the way. */
function conditionHint(what: string, requirement: Requirement, host: Host): string | undefined {
  const unmet = conditionsOf(requirement.conditions, host).find(({ isMet }) => isMet === false)
  return unmet && `${what}: ${unmet.because}: ${unmet.remedy}`
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
