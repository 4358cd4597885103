/** What a test needs of the kernel: its version, options that it was built with, and that nothing on the machine forbids it. */
import { existsSync } from 'node:fs'
import { isOlderThan } from '../../lib/linux/release.js'
import { kernelOptions } from '../../lib/native/host.js'
import { nativeKernel } from '../../lib/native/kernel.js'
import { isVirtual, linuxIsAtLeast, nativeIsAllowed } from './this-machine.js'

export interface KernelNeeds {
  /** The Linux version that brought the youngest feature: below it the test is skipped, from it on it must pass. */
  readonly since: string
  /** Options of the kernel's configuration, such as `KPROBES`: without one of them, the test is skipped. */
  readonly config?: readonly string[]
  /** Trampolines (fentry, LSM …), which the security policy of a shared machine may refuse to everybody: tested in virtual machines only. */
  readonly machine?: true
  /** The addon's libbpf is older: it can do what newer ones refuse. */
  readonly libbpfBefore?: string
  /** The tracing file system: mounted, as in virtual machines, or in a mount namespace of the test's. */
  readonly tracefs?: true
}

/** Why a test can't run here; undefined if it must. */
export function missingHere({
  since,
  config = [],
  machine,
  libbpfBefore,
  tracefs,
}: KernelNeeds): string | undefined {
  if (!nativeIsAllowed()) return 'needs bpf()'
  if (!linuxIsAtLeast(since)) return `needs Linux ${since}`
  if (machine === true && !isVirtual) return 'runs in virtual machines: npm run test:vm'
  if (libbpfBefore !== undefined && !isOlderThan(libbpfVersion(), libbpfBefore))
    return `needs libbpf before ${libbpfBefore}`
  if (tracefs === true && !existsSync('/sys/kernel/tracing/events')) return 'runs where tracefs is mounted'
  const missing = config.find((option) => !hasOption(option))
  return missing === undefined ? undefined : `needs CONFIG_${missing}`
}

function libbpfVersion(): string {
  const { major, minor } = nativeKernel().facts.runsWith
  return `${major}.${minor}`
}

/** What can't be known is taken for there: a feature that is missing fails its test then. */
function hasOption(name: string): boolean {
  return kernelOptions()?.has(`CONFIG_${name}`) ?? true
}
