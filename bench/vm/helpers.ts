/** What a helper call and a look-up cost: the time of a loop with them, less that of the loop alone. */
import type { Case, Measurement } from '../harness.js'
import type { Workload } from './workload.js'

/** ROUNDS of vm.bpf.c. */
const ROUNDS = 1000

export function helperCases(ours: Workload, jit: Workload): readonly Case[] {
  const each = (name: string, unit: string, program: string, atMost: number): Case => ({
    name,
    unit,
    lowerIsBetter: true,
    target: { atMost, of: 'value' },
    measure: async () => perRound(ours, program),
    reference: { name: 'kernel JIT', measure: async () => perRound(jit, program) },
  })
  return [
    // bpf_get_current_cgroup_id, which is JavaScript's.
    each('helper-js', 'ns/call', 'called_helpers', 7),
    // bpf_get_prandom_u32
    each('helper-wasm', 'ns/call', 'helpers', 2),
    each('array-lookup', 'ns/look-up', 'array_lookup', 3),
    each('hash-lookup', 'ns/look-up', 'hash_lookup', 40),
  ]
}

function perRound(workload: Workload, program: string): Measurement {
  return { value: (workload.measure(program) - workload.measure('no_helpers')) / ROUNDS }
}
