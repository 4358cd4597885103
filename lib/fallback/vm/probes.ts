/**
 * Probes: how a debugger looks into the interpreter, at no cost where it doesn't.
 *
 * As a debugger of machine code does, it puts an operation of its own in the place of an instruction's. The instruction itself runs elsewhere: behind the
 * program's words each slot has a stub of three, a copy of the instruction and two jumps back, to the slot behind it and the one behind that (a 64-bit
 * load skips one). So the interpreter's loop knows nothing of it but the jump to the stub.
 */
import { OP } from '../../isa/opcodes.js'
import { VARIANT, WORDS } from './predecode.js'

const STUB_SLOTS = 3
const STUB = STUB_SLOTS * WORDS

export interface ProbeListener {
  /** Before the instruction in this slot runs. May throw to end the program. */
  reached(slot: number): void
  /** The outermost run is over, in whatever way. */
  ended(): void
}

export class Probes {
  /** The program's words, with stubs behind them. */
  readonly words: Int32Array
  /** Where the stubs start. */
  readonly #stubs: number
  #listener: ProbeListener | undefined

  /** @param words of the predecoded program, with one slot behind its end */
  constructor(words: Int32Array) {
    const slots = words.length / WORDS
    this.#stubs = words.length
    this.words = new Int32Array(words.length + slots * STUB)
    this.words.set(words)
    for (let slot = 0; slot < slots; slot++) {
      const stub = this.#stubs + slot * STUB
      this.words.copyWithin(stub, slot * WORDS, (slot + 1) * WORDS)
      for (const skipped of [1, 2])
        this.words.set([OP.JA, 0, 0, Math.min(slot + skipped, slots - 1) * WORDS], stub + skipped * WORDS)
    }
  }

  listen(listener: ProbeListener | undefined): void {
    this.#listener = listener
  }

  /** Sets probes at exactly the slots for which `wanted` says so. */
  arm(wanted: (slot: number) => boolean): void {
    for (let slot = 0; slot * WORDS < this.#stubs; slot++)
      this.words[slot * WORDS] = wanted(slot) ? VARIANT.PROBE : (this.words[this.#stubs + slot * STUB] ?? 0)
  }

  /** The slot to which a word belongs, in the program or in a stub. */
  slotOf(pc: number): number {
    const inStub = pc - this.#stubs
    if (inStub < 0) return pc / WORDS
    return Math.floor(inStub / STUB) + Math.floor((inStub % STUB) / WORDS)
  }

  /** @param pc word index of the probe that was reached @returns that of the instruction */
  hit(pc: number): number {
    const slot = pc / WORDS
    const stub = this.#stubs + slot * STUB
    // What stands in the second half of a 64-bit load, or behind the end, is no instruction: it traps.
    if (this.words[stub] !== VARIANT.TRAP) this.#listener?.reached(slot)
    return stub
  }

  ended(): void {
    this.#listener?.ended()
  }
}
