/** The programs of an object on one kernel: the same object, the same data, the same calls on each. */
import { fileURLToPath } from 'node:url'
import type { FallbackKernel } from 'libbpf-node/fallback'
import { open, type BpfObject, type Kernel, type OpenObject, type Program } from 'libbpf-node'
import type { Measurement } from '../harness.js'

/** Programs of which all time is spent in the VM; each is a case, and all of them are in the geometric means. */
export const PROGRAMS = [
  'alu64',
  'alu32',
  'stack',
  'crc32',
  'fnv',
  'sieve',
  'filter',
  'calls',
  'helpers',
  'counter',
] as const

/** Those that call no helpers in their loops: what an instruction costs, shows in them. */
export const CPU_BOUND = PROGRAMS.filter((name) => name !== 'helpers' && name !== 'counter')

/** How long a measurement runs, about: long enough that the call into the kernel doesn't show. */
const MEASURED_MS = 1.2
/** Of which the best counts: short ones, as other work on the machine comes in longer turns. */
const MEASUREMENTS = 16
/** How long it runs before that: engines compile what runs often a second time, on a thread of its own. */
const WARM_MS = 150
/** Repetitions over which instructions are counted. */
const COUNTED = 8
/** struct vm_context. */
const CONTEXT = { size: 16, repeat: 8, seed: 12 } as const
const MAX_REPEAT = 8 << 20

/** What is measured: an object whose programs are named vm_*, and the data that they work on. */
export interface Work {
  readonly path: string
  /** Variables, before the object is loaded. */
  fill(spec: OpenObject): void
  /** Maps, afterwards. */
  fillMaps?(object: BpfObject): void
  /** Programs that make entries of maps: run once before. */
  readonly first: readonly string[]
}

/** bpf/bench/vm.bpf.c */
export const VM: Work = {
  path: benchObject('vm'),
  fill(spec) {
    spec.rodata['crc_table'] = crcTable()
    spec.bss['frame'] = Uint8Array.from({ length: 1500 }, (_, i) => (i * 31 + 7) & 255)
    spec.bss['packets'] = packets()
  },
  first: ['counter', 'hash_lookup'],
}

export function benchObject(name: string): string {
  return fileURLToPath(new URL(`../../../bpf/bench/${name}.bpf.o`, import.meta.url))
}

/** The object on one kernel, its data filled. */
export class Workload {
  readonly #object: BpfObject
  /** By program: how often it does its work in one measurement. */
  readonly #repeats = new Map<string, number>()
  readonly #context = new Uint8Array(CONTEXT.size)
  readonly #view = new DataView(this.#context.buffer)

  constructor(kernel: 'native' | Kernel, { path, fill, fillMaps, first }: Work = VM) {
    const spec = open(path, { kernel })
    fill(spec)
    this.#object = spec.load()
    fillMaps?.(this.#object)
    for (const name of first) this.#run(this.program(name), 4)
  }

  /** Names of the programs, without their vm_. */
  get programs(): readonly string[] {
    return Object.keys(this.#object.programs).map((name) => name.replace('vm_', ''))
  }

  program(name: string): Program {
    const program = this.#object.programs[`vm_${name}`]
    if (program === undefined) throw new Error(`the bench's object has no program vm_${name}`)
    return program
  }

  /** Nanoseconds that a program's work takes once: the best of many measurements, since whatever else disturbs makes it slower only. */
  measure(name: string): number {
    const program = this.program(name)
    for (;;) {
      const repeat = this.#repeats.get(name) ?? this.#calibrate(name, program)
      const best = Math.min(...Array.from({ length: MEASUREMENTS }, () => this.#run(program, repeat)))
      if (best >= MEASURED_MS / 2 || repeat === MAX_REPEAT) return (best * 1e6) / repeat
      // It has become faster since: engines compile again what runs often.
      this.#repeats.delete(name)
    }
  }

  /** Instructions that a program's work takes, on average over many. */
  instructions(kernel: FallbackKernel, name: string): number {
    const program = this.program(name)
    using debug = kernel.debug(program)
    const coverage = debug.coverage()
    this.#run(program, COUNTED)
    return coverage.executed / COUNTED
  }

  /** What a program computes: the same on each kernel. */
  result(name: string): bigint {
    this.#context.fill(0)
    this.#view.setUint32(CONTEXT.repeat, 3, true)
    const { ctx, retval } = this.program(name).run({ ctx: this.#context })
    // Contexts of programs that may not write to them don't come back.
    if (ctx === undefined) return BigInt(retval)
    return new DataView(ctx.buffer, ctx.byteOffset).getBigUint64(0, true)
  }

  close(): void {
    this.#object.close()
  }

  #calibrate(name: string, program: Program): number {
    let repeat = 4
    let took = this.#run(program, repeat)
    for (const start = performance.now(); ;) {
      if (took < MEASURED_MS && repeat < MAX_REPEAT) {
        const factor = Math.min(16, Math.max(1.5, (1.2 * MEASURED_MS) / Math.max(took, 0.01)))
        repeat = Math.min(MAX_REPEAT, Math.ceil(repeat * factor))
      } else if (performance.now() - start >= WARM_MS) break
      took = this.#run(program, repeat)
    }
    this.#repeats.set(name, repeat)
    return repeat
  }

  /** @returns milliseconds */
  #run(program: Program, repeat: number): number {
    this.#context.fill(0)
    this.#view.setUint32(CONTEXT.repeat, repeat, true)
    this.#view.setUint32(CONTEXT.seed, 12345, true)
    const start = performance.now()
    program.run({ ctx: this.#context })
    return performance.now() - start
  }
}

/** Programs one after the other; of several, the geometric mean. */
export async function measureAll(workload: Workload, names: readonly string[]): Promise<Measurement> {
  return { value: geometricMean(names.map((name) => workload.measure(name))) }
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
}

/** CRC-32 as Ethernet has it, reflected. */
function crcTable(): number[] {
  return Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0xedb88320)
    return crc >>> 0
  })
}

/** Packets of many kinds, so that each branch of the filter is taken. */
function packets(): Uint8Array[] {
  const protocols = [6, 17, 6, 1, 6, 17, 47, 6]
  const ports = [22, 53, 443, 0, 6001, 123, 0, 8080]
  return Array.from({ length: 64 }, (_, i) => {
    const packet = new Uint8Array(64)
    const view = new DataView(packet.buffer)
    view.setUint16(12, i % 13 === 12 ? 0x0806 : i % 17 === 16 ? 0x8100 : 0x0800)
    packet[14] = 0x45
    view.setUint16(16, 50)
    view.setUint16(20, i % 11 === 10 ? 1 : 0)
    view.setUint8(22, 64)
    view.setUint8(23, protocols[i % 8] ?? 6)
    view.setUint32(26, i % 3 === 0 ? 0x0a000001 + i : 0xc0a80001 + i)
    view.setUint32(30, 0x08080808)
    view.setUint16(34, 40000 + i)
    view.setUint16(36, ports[i % 8] ?? 80)
    view.setUint16(38, i % 2 === 0 ? 56 : 4)
    view.setUint8(47, [0x02, 0x10, 0x18, 0x01, 0x04, 0x06][i % 6] ?? 0)
    return packet
  })
}
