/** What a verdict lets an engine leave out. */
import { SLOT } from '../../isa/instruction.js'
import { CLASS, OP, PSEUDO_CALL } from '../../isa/opcodes.js'
import type { Verdict } from '../verifier/verify.js'
import type { Proof } from '../vm/types.js'

/**
 * Only slots are kept of the verdict, which holds all that was explored.
 *
 * @param fuel instructions that a run may take: the proof says that it ends only if it ends within them
 */
export function proofOf(
  code: Uint8Array,
  verdict: Pick<Verdict, 'proven' | 'terminates' | 'insnsProcessed'>,
  fuel: number,
): Proof {
  const proven = new Uint8Array(code.length / SLOT)
  let provesAll = true
  for (let slot = 0; slot < proven.length; slot++) {
    if (verdict.proven(slot)) proven[slot] = 1
    else if (needsProof(code, slot * SLOT)) provesAll = false
  }
  const loopsEnd = verdict.insnsProcessed <= fuel
  const terminates = verdict.terminates && loopsEnd
  const longestRun = verdict.terminates ? verdict.insnsProcessed : undefined
  return { isProven: (slot) => proven[slot] === 1, longestRun, provesAll, terminates, loopsEnd }
}

/** Loads, stores, and helpers: look-ups that are compiled in read their keys. */
function needsProof(code: Uint8Array, at: number): boolean {
  if (code[at - SLOT] === OP.LDDW) return false
  const opcode = code[at] as number
  switch (opcode & 7) {
    case CLASS.LDX:
    case CLASS.ST:
    case CLASS.STX:
      return true
    default:
      return opcode === OP.CALL && (code[at + 1] as number) >> 4 === PSEUDO_CALL.HELPER
  }
}
