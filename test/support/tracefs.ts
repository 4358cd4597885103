/** tracefs for tests: mounted in a mount namespace of its own, so that nothing of the machine's changes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Tracefs {
  /** Where it is mounted, as seen from here. */
  readonly path: string
  /** Lets go of it. */
  close(): Promise<void>
}

export async function mountTracefs(): Promise<Tracefs> {
  const script =
    'mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing; echo mounted; exec cat'
  const holder = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')])
  return {
    path: `/proc/${holder.pid}/root/sys/kernel/tracing`,
    async close() {
      holder.stdin.end()
      if (holder.exitCode === null) await once(holder, 'exit')
    },
  }
}
