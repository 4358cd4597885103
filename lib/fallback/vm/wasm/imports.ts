/** What a compiled program calls in JavaScript. All parameters are i32: 64-bit values go in halves, low half first. */
import { CLASS, OP } from '../../../isa/opcodes.js'
import { helperArity } from '../../../linux/helper-prototypes.js'
import { kfuncArity } from '../../kfunc-ids.js'
import { TAIL_CALL_HELPER } from '../predecode.js'
import { CALL_REGISTER_OPCODE, isPacketLoad } from '../slots.js'
import type { Slots } from '../slots.js'

export const LOOP_HELPER = 181

/**
 * Functions that modules import, in this order; the helpers come behind them. A module that needs none of the rare ones does without them all:
 * an engine makes code for each type of import, which takes longer than a short program's own.
 */
export const IMPORT = {
  /**
   * (slot, low, high, size, rights) -> i32: 0, or 1 where it isn't to be done in place: what a load gives is in RESULT then, and a store, whose value was in
   * RESULT, is done. Throws for a bad address.
   */
  FAULT: 0,
  /** (slot): throws for an instruction that can't be run. */
  STOP: 1,
  /** (slot): throws, as fuel ran out. */
  OUT_OF_FUEL: 2,
  /** (slot): throws, as there are too many frames. */
  TOO_DEEP: 3,
  /** (slot): runs the rest of a function in the interpreter, on the registers in the engine's block; r0 is in RESULT then. */
  GO_ON: 4,
  /** Rare, as all that follow. (slot, size): throws for an atomic operation that doesn't exist. */
  BAD_ATOMIC: 5,
  /** (r1, r2, r3) -> i32: whether another program ran in place of the function. */
  TAIL_CALL: 6,
  /** (slot, r6, offset, size) -> i32: whether the packet had the bytes, which are in RESULT then. */
  PACKET: 7,
  /** (slot, id, r1 … r5) -> i32: a helper whose id comes in a register. As helpers do, it gives the low half of r0, the high half in RESULT. */
  CALL_BY_ID: 8,
  /** (slot, r0): throws for what a callback of bpf_loop may not answer. */
  BAD_CALLBACK: 9,
} as const

type ImportType = readonly [parameters: number, result: boolean]

/** Parameters of each, and whether it gives an i32. */
const IMPORT_TYPES: readonly ImportType[] = [
  [5, true],
  [1, false],
  [1, false],
  [1, false],
  [1, false],
  [2, false],
  [6, true],
  [5, true],
  [13, true],
  [3, false],
]

/** What a program imports beside helpers. */
export function importTypesOf(slots: Slots): readonly ImportType[] {
  for (let slot = 0; slot < slots.count; slot++) if (needsRareImport(slots, slot)) return IMPORT_TYPES
  return IMPORT_TYPES.slice(0, IMPORT.BAD_ATOMIC)
}

function needsRareImport(slots: Slots, slot: number): boolean {
  const opcode = slots.opcode(slot)
  if (opcode === OP.CALL) return slots.imm(slot) === TAIL_CALL_HELPER || slots.imm(slot) === LOOP_HELPER
  const isAtomic = (opcode & 7) === CLASS.STX && (opcode & 0xe0) === 0xc0
  return isAtomic || opcode === CALL_REGISTER_OPCODE || isPacketLoad(opcode)
}

export const MOST_ARGUMENTS = 5

/** Arguments that are passed to one of Linux's helpers. */
export function arityOf(helper: number): number {
  return helperArity(helper) ?? kfuncArity(helper) ?? MOST_ARGUMENTS
}
