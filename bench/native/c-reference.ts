/** C programs that do the same with the same libbpf; compiled by the bench. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const FOLDER = `${ROOT}.cache/bench/`

export const FLOOD_OBJECT = `${ROOT}bpf/bench/ring_flood.bpf.o`

/** What `ring drain` and `ring flood` print. */
export interface RingReport {
  readonly records: number
  readonly wallNs: number
  readonly cpuNs: number
  readonly sent: number
  readonly lost: number
}

export interface RingProgram {
  drain(fills: number): Promise<RingReport>
  flood(ms: number): Promise<RingReport>
  /** The producer, as a process of its own. */
  produce(programId: number, ms: number): ChildProcess
}

export async function compileRing(): Promise<RingProgram> {
  mkdirSync(FOLDER, { recursive: true })
  const binary = `${FOLDER}ring`
  try {
    await execute('cc', ['-O2', '-Wall', '-o', binary, `${ROOT}bench/native/ring.c`, '-lbpf'])
  } catch (cause) {
    throw new Error(`can't compile the reference; it needs a C compiler and libbpf-dev: ${(cause as Error).message}`, { cause })
  }
  const report = async (...args: readonly string[]): Promise<RingReport> => {
    const { stdout } = await execute(binary, args)
    return JSON.parse(stdout) as RingReport
  }
  return {
    drain: (fills) => report('drain', FLOOD_OBJECT, String(fills)),
    flood: (ms) => report('flood', FLOOD_OBJECT, String(ms)),
    produce: (programId, ms) => spawn(binary, ['produce', String(programId), String(ms)], { stdio: ['ignore', 'inherit', 'inherit'] }),
  }
}
