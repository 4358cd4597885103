/** What counts of a machine and a process for what may be loaded and attached. */
import { accessSync, constants, readFileSync } from 'node:fs'
import { holds } from '../linux/capabilities.js'
import {
  capabilitySets,
  inUserNamespace,
  kernelOptions,
  mounts,
  release,
  securityPolicy,
  sysctl,
  type SecurityPolicy,
} from './host.js'

/** A file system: mounted and of use to this process; mounted and kept from it; not mounted. */
export type FolderState = 'there' | 'denied' | 'missing'

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
  /** Sysctls of `kernel.`; undefined: nobody tells. */
  readonly sysctls: {
    /** kernel.perf_event_paranoid */
    readonly paranoid: number | undefined
    /** kernel.kptr_restrict */
    readonly kptrRestrict: number | undefined
    /** kernel.unprivileged_bpf_disabled */
    readonly unprivilegedBpfDisabled: number | undefined
  }
  readonly folders: {
    /** Whether this process may read tracefs. */
    readonly tracefs: FolderState
    readonly cgroup2: FolderState
    /** Whether it may write to /sys/fs/bpf. */
    readonly bpffs: FolderState
  }
}

export function readHost(): Host {
  const { effective } = capabilitySets()
  const mounted = mounts()
  const isMounted = (type: string, path?: string): boolean =>
    mounted.some((mount) => mount.type === type && (path === undefined || mount.path === path))
  return {
    release: release(),
    options: kernelOptions(),
    effective,
    inUserNamespace: inUserNamespace(),
    policy: securityPolicy(),
    sysctls: {
      paranoid: number('kernel.perf_event_paranoid'),
      kptrRestrict: number('kernel.kptr_restrict'),
      unprivilegedBpfDisabled: number('kernel.unprivileged_bpf_disabled'),
    },
    folders: {
      tracefs: tracefsState(),
      cgroup2: isMounted('cgroup2') ? 'there' : 'missing',
      bpffs: !isMounted('bpf', '/sys/fs/bpf') ? 'missing' : mayWrite('/sys/fs/bpf', effective) ? 'there' : 'denied',
    },
  }
}

function number(name: string): number | undefined {
  const value = Number.parseInt(sysctl(name) ?? '', 10)
  return Number.isNaN(value) ? undefined : value
}

/** Where tracepoints are looked up, and one that every kernel has. access(2) would judge without the capabilities: it is read. */
const TRACEPOINTS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'].map(
  (folder) => `${folder}/events/sched/sched_switch/id`,
)

function tracefsState(): FolderState {
  const states = TRACEPOINTS.map((file): FolderState => {
    try {
      readFileSync(file)
      return 'there'
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      return code === 'EACCES' || code === 'EPERM' ? 'denied' : 'missing'
    }
  })
  if (states.includes('there')) return 'there'
  // A debugfs that may not be searched says nothing of a tracefs in it.
  return states[0] ?? 'missing'
}

function mayWrite(folder: string, effective: bigint): boolean {
  if (holds(effective, 'CAP_DAC_OVERRIDE')) return true
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}
