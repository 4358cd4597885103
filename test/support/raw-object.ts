/** Instructions as an object file: how raw programs get into a kernel. */
import { R_BPF, STT } from '../../lib/elf/types.js'
import { encode } from '../../lib/isa/instruction.js'
import type { Instruction } from '../../lib/isa/instruction.js'
import { OP, PSEUDO_CALL } from '../../lib/isa/opcodes.js'
import { ElfBuilder } from './elf-builder.js'

/** Name of the program in {@link rawObject}. */
export const RAW_PROGRAM = 'raw'

/**
 * An object with one program. Its functions come first to last: the entry, then those that are called with distances.
 *
 * @param section its SEC() name, which tells the program type
 */
export function rawObject(instructions: readonly Instruction[], section = 'syscall'): Uint8Array {
  const elf = new ElfBuilder()
  elf.section({ name: 'license', data: new TextEncoder().encode('GPL\0') })
  const calls = instructions.flatMap(({ opcode, src, imm }, slot) =>
    opcode === OP.CALL && src === PSEUDO_CALL.LOCAL ? [{ slot, target: slot + 1 + imm }] : [],
  )
  const starts = [...new Set(calls.map(({ target }) => target))].sort((a, b) => a - b)
  const end = starts[0] ?? instructions.length
  const linked = instructions.map((insn, slot) =>
    calls.some((call) => call.slot === slot && slot < end) ? { ...insn, imm: -1 } : insn,
  )
  const entry = elf.code(section, encode(linked.slice(0, end)))
  elf.function(RAW_PROGRAM, entry, 0, end * 8)
  if (starts.length === 0) return elf.finish()
  const text = elf.code('.text', encode(linked.slice(end)))
  const symbols = new Map(
    starts.map((start, i) => {
      const size = (starts[i + 1] ?? instructions.length) - start
      const symbol = {
        name: `sub${i}`,
        section: text,
        value: (start - end) * 8,
        size: size * 8,
        type: STT.FUNC,
      }
      return [start, elf.symbol(symbol)]
    }),
  )
  for (const { slot, target } of calls.filter((call) => call.slot < end))
    elf.relocate(entry, { offset: slot * 8, symbol: symbols.get(target) ?? 0, type: R_BPF.R_64_32 })
  return elf.finish()
}
