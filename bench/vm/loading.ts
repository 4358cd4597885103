/** From instructions to the first result: what a test pays for each program that it loads. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { open } from 'libbpf-node'
import type { Kernel } from 'libbpf-node'
import { createKernel } from 'libbpf-node/fallback'
import { alu64, alu64r, exit, jump, mov64 } from '../../lib/isa/build.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import type { Case, Measurement } from '../harness.js'
import { RAW_PROGRAM, rawObject } from '../../test/support/raw-object.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** Loads of one measurement. */
const LOADS = 41
/** How long programs are loaded before that: engines compile what loads them, too. */
const WARM_MS = 400

export function loadingCases(): readonly Case[] {
  return [
    ...[true, false].flatMap((verify) => [loadCase(100, 0.2, verify), loadCase(10_000, 3, verify)]),
    coldStart(),
  ]
}

/** @param verify in the sandbox else: what the compiler takes alone */
function loadCase(instructions: number, atMost: number, verify: boolean): Case {
  const ours = new Loads(createKernel({ verify }), instructions)
  const kernel = new Loads('native', instructions)
  return {
    name: `load-${instructions}${verify ? '' : '-sandboxed'}`,
    unit: 'ms to the first result',
    lowerIsBetter: true,
    target: { atMost, of: 'value' },
    measure: async () => ours.measure(),
    reference: { name: 'kernel', measure: async () => kernel.measure() },
  }
}

/** Loads of programs that differ: engines know compiled code again. */
class Loads {
  readonly #kernel: 'native' | Kernel
  readonly #instructions: number
  #count = 0
  #isWarm = false

  constructor(kernel: 'native' | Kernel, instructions: number) {
    this.#kernel = kernel
    this.#instructions = instructions
  }

  /** The median of many. */
  measure(): Measurement {
    if (!this.#isWarm) {
      const end = performance.now() + WARM_MS
      while (performance.now() < end) this.#load()
      this.#isWarm = true
    }
    const times = Array.from({ length: LOADS }, () => this.#load())
    return { value: times.toSorted((a, b) => a - b)[LOADS >> 1] ?? NaN }
  }

  /** @returns milliseconds. Reading the object isn't measured: a test does that once */
  #load(): number {
    const object = rawObject(straightCode(this.#instructions, this.#count++))
    const spec = open(object, { kernel: this.#kernel })
    const start = performance.now()
    using loaded = spec.load()
    loaded.program(RAW_PROGRAM).run()
    return performance.now() - start
  }
}

/** A process that starts, loads an object and has its first result. Its own start is what `node -e 0` takes. */
function coldStart(): Case {
  const run = promisify(execFile)
  const script = `
    const start = performance.now()
    const { open } = await import('libbpf-node')
    const { createKernel } = await import('libbpf-node/fallback')
    const object = open(${JSON.stringify(`${ROOT}bpf/test/tail_calls.bpf.o`)}, { kernel: createKernel({ engine: 'wasm' }) }).load()
    object.programs.jump.run({ ctx: new Uint8Array(8) })
    console.log(performance.now() - start)`
  return {
    name: 'cold-start',
    unit: 'ms to the first result',
    lowerIsBetter: true,
    target: { atMost: 60, of: 'value' },
    async measure() {
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: ROOT })
      return { value: Number(stdout) }
    },
  }
}

/** Blocks of arithmetic with a branch each: what compilers make of ordinary code, without loops. */
function straightCode(count: number, seed: number): readonly Instruction[] {
  const code = [mov64(0, 1), mov64(1, 7 + seed)]
  for (let i = 0; code.length < count - 5; i++)
    code.push(
      alu64('mul', 0, 31 + (i % 7)),
      alu64r('add', 0, 1),
      jump('jset', 0, 1 << (i % 16), 1),
      alu64('xor', 1, i),
    )
  while (code.length < count - 1) code.push(alu64('add', 0, 1))
  return [...code, exit()]
}
