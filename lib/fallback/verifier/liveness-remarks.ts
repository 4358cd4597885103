/** What level 2 of the log tells before the first instruction: functions, and which registers are alive where. */
import type { Code } from './code.js'
import type { VerifierLog } from './log.js'
import { FRAME_POINTER } from './state.js'
import type { Subprogram } from './subprograms.js'

/** `func#1 @8` */
export function tellFunctions(log: VerifierLog, subprograms: readonly Subprogram[]): void {
  log.remark(...subprograms.map(({ index, start }) => `func#${index} @${start}`))
}

/** `  1   3: .1....6... (bf) r7 = r1`: the loop that an instruction is on, and registers that are alive before it. */
export function tellLiveRegisters(
  log: VerifierLog,
  code: Code,
  alive: Uint16Array,
  component: Int32Array,
): void {
  log.remark('Live regs before insn:')
  for (let insn = 0; insn < code.length; insn++) {
    const loop = component[insn] as number
    const registers = Array.from({ length: FRAME_POINTER }, (_, i) =>
      ((alive[insn] as number) & (1 << i)) === 0 ? '.' : `${i}`,
    ).join('')
    const place = `${(loop === 0 ? '' : `${loop}`).padStart(3)} ${`${insn}`.padStart(3)}`
    log.remark(`${place}: ${registers} ${log.instructionText(insn)}`)
    if (code.isWide(insn)) insn++
  }
}
