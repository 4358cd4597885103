/** Processes of an ordinary user with a few capabilities, over the built library: `npm test` has built dist/ by now. */
import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { patience } from './patience.js'

const CHILD = fileURLToPath(new URL('../native/privileges-child.mjs', import.meta.url))

export const hasSetpriv = spawnSync('setpriv', ['--version']).status === 0

/** What an error says, across the border of processes. */
export interface Refusal {
  readonly code: string
  readonly message: string
}

/** What a process with CAP_BPF and CAP_PERFMON is: an agent that traces. */
export const AGENT = ['bpf', 'perfmon'] as const

export interface Surroundings {
  /** Without `CAP_`, in lower case. */
  readonly capabilities: readonly string[]
  /** Lines of shell that root runs before, in mount and network namespaces that only this process has. */
  readonly prepare?: string
}

/**
 * Runs a scenario of privileges-child.mjs, as user 1000, in namespaces of its own for networks and mounts.
 *
 * @returns what it answers
 */
export async function runAs<T>(
  { capabilities, prepare = '' }: Surroundings,
  ...scenario: readonly string[]
): Promise<T> {
  const held = capabilities.map((name) => `+${name}`)
  const set = ['-all', ...held].join(',')
  const ambient = held.length > 0 ? ['--ambient-caps', held.join(',')] : []
  const user = ['--reuid', '1000', '--regid', '1000', '--clear-groups']
  const words = [
    ...user,
    '--bounding-set',
    set,
    '--inh-caps',
    set,
    ...ambient,
    process.execPath,
    CHILD,
    ...scenario,
  ]
  const script = `set -e; ip link set lo up\n${prepare}\nexec setpriv "$@"`
  const { stdout } = await promisify(execFile)(
    'unshare',
    ['--net', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...words],
    { timeout: patience(40_000) },
  )
  return JSON.parse(stdout) as T
}
