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

export function loadingCases(): readonly Case[] {
  return [loadCase(100, 0.2), loadCase(10_000, 3), coldStart()]
}

function loadCase(instructions: number, atMost: number): Case {
  const object = rawObject(straightCode(instructions))
  const kernel = createKernel({ engine: 'wasm' })
  return {
    name: `load-${instructions}`,
    unit: 'ms to the first result',
    lowerIsBetter: true,
    target: { atMost, of: 'value' },
    measure: async () => measureLoad(kernel, object),
    reference: { name: 'kernel', measure: async () => measureLoad('native', object) },
  }
}

/** The median of many loads. Reading the object isn't measured: a test does that once. */
function measureLoad(kernel: 'native' | Kernel, object: Uint8Array): Measurement {
  const times = Array.from({ length: LOADS }, () => {
    const spec = open(object, { kernel })
    const start = performance.now()
    using loaded = spec.load()
    loaded.program(RAW_PROGRAM).run()
    return performance.now() - start
  })
  return { value: times.toSorted((a, b) => a - b)[LOADS >> 1] ?? NaN }
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
function straightCode(count: number): readonly Instruction[] {
  const code = [mov64(0, 1), mov64(1, 7)]
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
