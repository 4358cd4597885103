/**
 * The source line behind an instruction, from the object file. Kernels since 6.10 print file and line themselves; those before
 * tell the instruction only.
 */
import type { SourcePosition } from '../errors.js'
import type { ProgramDefinition } from '../object-file/types.js'

/**
 * @param programs  of the object file
 * @param name      of the program that was refused
 * @param insn      number of the instruction, as the verifier counts: libbpf puts sub-programs behind the program's own code
 * @returns undefined without line information, and in a sub-program
 */
export function sourceLine(
  programs: readonly ProgramDefinition[],
  name: string,
  insn: number,
): SourcePosition | undefined {
  const code = programs.find((program) => program.name === name)?.code
  const offset = insn * 8
  if (code === undefined || offset >= code.code.length) return undefined
  const found = code.lines.findLast((line) => line.offset <= offset)
  if (found === undefined) return undefined
  const { file, line, column, text } = found
  // Without folders, as the kernel prints it.
  return { file: file.replace(/^.*\//, ''), line, column, text: text.trim() }
}
