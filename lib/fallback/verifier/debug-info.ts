/** func_info and line_info, which name functions and lines of a program's instructions: in order, complete, and of what exists. */
import type { Code } from './code.js'
import type { DebugInfo, LineRecord } from './program.js'
import { invalid } from './rejection.js'
import type { Subprogram } from './subprograms.js'

/** Before functions are looked for: the records by themselves. */
export function checkFunctionRecords({ functions, btf }: DebugInfo): void {
  let previous = -1
  for (const { insn, type } of functions) {
    if (previous < 0 && insn !== 0) invalid(`nonzero insn_off ${insn} for the first func info record`)
    if (previous >= 0 && insn <= previous)
      invalid(`same or smaller insn offset (${insn}) than previous func info record (${previous})`)
    const known = btf.types[type]
    if (known?.kind !== 'func') invalid(`invalid type id ${type} in func info`)
    previous = insn
  }
}

/** Once functions are known: each has its record, and its line. */
export function checkDebugInfo(
  { functions, lines }: DebugInfo,
  subprograms: readonly Subprogram[],
  code: Code,
): void {
  if (functions.length > 0) {
    if (functions.length !== subprograms.length)
      invalid("number of funcs in func_info doesn't match number of subprogs")
    if (functions.some(({ insn }, i) => insn !== subprograms[i]?.start))
      invalid("func_info BTF section doesn't match subprog layout in BPF program")
  }
  if (lines.length > 0) checkLines(lines, subprograms, code)
}

function checkLines(lines: readonly LineRecord[], subprograms: readonly Subprogram[], code: Code): void {
  let previous = 0
  let found = 0
  lines.forEach(({ insn }, i) => {
    if ((i > 0 && insn <= previous) || insn >= code.length)
      invalid(`Invalid line_info[${i}].insn_off:${insn} (prev_offset:${previous} prog->len:${code.length})`)
    if (code.opcode[insn] === 0) invalid(`Invalid insn code at line_info[${i}].insn_off`)
    const subprogram = subprograms[found]
    if (subprogram?.start === insn) found++
    else if (subprogram !== undefined && subprogram.start < insn)
      invalid(`missing bpf_line_info for func#${found}`)
    previous = insn
  })
  if (found < subprograms.length)
    invalid(`missing bpf_line_info for ${subprograms.length - found} funcs starting from func#${found}`)
}
