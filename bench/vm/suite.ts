/** The fallback's VM against the kernel's JIT, which runs the same programs by BPF_PROG_TEST_RUN in the same run. */
import { FallbackKernel, type FallbackOptions } from 'libbpf-node/fallback'
import type { Case, Suite, Target } from '../harness.js'
import { loadingCases } from './loading.js'
import { helperCases } from './helpers.js'
import { interpreterCase } from './interpreter.js'
import { measureAll, PROGRAMS, Workload } from './workload.js'

/** Enough for any measurement. */
const FUEL = Number.MAX_SAFE_INTEGER

function benchKernel(options: FallbackOptions): FallbackKernel {
  return new FallbackKernel({ fuel: FUEL, ...options })
}

export const vmSuite: Suite = {
  name: 'vm',
  async prepare() {
    const jit = new Workload('native')
    const verified = new Workload(benchKernel({ engine: 'wasm' }))
    const sandboxed = new Workload(benchKernel({ engine: 'wasm', verify: false }))
    const interpreter = benchKernel({ engine: 'interpreter' })
    const interpreted = new Workload(interpreter)
    const all = [jit, verified, sandboxed, interpreted]
    for (const name of PROGRAMS) assertAlike(name, all)

    const versus = (name: string, ours: Workload, programs: readonly string[], target: Target): Case => ({
      name,
      unit: 'ns/run',
      lowerIsBetter: true,
      target,
      measure: () => measureAll(ours, programs),
      reference: { name: 'kernel JIT', measure: () => measureAll(jit, programs) },
    })
    return {
      cases: [
        // No program above 1.4 times the JIT's time, the mean of all at most its time; 1.25 in the sandbox.
        ...PROGRAMS.map((program) => versus(program, verified, [program], { ratio: 1 / 1.4 })),
        versus('geomean', verified, PROGRAMS, { ratio: 1 }),
        versus('geomean-sandboxed', sandboxed, PROGRAMS, { ratio: 1 / 1.25 }),
        interpreterCase(interpreter, interpreted, jit),
        ...helperCases(verified, jit),
        ...loadingCases(),
      ],
      close: () => all.forEach((workload) => workload.close()),
    }
  },
}

/** What is measured must be right. Random numbers differ. */
function assertAlike(name: string, workloads: readonly Workload[]): void {
  if (name === 'helpers') return
  const results = new Set(workloads.map((workload) => workload.result(name)))
  if (results.size > 1) throw new Error(`vm_${name} computes different things: ${[...results].join(', ')}`)
}
