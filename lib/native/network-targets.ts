/** Interfaces, network namespaces and cgroups by their names; and what was probably meant where there is none of that name. */
import { closeSync, openSync, readFileSync, readdirSync, statfsSync, constants } from 'node:fs'
import path from 'node:path'
import type { NetnsReference } from '../attach-request.js'
import { BpfError, systemError, type BpfErrorDetails } from '../errors.js'
import { errno } from '../linux/errno.js'
import { didYouMean } from '../nearest.js'
import type { Addon } from './addon-types.js'

/** Of a file system: statfs(2). */
const CGROUP2_SUPER_MAGIC = 0x63677270

/** Where `ip netns` keeps its names. */
const NAMED_NAMESPACES = '/run/netns'

export interface NetworkInterface {
  readonly index: number
  readonly name: string
}

/** Descriptors that are open for the time of an attach. */
export class OpenTargets implements Disposable {
  readonly #opened: number[] = []

  /**
   * A network namespace: a path, a name as `ip netns` gives them, or a descriptor of the caller's.
   *
   * @throws BpfError `ENOENT` with the nearest name
   */
  netns(reference: NetnsReference | undefined): number | undefined {
    if (reference === undefined || typeof reference === 'number') return reference
    const file = reference.includes('/') ? reference : path.join(NAMED_NAMESPACES, reference)
    return this.#open(file, 'network namespace', constants.O_RDONLY)
  }

  /**
   * A folder of cgroup2: its path, or a descriptor of the caller's.
   *
   * @throws BpfError `ENOENT` with the nearest name, `BAD_VALUE` for what is no cgroup
   */
  cgroup(reference: string | number): number {
    if (typeof reference === 'number') return reference
    const fd = this.#open(reference, 'cgroup', constants.O_RDONLY | constants.O_DIRECTORY)
    if (statfsSync(reference).type !== CGROUP2_SUPER_MAGIC) {
      throw new BpfError('BAD_VALUE', `'${reference}' is no folder of cgroup2`, withHint(cgroupHint()))
    }
    return fd
  }

  [Symbol.dispose](): void {
    for (const fd of this.#opened) closeSync(fd)
  }

  #open(file: string, what: string, flags: number): number {
    try {
      const fd = openSync(file, flags)
      this.#opened.push(fd)
      return fd
    } catch (cause) {
      const number = errnoOf(cause)
      const hint = number === errno('ENOENT') ? nearestPath(file) : undefined
      throw systemError('open', number, `${what} '${file}'`, { ...withHint(hint), cause })
    }
  }
}

/**
 * The interface of that name or index.
 *
 * @param netnsFd the namespace where it is; undefined: that of this thread
 * @throws BpfError `ENODEV` with the nearest name
 */
export function findInterface(addon: Addon, wanted: string | number, netnsFd: number | undefined): NetworkInterface {
  const all = addon.interfaces(netnsFd, 'network interfaces')
  const found = all.find(({ index, name }) => (typeof wanted === 'number' ? index === wanted : name === wanted))
  if (found !== undefined) return found
  const where = netnsFd === undefined ? 'this network namespace' : 'the network namespace'
  throw new BpfError('ENODEV', `there is no network interface ${shown(wanted)} in ${where}`, {
    errno: errno('ENODEV'),
    ...withHint(
      didYouMean(
        String(wanted),
        all.map(({ name }) => name),
      ),
    ),
  })
}

function shown(wanted: string | number): string {
  return typeof wanted === 'number' ? `of index ${wanted}` : `'${wanted}'`
}

/** What stands in the folder where the path ends to exist, next to what was asked for. */
function nearestPath(file: string): string | undefined {
  let missing = path.resolve(file)
  for (;;) {
    const folder = path.dirname(missing)
    if (folder === missing) return undefined
    try {
      const names = readdirSync(folder)
      const hint = didYouMean(path.basename(missing), names)
      return `'${folder}' has no '${path.basename(missing)}'${hint === undefined ? '' : `. ${hint}`}`
    } catch {
      missing = folder
    }
  }
}

/** Where cgroup2 is mounted. */
function cgroupHint(): string {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
  const mounted = mounts.split('\n').find((line) => line.split(' ')[2] === 'cgroup2')
  const place = mounted?.split(' ')[1]
  return place === undefined
    ? 'cgroup2 is not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup'
    : `cgroup2 is mounted at ${place}`
}

/** Node gives them negative. */
function errnoOf(error: unknown): number {
  return error instanceof Error && 'errno' in error ? -Number(error.errno) : errno('EIO')
}

function withHint(hint: string | undefined): Pick<BpfErrorDetails, 'hint'> {
  return hint === undefined ? {} : { hint }
}
