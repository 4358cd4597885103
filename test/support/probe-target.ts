/** A process to set user probes in, compiled when it is first wanted. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

let compiled: string | undefined

/** Path of the executable. */
export function probeTarget(): string {
  if (compiled !== undefined) return compiled
  const folder = mkdtempSync(join(tmpdir(), 'probe-target-'))
  const path = join(folder, 'probe-target')
  const source = fileURLToPath(new URL('../native/probe-target.c', import.meta.url))
  execFileSync(process.env['CC'] ?? 'cc', ['-O1', '-o', path, source])
  return (compiled = path)
}

/** For a file's `afterAll()`: removes the executable. */
export function removeProbeTarget(): void {
  if (compiled !== undefined) rmSync(dirname(compiled), { recursive: true })
  compiled = undefined
}

export interface TargetProcess extends AsyncDisposable {
  readonly pid: number
  /** Has it pass all its functions and probes once; resolves when it has. */
  pass(): Promise<void>
}

export async function startTarget(): Promise<TargetProcess> {
  const child = spawn(probeTarget(), { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)
  await once(child, 'spawn')
  const { pid } = child
  if (pid === undefined) throw new Error('the probe target has no pid')
  return {
    pid,
    async pass() {
      const answered = once(lines, 'line')
      child.stdin.write('\n')
      const [line] = (await answered) as [string]
      if (line !== '66') throw new Error(`the probe target answers '${line}'`)
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.stdin.end()
      await ended
      lines.close()
    },
  }
}
