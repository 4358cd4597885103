/** Control groups, of version 2. */
import { readFileSync } from 'node:fs'

/** Where cgroup2 is mounted: at /sys/fs/cgroup, or beside the groups of version 1. */
export function cgroupRoot(): string {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n')
  const [, folder] = mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2') ?? []
  if (folder === undefined)
    throw new Error('cgroup2 is mounted nowhere: mount -t cgroup2 cgroup2 /sys/fs/cgroup')
  return folder
}
