/** What chooses WebAssembly's instructions for a kind of BPF's, in one function. */
import type { Checks } from './checks.js'
import type { CodeBuffer } from './code-buffer.js'
import type { Facts } from './facts.js'
import type { Locals } from './locals.js'
import type { Slots } from '../slots.js'

/** What belongs to the function that is compiled. */
export interface FunctionParts {
  readonly slots: Slots
  readonly out: CodeBuffer
  readonly locals: Locals
  readonly checks: Checks
  readonly facts: Facts
}

export abstract class Selector implements FunctionParts {
  readonly slots: Slots
  readonly out: CodeBuffer
  readonly locals: Locals
  readonly checks: Checks
  readonly facts: Facts

  constructor({ slots, out, locals, checks, facts }: FunctionParts) {
    this.slots = slots
    this.out = out
    this.locals = locals
    this.checks = checks
    this.facts = facts
  }

  /** The local of a register. */
  protected register(register: number): number {
    return this.locals.registers[register] ?? 0
  }
}
