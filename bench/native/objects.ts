/** What an agent does at its start: an object opened, loaded and attached; against the same in C. */
import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { open } from 'libbpf-node'
import type { Case, Measurement } from '../harness.js'

const execute = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const FOLDER = `${ROOT}.cache/bench/`
/** The largest example. */
const OBJECT = `${ROOT}bpf/execsnoop.bpf.o`
const CYCLES = 20

interface ObjectReport {
  readonly cycles: number
  readonly wallNs: number
  readonly cpuNs: number
}

/** @throws Error where there is no C compiler or no libbpf to compile with */
export async function objectCases(): Promise<readonly Case[]> {
  const binary = await compile()
  return [
    {
      name: 'object-load',
      unit: 'ms/object',
      lowerIsBetter: true,
      // 1.3 times C's time at most.
      target: { ratio: 0.77 },
      measure,
      reference: {
        name: 'C, libbpf',
        measure: async () => perObject(JSON.parse((await execute(binary, [OBJECT, String(CYCLES)])).stdout) as ObjectReport),
      },
    },
  ]
}

async function compile(): Promise<string> {
  mkdirSync(FOLDER, { recursive: true })
  const binary = `${FOLDER}object`
  try {
    await execute('cc', ['-O2', '-Wall', '-o', binary, `${ROOT}bench/native/object.c`, '-lbpf'])
  } catch (cause) {
    throw new Error(`can't compile the reference; it needs a C compiler and libbpf-dev: ${(cause as Error).message}`, { cause })
  }
  return binary
}

/** Closing isn't measured, as in C. */
async function measure(): Promise<Measurement> {
  let wallNs = 0
  let cpuNs = 0
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const cpu = process.cpuUsage()
    const start = process.hrtime.bigint()
    const object = open(OBJECT, { kernel: 'native' }).load()
    const links = object.attach()
    wallNs += Number(process.hrtime.bigint() - start)
    const { user, system } = process.cpuUsage(cpu)
    cpuNs += (user + system) * 1000
    links.close()
    object.close()
  }
  return perObject({ cycles: CYCLES, wallNs, cpuNs })
}

function perObject({ cycles, wallNs, cpuNs }: ObjectReport): Measurement {
  return { value: wallNs / cycles / 1e6, cpuNs: cpuNs / cycles }
}
