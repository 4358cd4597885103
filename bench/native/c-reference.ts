/** C programs that do the same with the same libbpf; compiled by the bench. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** Where the bench keeps what it makes and fetches. */
export const BENCH_CACHE = `${ROOT}.cache/bench/`

export const FLOOD_OBJECT = `${ROOT}bpf/bench/ring_flood.bpf.o`

/** What `ring drain`, `ring flood` and their like print. */
export interface RingReport {
  readonly records: number
  readonly wallNs: number
  readonly cpuNs: number
  readonly sent: number
  readonly lost: number
  /** Of `latency`: half of the records arrived sooner. */
  readonly p50Ns: number
}

export interface RingProgram {
  drain(fills: number): Promise<RingReport>
  drainPerf(fills: number): Promise<RingReport>
  flood(ms: number): Promise<RingReport>
  flood16(ms: number): Promise<RingReport>
  floodPerf(ms: number): Promise<RingReport>
  latency(pulses: number): Promise<RingReport>
  /** The producers, as processes of their own. */
  produce(programId: number, ms: number): ChildProcess
  producePerf(programId: number, ms: number): ChildProcess
  pulse(programId: number, pulses: number): ChildProcess
  /** Floods like `produce`. @returns how many records were sent or found no room */
  count(programId: number, ms: number): Promise<number>
}

export async function compileRing(): Promise<RingProgram> {
  const binary = await compile('ring')
  const report = async (...args: readonly string[]): Promise<RingReport> => {
    const { stdout } = await execute(binary, args)
    return JSON.parse(stdout) as RingReport
  }
  const start = (what: string, ...numbers: readonly number[]): ChildProcess =>
    spawn(binary, [what, ...numbers.map(String)], { stdio: ['ignore', 'inherit', 'inherit'] })
  return {
    drain: (fills) => report('drain', FLOOD_OBJECT, String(fills)),
    drainPerf: (fills) => report('drain-perf', FLOOD_OBJECT, String(fills)),
    flood: (ms) => report('flood', FLOOD_OBJECT, String(ms)),
    flood16: (ms) => report('flood16', FLOOD_OBJECT, String(ms)),
    floodPerf: (ms) => report('flood-perf', FLOOD_OBJECT, String(ms)),
    latency: (pulses) => report('latency', FLOOD_OBJECT, String(pulses)),
    produce: (programId, ms) => start('produce', programId, ms),
    producePerf: (programId, ms) => start('produce-perf', programId, ms),
    count: async (programId, ms) => Number((await execute(binary, ['count', String(programId), String(ms)])).stdout),
    pulse: (programId, pulses) => start('pulse', programId, pulses),
  }
}

/** Compiles `bench/native/NAME.c`. @returns what runs it with arguments, and gives what it prints */
export async function compileReference(name: string): Promise<(...args: readonly string[]) => Promise<string>> {
  const binary = await compile(name)
  return async (...args) => (await execute(binary, args)).stdout
}

async function compile(name: string): Promise<string> {
  mkdirSync(BENCH_CACHE, { recursive: true })
  const binary = `${BENCH_CACHE}${name}`
  try {
    await execute('cc', ['-O2', '-Wall', '-o', binary, `${ROOT}bench/native/${name}.c`, '-lbpf'])
  } catch (cause) {
    throw new Error(`can't compile the reference; it needs a C compiler and libbpf-dev: ${(cause as Error).message}`, { cause })
  }
  return binary
}
