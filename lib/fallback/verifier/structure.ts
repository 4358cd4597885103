/**
 * The verifier's first passes: is this a program at all?
 *
 * In Linux's order (kernel/bpf/verifier.c of 6.18): functions and jump ranges, encodings, the control-flow graph, and
 * then, for instructions that can be reached, reserved fields, registers, helpers and their licences. What is refused
 * here Linux refuses too, with the same words and errno; the verdict on values, pointers and types is not this pass's.
 */
import { unsupported } from '../../errors.js'
import { decode } from '../../isa/instruction.js'
import type { Instruction } from '../../isa/instruction.js'
import { CLASS, OP, PSEUDO_CALL, PSEUDO_LDDW, opcodeInfo } from '../../isa/opcodes.js'
import type { LineInfo } from '../../object-file/types.js'
import { checkInstructions } from './instructions.js'
import { reachableInstructions } from './reachability.js'
import { E2BIG, EINVAL, opcodeText, rejection } from './reject.js'
import type { VerifiedProgram } from './reject.js'

/** BPF_COMPLEXITY_LIMIT_INSNS of Linux: a privileged program is no longer. */
export const MAX_INSTRUCTIONS = 1_000_000

export interface StructureInput {
  readonly name: string
  /** Whole program: entry function first, then each sub-program that it reaches. */
  readonly code: Uint8Array
  /** Slots at which functions start; those of calls are found without. */
  readonly functions: readonly { readonly name: string; readonly start: number }[]
  /** BPF_PROG_TYPE_*. */
  readonly programType: number
  readonly license: string
  /** By byte offset into `code`, ascending. */
  readonly lines: readonly LineInfo[]
}

/**
 * Throws if Linux surely refuses the program for its form.
 *
 * @throws BpfError VERIFIER_REJECTED with `verifier` and `errno`; UNSUPPORTED for what Linux may accept and the fallback
 *         doesn't have (kfuncs, helpers of program types whose sets aren't known); BAD_OBJECT if the code is no multiple
 *         of 8 bytes
 */
export function verifyStructure(input: StructureInput): void {
  const instructions = decode(input.code)
  const program: VerifiedProgram = { ...input, instructions }
  if (instructions.length === 0) throw rejection(program, E2BIG, 'the program has no instructions')
  if (instructions.length > MAX_INSTRUCTIONS)
    throw rejection(
      program,
      E2BIG,
      `the program has ${instructions.length} instructions, more than ${MAX_INSTRUCTIONS}`,
    )
  const starts = findFunctions(program)
  checkJumps(program, starts)
  checkEncodings(program)
  checkControlFlow(program)
  checkInstructions(program, starts, reachableInstructions(instructions, starts))
}

/** Slots at which functions start, ascending: wherever a call or the address of a function leads. */
function findFunctions(program: VerifiedProgram): number[] {
  const starts = new Set([0])
  program.instructions.forEach((insn, slot) => {
    const call = insn.opcode === OP.CALL
    if (call && insn.src === PSEUDO_CALL.KFUNC)
      throw unsupported(
        `kernel function (kfunc) with BTF id ${insn.imm}`,
        `Program '${program.name}' calls it at insn ${slot}`,
      )
    const address = insn.opcode === OP.LDDW && insn.src === PSEUDO_LDDW.FUNC
    if (!address && !(call && insn.src === PSEUDO_CALL.LOCAL)) return
    const target = slot + 1 + insn.imm
    if (target < 0 || target >= program.instructions.length)
      throw rejection(program, EINVAL, 'call to invalid destination', { insn: slot })
    starts.add(target)
  })
  return [...starts].sort((a, b) => a - b)
}

function checkJumps(program: VerifiedProgram, starts: readonly number[]): void {
  const { instructions } = program
  starts.forEach((start, i) => {
    const end = starts[i + 1] ?? instructions.length
    for (let slot = start; slot < end; slot++) {
      const insn = instructions[slot]
      if (insn === undefined) break
      if (isJump(insn)) {
        const target = jumpTarget(insn, slot)
        if (target < start || target >= end)
          throw rejection(program, EINVAL, `jump out of range from insn ${slot} to ${target}`, { insn: slot })
      }
      if (slot === end - 1 && insn.opcode !== OP.EXIT && insn.opcode !== OP.JA && insn.opcode !== OP.JA32)
        throw rejection(program, EINVAL, 'last insn is not an exit or jmp', { insn: slot })
    }
  })
}

