/** What a verdict lets an engine leave out. */
import type { Instruction } from '../../isa/instruction.js'
import { CLASS, OP, PSEUDO_CALL } from '../../isa/opcodes.js'
import type { Verdict } from '../verifier/verify.js'
import type { Proof } from '../vm/types.js'

/**
 * Only slots are kept of the verdict, which holds all that was explored.
 *
 * @param fuel instructions that a run may take: the proof says that it ends only if it ends within them
 */
export function proofOf(
  instructions: readonly Instruction[],
  verdict: Pick<Verdict, 'proven' | 'terminates' | 'insnsProcessed'>,
  fuel: number,
): Proof {
  const proven = new Uint8Array(instructions.length)
  let provesAll = true
  for (let slot = 0; slot < proven.length; slot++) {
    if (verdict.proven(slot)) proven[slot] = 1
    else if (needsProof(instructions[slot] as Instruction, instructions[slot - 1])) provesAll = false
  }
  const loopsEnd = verdict.insnsProcessed <= fuel
  const terminates = verdict.terminates && loopsEnd
  return { isProven: (slot) => proven[slot] === 1, provesAll, terminates, loopsEnd }
}

/** Loads, stores, and helpers: look-ups that are compiled in read their keys. */
function needsProof({ opcode, src }: Instruction, before: Instruction | undefined): boolean {
  if (before?.opcode === OP.LDDW) return false
  switch (opcode & 7) {
    case CLASS.LDX:
    case CLASS.ST:
    case CLASS.STX:
      return true
    default:
      return opcode === OP.CALL && src === PSEUDO_CALL.HELPER
  }
}
