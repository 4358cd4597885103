/** Sections of the program in which RCU protects objects, or in which it isn't preempted or interrupted. */
import { hasInterruptsOff } from './irq-flags.js'
import { isComparingNodes } from './locks.js'
import { denied, invalid } from './rejection.js'
import { isIteratorSlot, mapRegisters, type State, StackSlot } from './state.js'
import { cloneRegister, FLAG, type Register } from './values/register.js'
import type { Verification } from './verification.js'

/** What a call of the kernel's functions does to sections, and whether it may be there. */
export function passSections(env: Verification, name: string, sleepable: boolean): void {
  const { state } = env
  const locks = name === 'bpf_rcu_read_lock'
  const unlocks = name === 'bpf_rcu_read_unlock'
  if (state.rcuLocks > 0) {
    if ((locks || unlocks) && isComparingNodes(env))
      denied('Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback')
    if (locks) invalid(`nested rcu read lock (kernel function ${name})`)
    if (unlocks) leaveRcu(state)
    else if (sleepable) denied(`kernel func ${name} is sleepable within rcu_read_lock region`)
  } else if (locks) state.rcuLocks = 1
  else if (unlocks) invalid(`unmatched rcu read unlock (kernel function ${name})`)
  if (name === 'bpf_preempt_disable') state.preemptLocks++
  else if (name === 'bpf_preempt_enable') {
    if (state.preemptLocks === 0) invalid(`unmatched attempt to enable preemption (kernel function ${name})`)
    state.preemptLocks--
  } else if (state.preemptLocks > 0 && sleepable)
    denied(`kernel func ${name} is sleepable within non-preemptible region`)
  if (sleepable && hasInterruptsOff(state))
    denied(`kernel func ${name} is sleepable within IRQ-disabled region`)
}

/** What RCU protected may be gone now. */
function leaveRcu(state: State): void {
  state.rcuLocks = 0
  mapRegisters(state, untrusted)
  for (const { stack } of state.frames) {
    stack.forEach((slot, i) => {
      if (!isIteratorSlot(slot)) return
      const changed = untrusted(slot.spilled)
      if (changed !== slot.spilled) stack[i] = new StackSlot(slot.types, changed)
    })
  }
}

function untrusted(register: Register): Register {
  if ((register.flags & FLAG.RCU) === 0) return register
  const changed = cloneRegister(register)
  changed.flags = (register.flags & ~(FLAG.RCU | FLAG.MAYBE_NULL)) | FLAG.UNTRUSTED
  return changed
}

/** Sections end before the program does. */
export function checkSectionsEnd({ state }: Verification, what: string): void {
  if (hasInterruptsOff(state)) invalid(`${what} cannot be used inside bpf_local_irq_save-ed region`)
  if (state.rcuLocks > 0) invalid(`${what} cannot be used inside bpf_rcu_read_lock-ed region`)
  if (state.preemptLocks > 0) invalid(`${what} cannot be used inside bpf_preempt_disable-ed region`)
}

/** Whether the path may sleep here: the program may, and no section forbids it. */
export function maySleep({ state }: Verification): boolean {
  if (!state.sleepable || state.rcuLocks > 0 || state.preemptLocks > 0) return false
  return state.activeLocks === 0 && !hasInterruptsOff(state)
}
