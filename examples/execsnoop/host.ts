/** Where the processes are: on this machine, or in a simulation. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Kernel } from 'libbpf-node'
import { createKernel } from 'libbpf-node/fallback'
import { playScenario } from './scenario.js'

export interface Host {
  /** For `open()`. */
  readonly kernel: 'native' | Kernel
  /** Why it isn't Linux. */
  readonly reason?: string
  /** Wall-clock time at which the kernel's monotonic clock was 0, in milliseconds. */
  readonly epochMs: number
  /** Pids of the processes that descend from one now. */
  descendants(pid: number): readonly number[]
  /** Runs until aborted. */
  play(signal: AbortSignal): Promise<void>
}

export function linux(): Host {
  return {
    kernel: 'native',
    epochMs: Date.now() - Number(process.hrtime.bigint()) / 1e6,
    descendants,
    play: (signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
  }
}

export function simulation(reason: string, seed: number): Host {
  const kernel = createKernel({ clock: 'manual', seed })
  return {
    kernel,
    reason,
    epochMs: Date.now() - Number(kernel.clock.now()) / 1e6,
    descendants: () => [],
    play: (signal) => playScenario(kernel, seed, signal),
  }
}

function descendants(root: number): readonly number[] {
  const children = new Map<number, number[]>()
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const parent = parentOf(pid)
    if (parent === undefined) continue
    const siblings = children.get(parent)
    if (siblings === undefined) children.set(parent, [Number(pid)])
    else siblings.push(Number(pid))
  }
  const found: number[] = []
  const queue = [root]
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    const more = children.get(pid) ?? []
    found.push(...more)
    queue.push(...more)
  }
  return found
}

function parentOf(pid: string): number | undefined {
  try {
    // pid (comm) state ppid …: comm may hold blanks and brackets of its own.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined // it has ended meanwhile
  }
}
