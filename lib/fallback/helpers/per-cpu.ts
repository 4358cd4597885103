/** Per-CPU variables of the kernel: kernel/bpf/helpers.c. Linux 5.10. */
import { KERNEL_HI } from '../memory.js'
import type { Machine } from '../machine.js'
import type { Variable } from '../hooks/variables.js'
import type { Engine, Registers } from '../vm/types.js'
import { givePointer, helperTrap, unsigned, type HelperFamily } from './arguments.js'

const PER_CPU_PTR = 153
const THIS_CPU_PTR = 154

export const perCpuHelpers: HelperFamily = (machine) => ({
  /** bpf_per_cpu_ptr(variable, cpu): NULL for a CPU that there isn't. */
  [PER_CPU_PTR](registers, engine) {
    const variable = variableIn(machine, registers, engine, PER_CPU_PTR)
    const cpu = unsigned(registers, 2)
    givePointer(registers, cpu < machine.cpus.possible ? variable.copyIn(machine.objects, cpu) : 0)
  },
  /** bpf_this_cpu_ptr(variable) */
  [THIS_CPU_PTR](registers, engine) {
    const variable = variableIn(machine, registers, engine, THIS_CPU_PTR)
    givePointer(registers, variable.copyIn(machine.objects, machine.cpus.current))
  },
})

function variableIn(machine: Machine, registers: Registers, engine: Engine, helper: number): Variable {
  const variable =
    registers.hi[1] === KERNEL_HI ? machine.variables.perCpuAt(unsigned(registers, 1)) : undefined
  if (variable !== undefined) return variable
  throw helperTrap(engine, helper, 'r1 is no per-CPU variable of the kernel')
}