function checkEncodings(program: VerifiedProgram): void {
  const { instructions } = program
  for (let slot = 0; slot < instructions.length; slot++) {
    const insn = instructions[slot]
    if (insn === undefined) break
    const problem = encodingProblem(insn, instructions[slot + 1])
    if (problem !== undefined) throw rejection(program, EINVAL, problem, { insn: slot })
    if (insn.opcode === OP.LDDW) slot++
  }
}

function encodingProblem(insn: Instruction, second: Instruction | undefined): string | undefined {
  const info = opcodeInfo(insn.opcode)
  // Linux looks at loads before it asks whether there is such an opcode.
  if ((insn.opcode & 7) === CLASS.LDX && (info === undefined || insn.imm !== 0)) {
    const mode = insn.opcode & 0xe0
    if (insn.imm !== 0 || (mode !== 0x60 && mode !== 0x80)) return 'BPF_LDX uses reserved fields'
  }
  if (info === undefined) return `unknown opcode ${opcodeText(insn.opcode)}`
  if (insn.opcode !== OP.LDDW) return undefined
  if (
    second === undefined ||
    second.opcode !== 0 ||
    second.dst !== 0 ||
    second.src !== 0 ||
    second.offset !== 0
  )
    return 'invalid bpf_ld_imm64 insn'
  const index = insn.src === PSEUDO_LDDW.MAP_FD || insn.src === PSEUDO_LDDW.MAP_IDX
  if (insn.src > PSEUDO_LDDW.MAP_IDX_VALUE || (index && second.imm !== 0))
    return 'unrecognized bpf_ld_imm64 insn'
  return undefined
}

/** Every instruction must be reachable along some edge of the graph, and none may be half of another. */
function checkControlFlow(program: VerifiedProgram): void {
  const { instructions } = program
  const seen = new Uint8Array(instructions.length)
  const pending = [0]
  for (let slot = pending.pop(); slot !== undefined; slot = pending.pop()) {
    const insn = instructions[slot]
    if (insn === undefined || seen[slot] === 1) continue
    seen[slot] = 1
    const info = opcodeInfo(insn.opcode)
    switch (info?.kind) {
      case 'exit':
        break
      case 'ja':
        pending.push(jumpTarget(insn, slot))
        break
      case 'jump':
      case 'may_goto':
        pending.push(slot + 1, jumpTarget(insn, slot))
        break
      case 'lddw':
        pending.push(slot + 2)
        if (insn.src === PSEUDO_LDDW.FUNC) pending.push(slot + 1 + insn.imm)
        break
      case 'call':
        pending.push(slot + 1)
        if (insn.src === PSEUDO_CALL.LOCAL) pending.push(slot + 1 + insn.imm)
        break
      default:
        pending.push(slot + 1)
    }
  }
  for (let slot = 0; slot < instructions.length; slot++) {
    if (seen[slot] !== 1) throw rejection(program, EINVAL, `unreachable insn ${slot}`, { insn: slot })
    if (instructions[slot]?.opcode !== OP.LDDW) continue
    if (seen[slot + 1] === 1)
      throw rejection(program, EINVAL, `jump into the middle of ldimm64 insn ${slot}`, { insn: slot })
    slot++
  }
}

/** All of class JMP and JMP32 save calls and exits, whether or not there is such an opcode. */
function isJump({ opcode }: Instruction): boolean {
  const klass = opcode & 7
  const operation = opcode & 0xf0
  return (klass === CLASS.JMP || klass === CLASS.JMP32) && operation !== 0x80 && operation !== 0x90
}

/** The slot that a jump leads to. */
export function jumpTarget(insn: Instruction, slot: number): number {
  return slot + 1 + (insn.opcode === OP.JA32 ? insn.imm : insn.offset)
}
