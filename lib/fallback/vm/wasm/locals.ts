/** The local variables of a compiled function: BPF's registers, and what checks and counters need. */
import type { CodeBuffer } from './code-buffer.js'
import { TYPE } from './opcodes.js'

/** r1…r5, as a mask of register numbers. */
export const ARGUMENTS = 0b111110
const REGISTERS = 11
const FRAME_POINTER = 10

/** What arithmetic takes. */
export type LeafLocals = Pick<Locals, 'registers' | 'loops' | 'address'>

export class Locals {
  /** Index of each register's local. */
  readonly registers: readonly number[]
  /** i32, the last parameter: frames below this one. */
  readonly depth: number
  /** i64, scratch. */
  readonly wide: number
  readonly wide2: number
  /** i64: instructions left. */
  readonly fuel: number
  /** i64 each, by register: what was added to an address that is known. */
  readonly indices: number
  /** i64: granules of the memory. */
  readonly granules: number
  /** i32: address of the stack's first byte. */
  readonly stack: number
  /** i32: where the shadow starts. */
  readonly shadow: number
  /** i32, scratch. */
  readonly address: number
  /** i32: passes of may_goto that are left. */
  readonly loops: number
  /** i32: passes of bpf_loop, done and in all. */
  readonly index: number
  readonly count: number
  /** i32 each: where dispatchers lead, from the first one on. */
  readonly choices: number
  /** i64 each: places of the stack, see stack-slots.ts. */
  readonly places: number
  /** i64 each: registers of leaves that are written in place of calls; empty: there are none. */
  readonly leaf: readonly number[]
  readonly #placeCount: number
  readonly #narrowCount: number
  readonly #wideCount: number

  /** i32, the first parameter of a part: where it starts. */
  readonly entry: number

  /** @param isPart of a function that was split: it is passed where to start, and no registers */
  static ofPart(dispatchers: number): Locals {
    return new Locals(0, dispatchers, 0, false, true)
  }

  /** @param parameters mask of the registers that are passed, in ascending order; @param dispatchers, places how many the function has */
  constructor(parameters: number, dispatchers: number, places = 0, callsLeaves = false, isPart = false) {
    const registers: number[] = []
    let next = isPart ? 1 : 0
    this.entry = 0
    for (let r = 0; r < REGISTERS; r++) if (((parameters >> r) & 1) === 1) registers[r] = next++
    this.depth = next++
    const first = next
    for (let r = 0; r < REGISTERS; r++) if (((parameters >> r) & 1) === 0) registers[r] = next++
    this.registers = registers
    this.wide = next++
    this.wide2 = next++
    this.fuel = next++
    this.granules = next++
    this.indices = next
    next += REGISTERS
    this.#wideCount = next - first
    this.stack = next++
    this.shadow = next++
    this.address = next++
    this.loops = next++
    this.index = next++
    this.count = next++
    this.choices = next
    this.#narrowCount = next - this.stack + dispatchers
    this.places = next + dispatchers
    const leaf = callsLeaves ? FRAME_POINTER : 0
    this.leaf = Array.from({ length: leaf }, (_, r) => this.places + places + r)
    this.#placeCount = places + leaf
  }

  /** The same, but for the registers: those of a leaf. */
  ofLeaf(): LeafLocals {
    const { loops, address, leaf } = this
    return { registers: leaf, loops, address }
  }

  declare(out: CodeBuffer): void {
    out.unsigned(this.#placeCount > 0 ? 3 : 2)
    out.unsigned(this.#wideCount)
    out.byte(TYPE.I64)
    out.unsigned(this.#narrowCount)
    out.byte(TYPE.I32)
    if (this.#placeCount === 0) return
    out.unsigned(this.#placeCount)
    out.byte(TYPE.I64)
  }
}

/** How many bits of a mask are set. */
export function countOf(mask: number): number {
  let count = 0
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++
  return count
}
