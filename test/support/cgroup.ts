/** A cgroup of a test's own. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

let made = 0

/** Where cgroup2 is mounted. */
export function cgroupRoot(): string {
  const mount = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type]) => type === 'cgroup2')
  if (mount?.[1] === undefined) throw new Error('cgroup2 is not mounted')
  return mount[1]
}

export class TestCgroup implements AsyncDisposable {
  readonly path: string

  constructor(parent = cgroupRoot()) {
    this.path = path.join(parent, `libbpf-node-test-${process.pid}-${made++}`)
    mkdirSync(this.path)
  }

  /** Runs a command in it. @returns what it prints */
  run(command: string, ...args: readonly string[]): string {
    const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
    return execFileSync('sh', ['-c', enter, this.path, command, ...args], { encoding: 'utf8', stdio: 'pipe' })
  }

  /** A process that has ended may be in it for a moment. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        rmdirSync(this.path)
        return
      } catch (error) {
        if (attempt === 50) throw error
        await sleep(20)
      }
    }
  }
}
