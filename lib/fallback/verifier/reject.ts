/** How a refused program is reported. */
import { BpfError } from '../../errors.js'
import type { SourcePosition, VerifierReport } from '../../errors.js'
import { disassemble } from '../../isa/disassemble.js'
import { SLOT } from '../../isa/instruction.js'
import type { Instruction } from '../../isa/instruction.js'
import type { LineInfo } from '../../object-file/types.js'

/** What a verifier stage knows of the program it looks at. */
interface VerifiedProgram {
  readonly name: string
  readonly instructions: readonly Instruction[]
  /** BPF_PROG_TYPE_*. */
  readonly programType: number
  readonly license: string
  readonly lines: readonly LineInfo[]
}

interface RejectOptions {
  /** The instruction that is to blame, if one is. */
  readonly insn?: number
  /** Linux has already begun to simulate it: its log shows the instruction. */
  readonly simulated?: boolean
  readonly hint?: string
  /** Line of the log before the deciding one. */
  readonly detail?: string
}

/** The error for a refused program; `summary` is Linux's wording. */
export function rejection(
  program: VerifiedProgram,
  errno: number,
  summary: string,
  options: RejectOptions = {},
): BpfError {
  const { insn, simulated = false, hint, detail } = options
  const source = insn === undefined ? undefined : sourceOf(program.lines, insn)
  const log: string[] = []
  if (insn !== undefined && simulated) {
    if (source !== undefined) log.push(`; ${source.text.trim()} @ ${source.file}:${source.line}`)
    const instruction = program.instructions[insn]
    if (instruction !== undefined)
      log.push(
        `${insn}: (${opcodeText(instruction.opcode)}) ${disassemble(instruction, program.instructions[insn + 1])}`,
      )
  }
  if (detail !== undefined) log.push(detail)
  log.push(summary)
  const verifier: VerifierReport = {
    summary,
    log: `${log.join('\n')}\n`,
    program: program.name,
    ...(insn === undefined ? {} : { insn }),
    ...(source === undefined ? {} : { source }),
  }
  const where = source === undefined ? '' : ` (${source.file}:${source.line}: ${source.text.trim()})`
  return new BpfError('VERIFIER_REJECTED', `program '${program.name}' was refused: ${summary}${where}`, {
    errno,
    call: 'bpf(BPF_PROG_LOAD)',
    verifier,
    ...(hint === undefined ? {} : { hint }),
  })
}

function opcodeText(opcode: number): string {
  return opcode.toString(16).padStart(2, '0')
}

function sourceOf(lines: readonly LineInfo[], slot: number): SourcePosition | undefined {
  let found: LineInfo | undefined
  for (const line of lines) {
    if (line.offset > slot * SLOT) break
    found = line
  }
  return found && { file: found.file, line: found.line, column: found.column, text: found.text }
}
