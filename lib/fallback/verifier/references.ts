/** What was acquired must be released, on every path. */
import { checkSectionsEnd } from './critical-sections.js'
import { invalid } from './rejection.js'
import { mapRegisters } from './state.js'
import { removeDynptr } from './dynptr-slots.js'
import { KIND } from './values/register.js'
import type { Verification } from './verification.js'

/** Before what may end the program. @param throws it does so from any function */
export function checkNoLeak(env: Verification, what: string, locksToo: boolean, throws = false): void {
  const { state } = env
  if (throws || state.frames.length === 1) {
    const leaked = state.references.filter(({ kind }) => kind === 'pointer')
    if (leaked.length > 0)
      invalid(
        `${what} would lead to reference leak`,
        ...leaked.map(({ id, insn }) => `Unreleased reference id=${id} alloc_insn=${insn}`),
      )
  }
  if (!locksToo) return
  if (state.activeLocks > 0) invalid(`${what} cannot be used inside bpf_spin_lock-ed region`)
  checkSectionsEnd(env, what)
}

/** Releases a reference: its pointers are numbers from here on. @returns false: there is no such reference */
export function releaseReference(env: Verification, id: number): boolean {
  if (!env.dropReference(id)) return false
  removeDynptr(env, id)
  mapRegisters(env.state, (register) =>
    register.refId === id && register.kind !== KIND.DYNPTR ? env.remains : register,
  )
  return true
}
