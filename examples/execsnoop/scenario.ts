/** Simulated processes for the fallback kernel: a scripted, seeded life of a small machine. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FallbackKernel } from 'libbpf-node/fallback'

const SIGKILL = 9

interface Script {
  readonly comm: string
  readonly filename: string
  readonly argv: readonly string[]
  readonly uid: number
  readonly exit: number | { readonly signal: number }
}

const SCRIPTS: readonly Script[] = [
  {
    comm: 'curl',
    filename: '/usr/bin/curl',
    argv: ['curl', '-sS', 'http://localhost:8080/health'],
    uid: 1000,
    exit: 0,
  },
  { comm: 'git', filename: '/usr/bin/git', argv: ['git', 'status', '--porcelain'], uid: 1000, exit: 0 },
  { comm: 'grep', filename: '/usr/bin/grep', argv: ['grep', '-rn', 'TODO', 'src'], uid: 1000, exit: 1 },
  {
    comm: 'backup',
    filename: '/usr/local/bin/backup',
    argv: ['backup', '--incremental', '/var/lib'],
    uid: 0,
    exit: 0,
  },
  {
    comm: 'node',
    filename: '/usr/bin/node',
    argv: ['node', 'server.js', '--port', '8080'],
    uid: 33,
    exit: { signal: SIGKILL },
  },
  { comm: 'ls', filename: '/usr/bin/ls', argv: ['ls', '-l', '/proc/self'], uid: 1000, exit: 0 },
]

/** Pid of the simulated shell: the parent of everything that the scenario starts. */
export const SHELL_PID = 100

/** Plays until aborted. The simulated clock advances as far as the real one is slept. */
export async function playScenario(kernel: FallbackKernel, seed: number, signal: AbortSignal): Promise<void> {
  const random = mulberry32(seed)
  const between = (least: number, most: number): number => least + Math.floor(random() * (most - least + 1))
  const pass = async (ms: number): Promise<void> => {
    await sleep(ms, undefined, { signal })
    kernel.clock.advance(BigInt(ms) * 1_000_000n)
  }
  try {
    const shell = kernel.tasks.spawn({
      pid: SHELL_PID,
      comm: 'bash',
      uid: 1000,
      filename: '/bin/bash',
      argv: ['bash'],
    })
    for (;;) {
      await pass(between(50, 400))
      const script = SCRIPTS[between(0, SCRIPTS.length - 1)] as Script // an index in range
      const { comm, filename, argv, uid } = script
      const child = kernel.tasks.spawn({ comm, filename, argv, uid, parent: shell })
      await pass(between(5, 300))
      child.exit(script.exit)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** A small generator with a 32-bit state: the same seed gives the same life. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
