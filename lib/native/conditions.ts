/** Whether what must be so on a machine is so, and how to make it so: mounts, sysctls, lockdown, security modules. */
import { holds } from '../linux/capabilities.js'
import { CONDITION_TEXTS, PARANOID, type ConditionName } from '../linux/conditions.js'
import type { Host } from './host-facts.js'

/** Something else than a version, an option or a capability that loading or attaching takes. */
export interface CheckedCondition {
  /** What must be so: half a sentence, for people. */
  readonly what: string
  /** Whether it is so for this process; undefined: that can't be told. */
  readonly isMet: boolean | undefined
  /** Why it isn't, or why it can't be told; empty where it is. */
  readonly because: string
  /** What makes it so: a command, or what to grant; for people. */
  readonly remedy: string
}

interface Finding {
  readonly isMet: boolean | undefined
  readonly because: string
}

type Check = (host: Host) => { readonly finding: Finding; readonly remedy: string }

const MET: Finding = { isMet: true, because: '' }
const unmet = (because: string): Finding => ({ isMet: false, because })

const CHECKS: Readonly<Record<ConditionName, Check>> = {
  'perf events': ({ sysctls: { paranoid }, effective }) => ({
    finding:
      paranoid === undefined || paranoid < PARANOID || holds(effective, 'CAP_SYS_ADMIN')
        ? MET
        : unmet(`kernel.perf_event_paranoid is ${paranoid}, with which this kernel wants CAP_SYS_ADMIN`),
    remedy: `sysctl kernel.perf_event_paranoid=${PARANOID - 1}, or grant CAP_SYS_ADMIN`,
  }),
  tracefs: ({ folders: { tracefs }, policy: { lockdown } }) =>
    // At boot, it is then not even registered.
    tracefs !== 'there' && lockdown === 'confidentiality'
      ? unlocked(lockdown, [lockdown], 'lets nobody read tracefs')
      : tracefs === 'denied'
      ? {
          finding: unmet('/sys/kernel/tracing may not be read by this user'),
          remedy:
            'mount -o remount,gid=GROUP,mode=750 /sys/kernel/tracing with a group of this process, or grant CAP_DAC_READ_SEARCH; ' +
            'raw tracepoints (raw_tp, tp_btf) do without',
        }
      : {
          finding: tracefs === 'there' ? MET : unmet('tracefs is not mounted'),
          remedy: 'mount -t tracefs tracefs /sys/kernel/tracing; raw tracepoints (raw_tp, tp_btf) do without',
        },
  cgroup2: ({ folders: { cgroup2 } }) => ({
    finding: cgroup2 === 'there' ? MET : unmet('no cgroup2 file system is mounted'),
    remedy: 'mount -t cgroup2 none /sys/fs/cgroup',
  }),
  'pin folder': ({ folders: { bpffs } }) =>
    bpffs === 'denied'
      ? {
          finding: unmet('/sys/fs/bpf may not be written to by this user'),
          remedy: 'mount -t bpf bpf FOLDER -o uid=USER and open(…, { pinRootPath: FOLDER }), or grant CAP_DAC_OVERRIDE',
        }
      : {
          finding: bpffs === 'there' ? MET : unmet('no bpf file system is mounted at /sys/fs/bpf'),
          remedy: 'mount -t bpf bpf /sys/fs/bpf',
        },
  'bpf module': ({ policy: { modules } }) => ({
    finding:
      modules === undefined
        ? { isMet: undefined, because: 'securityfs is not mounted: mount -t securityfs none /sys/kernel/security' }
        : modules.includes('bpf')
          ? MET
          : unmet(`bpf is not among the active security modules, which are ${modules.join(', ')}`),
    remedy: "'lsm=…,bpf' on the kernel's command line, with the modules of /sys/kernel/security/lsm before it",
  }),
  'kprobes unlocked': ({ policy: { lockdown } }) => unlocked(lockdown, ['confidentiality'], 'allows no kprobes'),
  'kernel memory unlocked': ({ policy: { lockdown } }) =>
    unlocked(lockdown, ['confidentiality'], 'lets no program read the memory of the kernel'),
  'user memory unlocked': ({ policy: { lockdown } }) =>
    unlocked(lockdown, ['integrity', 'confidentiality'], 'lets no program write to the memory of processes'),
  'kernel addresses': addressesAreSeen,
}

export function conditionsOf(names: readonly ConditionName[], host: Host): readonly CheckedCondition[] {
  return names.map((name) => {
    const { finding, remedy } = CHECKS[name](host)
    return { what: CONDITION_TEXTS[name], ...finding, remedy }
  })
}

/** Levels of kernel_lockdown(7). Where nobody tells it, there mostly is none: a kernel has it in securityfs, as it has the list of modules. */
function unlocked(lockdown: string | undefined, levels: readonly string[], what: string): ReturnType<Check> {
  return {
    finding: lockdown !== undefined && levels.includes(lockdown) ? unmet(`kernel lockdown (${lockdown}) ${what}`) : MET,
    remedy:
      "boot without 'lockdown=' on the kernel's command line, and, where the firmware's Secure Boot switches it on, without that: it isn't lifted at run time",
  }
}

/** As Linux decides for /proc/kallsyms: kallsyms_show_value(). */
function addressesAreSeen({ sysctls: { kptrRestrict = 0, paranoid }, effective }: Host): ReturnType<Check> {
  const forAll = kptrRestrict === 0 && paranoid !== undefined && paranoid <= 1
  if (forAll || (kptrRestrict <= 1 && holds(effective, 'CAP_SYSLOG')))
    return { finding: MET, remedy: '' }
  return kptrRestrict > 1
    ? {
        finding: unmet(`kernel.kptr_restrict is ${kptrRestrict}: /proc/kallsyms shows every address as 0, and so do the object's untyped __ksym variables`),
        remedy: `sysctl kernel.kptr_restrict=1${holds(effective, 'CAP_SYSLOG') ? '' : ', and grant CAP_SYSLOG'}`,
      }
    : {
        finding: unmet("CAP_SYSLOG is missing: /proc/kallsyms shows every address as 0, and so do the object's untyped __ksym variables"),
        remedy: 'grant CAP_SYSLOG, or sysctl kernel.kptr_restrict=0 kernel.perf_event_paranoid=1',
      }
}
