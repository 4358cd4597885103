/** bpf_tail_call: another program in place of the rest of this one. kernel/bpf/core.c, and the JITs. Linux 4.2. */
import { helperTrap, mapIn, unsigned } from './helpers/arguments.js'
import type { Machine } from './machine.js'
import { KERNEL_HI } from './memory.js'
import { TAIL_CALL_HELPER } from './vm/predecode.js'
import type { Engine, Registers } from './vm/types.js'

/** MAX_TAIL_CALL_CNT of Linux: of one run, through functions and programs alike. */
const MOST = 33

export function createTailCall(machine: Machine): (registers: Registers, engine: Engine) => boolean {
  return (registers, engine) => {
    const { storage } = mapIn(machine, registers, 2, engine, TAIL_CALL_HELPER)
    const target = storage.programs?.at(unsigned(registers, 3))
    if (target === undefined || machine.tailCalls >= MOST) return false
    if (registers.hi[1] !== KERNEL_HI) throw helperTrap(engine, TAIL_CALL_HELPER, 'r1 is no context')
    machine.tailCalls++
    target.continueWith(unsigned(registers, 1), registers)
    return true
  }
}
