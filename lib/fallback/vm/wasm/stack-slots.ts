/**
 * Places of a function's stack that need not be in memory: compilers spill registers there, and WebAssembly's own compiler has better places for them.
 * They are those of functions that use r10 for nothing but to load and store at fixed distances; each place always as a whole.
 */
import { CLASS } from '../../../isa/opcodes.js'
import { STACK_SIZE } from '../frames.js'
import type { FlowGraph } from './flow-graph.js'
import type { Slots } from '../slots.js'

const FRAME_POINTER = 10
const ATOMIC_MODE = 0xc0
const MODE = 0xe0
/** By the size bits of an opcode. */
const BYTES = [4, 2, 1, 8] as const

/** Number of a place, by its distance from the frame pointer. */
export type StackSlots = ReadonlyMap<number, number>

const NONE: StackSlots = new Map()

/** @returns none if an address in the stack is made */
export function stackSlots(slots: Slots, graph: FlowGraph): StackSlots {
  /** By byte: the distance of the last access to it; 0: there was none. */
  const owner = new Int16Array(STACK_SIZE)
  const sizes = new Map<number, number>()
  const mixed = new Set<number>()
  for (let b = 0; b < graph.count; b++) {
    const end = graph.end[b] ?? 0
    for (let slot = graph.start[b] ?? 0; slot < end; slot += slots.length(slot)) {
      const opcode = slots.opcode(slot)
      const klass = opcode & 7
      const isLoad = klass === CLASS.LDX
      const isStore = klass === CLASS.ST || klass === CLASS.STX
      const base = isLoad ? slots.src(slot) : slots.dst(slot)
      const other = isLoad ? slots.dst(slot) : klass === CLASS.ST ? 0 : slots.src(slot)
      if (other === FRAME_POINTER) return NONE
      if (base !== FRAME_POINTER) continue
      const size = BYTES[(opcode >> 3) & 3] ?? 8
      const offset = slots.offset(slot)
      const isAtomic = klass === CLASS.STX && (opcode & MODE) === ATOMIC_MODE
      if (!(isLoad || isStore) || isAtomic || offset < -STACK_SIZE || offset + size > 0) return NONE
      if ((sizes.get(offset) ?? size) !== size) mixed.add(offset)
      sizes.set(offset, Math.max(size, sizes.get(offset) ?? 0))
      for (let byte = offset + STACK_SIZE; byte < offset + size + STACK_SIZE; byte++) {
        const known = owner[byte] ?? 0
        if (known !== 0 && known !== offset) mixed.add(known).add(offset)
        owner[byte] = offset
      }
    }
  }
  const found = new Map<number, number>()
  for (const offset of sizes.keys()) if (!mixed.has(offset)) found.set(offset, found.size)
  return found
}
