/** The machine and the process, as far as BPF has to do with them. */
import { capabilityNames, type Capability } from '../linux/capabilities.js'
import {
  capabilitySets,
  inUserNamespace,
  kernelOptions,
  mounts,
  release,
  securityPolicy,
  sysctl,
  type Mount,
  type SecurityPolicy,
} from '../native/host.js'
import { no, unknown, YES, type Answer } from './answer.js'

/** Options that decide about features of BPF. */
const OPTIONS = [
  'CONFIG_BPF_SYSCALL', 'CONFIG_BPF_JIT', 'CONFIG_BPF_JIT_ALWAYS_ON', 'CONFIG_BPF_UNPRIV_DEFAULT_OFF', 'CONFIG_BPF_LSM', 'CONFIG_BPF_EVENTS',
  'CONFIG_DEBUG_INFO_BTF', 'CONFIG_DEBUG_INFO_BTF_MODULES', 'CONFIG_CGROUPS', 'CONFIG_CGROUP_BPF', 'CONFIG_PERF_EVENTS', 'CONFIG_KPROBES',
  'CONFIG_KPROBE_EVENTS', 'CONFIG_UPROBES', 'CONFIG_UPROBE_EVENTS', 'CONFIG_FPROBE', 'CONFIG_FTRACE_SYSCALLS', 'CONFIG_FUNCTION_TRACER',
  'CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS', 'CONFIG_BPF_KPROBE_OVERRIDE', 'CONFIG_FUNCTION_ERROR_INJECTION', 'CONFIG_NET',
  'CONFIG_NET_CLS_BPF', 'CONFIG_NET_CLS_ACT', 'CONFIG_NET_ACT_BPF', 'CONFIG_NET_SCH_INGRESS', 'CONFIG_NET_XGRESS', 'CONFIG_NETKIT',
  'CONFIG_NETFILTER_BPF_LINK', 'CONFIG_XDP_SOCKETS', 'CONFIG_BPF_STREAM_PARSER', 'CONFIG_LWTUNNEL_BPF', 'CONFIG_IPV6_SEG6_BPF',
  'CONFIG_BPF_LIRC_MODE2', 'CONFIG_INET', 'CONFIG_IKCONFIG_PROC', 'CONFIG_HZ', 'CONFIG_SECURITY_LOCKDOWN_LSM',
] as const // prettier-ignore

const SYSCTLS = [
  'kernel.unprivileged_bpf_disabled', 'kernel.bpf_stats_enabled', 'kernel.perf_event_paranoid', 'kernel.perf_event_mlock_kb',
  'kernel.perf_event_max_sample_rate', 'kernel.kptr_restrict', 'kernel.yama.ptrace_scope', 'net.core.bpf_jit_enable',
  'net.core.bpf_jit_harden', 'net.core.bpf_jit_kallsyms', 'net.core.bpf_jit_limit', 'user.max_user_namespaces',
] as const // prettier-ignore

export interface SystemFeatures {
  /** `uname -r`. */
  readonly release: string
  /** The kernel's own types, without which CO-RE has nothing to resolve against. */
  readonly btf: Answer
  /** Options by name; undefined where the kernel's configuration is nowhere to be read. `n` for those that are off. */
  readonly config: Readonly<Record<string, string>> | undefined
  /** Settings by name, as text; undefined: this kernel has none of that name. */
  readonly sysctls: Readonly<Record<string, string | undefined>>
  /** File systems of BPF, tracing, cgroups and security modules. */
  readonly mounts: readonly Mount[]
  readonly capabilities: {
    readonly effective: readonly Capability[]
    readonly permitted: readonly Capability[]
    readonly bounding: readonly Capability[]
    readonly ambient: readonly Capability[]
    /** Whether they hold in a user namespace only, where bpf() wants a token. */
    readonly inUserNamespace: boolean
  }
  readonly security: SecurityPolicy
}

/** @param hasBtf whether the kernel's types were found */
export function systemFeatures(hasBtf: boolean): SystemFeatures {
  const options = kernelOptions()
  const { effective, permitted, bounding, ambient } = capabilitySets()
  return {
    release: release(),
    btf: btfAnswer(hasBtf, options),
    config: options && Object.fromEntries(OPTIONS.map((name) => [name, options.get(name) ?? 'n'])),
    sysctls: Object.fromEntries(SYSCTLS.map((name) => [name, sysctl(name)])),
    mounts: mounts(),
    capabilities: {
      effective: capabilityNames(effective),
      permitted: capabilityNames(permitted),
      bounding: capabilityNames(bounding),
      ambient: capabilityNames(ambient),
      inUserNamespace: inUserNamespace(),
    },
    security: securityPolicy(),
  }
}

function btfAnswer(hasBtf: boolean, options: ReadonlyMap<string, string> | undefined): Answer {
  if (hasBtf) return YES
  if (options === undefined)
    return unknown('/sys/kernel/btf/vmlinux is not there, and neither is the configuration')
  const isOn = options.has('CONFIG_DEBUG_INFO_BTF')
  return isOn
    ? unknown('/sys/kernel/btf/vmlinux cannot be read')
    : no('this kernel was built without CONFIG_DEBUG_INFO_BTF')
}
