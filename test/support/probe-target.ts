/** A process to set user probes in, compiled when it is first wanted. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { plainEnvironment } from './plain-environment.js'

let compiled: string | undefined

/** Path of the executable. */
export function probeTarget(): string {
  if (compiled !== undefined) return compiled
  const folder = mkdtempSync(join(tmpdir(), 'probe-target-'))
  const path = join(folder, 'probe-target')
  const source = fileURLToPath(new URL('../native/probe-target.c', import.meta.url))
  execFileSync(process.env['CC'] ?? 'cc', ['-O1', '-o', path, source], { env: plainEnvironment() })
  return (compiled = path)
}

/** For a file's `afterAll()`: removes the executable. */
export function removeProbeTarget(): void {
  if (compiled !== undefined) rmSync(dirname(compiled), { recursive: true })
  compiled = undefined
}

export interface TargetProcess extends AsyncDisposable {
  readonly pid: number
  /** Has it pass all its functions and probes once. @returns its semaphore afterwards: how often the probe `enter` is traced, as it is told */
  pass(): Promise<number>
  /** Where the semaphore is in the executable's file. */
  semaphoreOffset(): Promise<number>
}

export async function startTarget(): Promise<TargetProcess> {
  const child = spawn(probeTarget(), { stdio: ['pipe', 'pipe', 'inherit'], env: plainEnvironment() })
  const lines = createInterface(child.stdout)
  await once(child, 'spawn')
  const { pid } = child
  if (pid === undefined) throw new Error('the probe target has no pid')
  async function ask(): Promise<{ readonly semaphore: number; readonly address: number }> {
    const answered = once(lines, 'line')
    child.stdin.write('\n')
    const [line] = (await answered) as [string]
    const [sum, semaphore, address] = line.split(' ').map(Number)
    if (sum !== 66 || semaphore === undefined || address === undefined)
      throw new Error(`the probe target answers '${line}'`)
    return { semaphore, address }
  }
  return {
    pid,
    pass: async () => (await ask()).semaphore,
    semaphoreOffset: async () => fileOffset(pid, (await ask()).address),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.stdin.end()
      await ended
      lines.close()
    },
  }
}

/** Where in its file the byte at an address of a process comes from. Source: proc_pid_maps(5). */
function fileOffset(pid: number, address: number): number {
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const [start = 0, end = 0, offset = 0] = (/^(\w+)-(\w+) \S+ (\w+)/.exec(line) ?? [])
      .slice(1)
      .map((hex) => Number.parseInt(hex, 16))
    if (start <= address && address < end) return offset + address - start
  }
  throw new Error(`nothing is at ${address.toString(16)} in process ${pid}`)
}
