/** What this machine and this process are: version and options of the kernel, settings, mounts, capabilities, security modules. */
import { readFileSync } from 'node:fs'
import os from 'node:os'
import { gunzipSync } from 'node:zlib'

/** The running kernel, as `uname -r` says. */
export function release(): string {
  return os.release()
}

let options: ReadonlyMap<string, string> | undefined | 'unread' = 'unread'

/**
 * Options with which the kernel was built (`CONFIG_KPROBES` to `y`); those that are off are left out. undefined where nothing tells:
 * /proc/config.gz (CONFIG_IKCONFIG_PROC), /boot/config-VERSION, /lib/modules/VERSION/config.
 */
export function kernelOptions(): ReadonlyMap<string, string> | undefined {
  if (options === 'unread') {
    const text = readConfig()
    options =
      text === undefined
        ? undefined
        : new Map(Array.from(text.matchAll(/^(CONFIG_\w+)=(.*)$/gm), ([, name = '', value = '']) => [name, value]))
  }
  return options
}

function readConfig(): string | undefined {
  try {
    return gunzipSync(readFileSync('/proc/config.gz')).toString('latin1')
  } catch {
    return readText(`/boot/config-${release()}`) ?? readText(`/lib/modules/${release()}/config`)
  }
}

/** Value of a sysctl, such as `kernel.unprivileged_bpf_disabled`; undefined where this kernel has none of that name, or hides it. */
export function sysctl(name: string): string | undefined {
  return readText(`/proc/sys/${name.replaceAll('.', '/')}`)?.trim()
}

export interface Mount {
  readonly type: string
  readonly path: string
}

/** File systems that BPF has to do with, where they are mounted for this process. */
const FILE_SYSTEMS: ReadonlySet<string> = new Set(['bpf', 'tracefs', 'debugfs', 'cgroup2', 'securityfs'])

export function mounts(): readonly Mount[] {
  return (readText('/proc/self/mounts') ?? '').split('\n').flatMap((line) => {
    const [, path = '', type = ''] = line.split(' ')
    // The kernel writes blanks and the like as octal numbers.
    const unescaped = path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    return FILE_SYSTEMS.has(type) ? [{ type, path: unescaped }] : []
  })
}

/** Sets of capabilities of this process: see capabilities(7). */
export interface CapabilitySets {
  readonly effective: bigint
  readonly permitted: bigint
  readonly bounding: bigint
  readonly ambient: bigint
}

export function capabilitySets(status: string = readText('/proc/self/status') ?? ''): CapabilitySets {
  const set = (name: string): bigint => {
    const hex = new RegExp(`^${name}:\\s*([0-9a-fA-F]+)$`, 'm').exec(status)?.[1]
    return hex === undefined ? 0n : BigInt(`0x${hex}`)
  }
  return { effective: set('CapEff'), permitted: set('CapPrm'), bounding: set('CapBnd'), ambient: set('CapAmb') }
}

/** Whether this process is in a user namespace of its own, where its capabilities don't count for bpf() without a token. */
export function inUserNamespace(): boolean {
  // The first namespace maps every user to itself.
  const map = (readText('/proc/self/uid_map') ?? '').trim().split(/\s+/)
  return map.length >= 3 && map.join(' ') !== '0 0 4294967295'
}

/** What might deny what capabilities allow. */
export interface SecurityPolicy {
  /** Active security modules, in order; undefined where securityfs is not mounted. */
  readonly modules: readonly string[] | undefined
  /** `none`, `integrity` (no writing to user memory) or `confidentiality` (no reading of kernel memory); undefined as above, or without it. */
  readonly lockdown: string | undefined
  /** Whether a seccomp filter watches this process. */
  readonly seccomp: boolean
  /** Whether it can never gain privileges. */
  readonly noNewPrivileges: boolean
}

export function securityPolicy(): SecurityPolicy {
  const status = readText('/proc/self/status') ?? ''
  const modules = readText('/sys/kernel/security/lsm')?.trim()
  return {
    modules: modules === undefined || modules === '' ? undefined : modules.split(','),
    lockdown: /\[(\w+)\]/.exec(readText('/sys/kernel/security/lockdown') ?? '')?.[1],
    seccomp: /^Seccomp:\s*2$/m.test(status),
    noNewPrivileges: /^NoNewPrivs:\s*1$/m.test(status),
  }
}

export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
