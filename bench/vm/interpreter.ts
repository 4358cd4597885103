/** What an instruction costs in the interpreter. */
import type { FallbackKernel } from 'libbpf-node/fallback'
import type { Case } from '../harness.js'
import { CPU_BOUND, geometricMean, type Workload } from './workload.js'

export function interpreterCase(kernel: FallbackKernel, interpreted: Workload, jit: Workload): Case {
  const counts = new Map(CPU_BOUND.map((name) => [name, interpreted.instructions(kernel, name)]))
  const perInstruction = (workload: Workload): number =>
    geometricMean(CPU_BOUND.map((name) => workload.measure(name) / (counts.get(name) ?? NaN)))
  return {
    name: 'interpreter',
    unit: 'ns/instruction',
    lowerIsBetter: true,
    target: { atMost: 4.5, of: 'value' },
    measure: async () => ({ value: perInstruction(interpreted) }),
    reference: { name: 'kernel JIT', measure: async () => ({ value: perInstruction(jit) }) },
  }
}
