/** A case as an object file: how it comes to run. Its functions come behind the entry; callbacks, and places in values, have no object. */
import { BtfBuilder } from '../../lib/btf/builder.js'
import { R_BPF, SHF } from '../../lib/elf/types.js'
import { encode } from '../../lib/isa/instruction.js'
import { OP, PSEUDO_CALL } from '../../lib/isa/opcodes.js'
import { programTypeName } from '../../lib/linux/program-types.js'
import type { CaseProgram, ProgramMap } from '../verifier/case-program.js'
import { ElfBuilder } from './elf-builder.js'
import { RAW_PROGRAM } from './raw-object.js'

/** Of the types that run on demand in the fallback kernel. */
const SECTIONS: Readonly<Record<string, string>> = {
  syscall: 'syscall',
  socket_filter: 'socket',
  sched_cls: 'tc',
  xdp: 'xdp',
}
const MEMBER = 8

/** Whether {@link caseObject} can write it. */
export function hasObject({ functions, references, type }: CaseProgram): boolean {
  return (
    functions.length === 0 &&
    references.every(({ valueOffset }) => valueOffset === undefined) &&
    SECTIONS[programTypeName(type)] !== undefined
  )
}

/** The program's name is {@link RAW_PROGRAM}; its maps have their own. */
export function caseObject({ instructions, type, maps, references, license }: CaseProgram): Uint8Array {
  const elf = new ElfBuilder()
  elf.section({ name: 'license', data: new TextEncoder().encode(`${license}\0`) })
  const calls = instructions.flatMap(({ opcode, src, imm }, slot) =>
    opcode === OP.CALL && src === PSEUDO_CALL.LOCAL ? [{ slot, target: slot + 1 + imm }] : [],
  )
  const starts = [...new Set(calls.map(({ target }) => target))].sort((a, b) => a - b)
  const end = starts[0] ?? instructions.length
  const mapSlots = new Set(references.map(({ slot }) => slot))
  const linked = instructions.map((insn, slot) => {
    if (mapSlots.has(slot)) return { ...insn, src: 0, imm: 0 }
    return slot < end && calls.some((call) => call.slot === slot) ? { ...insn, imm: -1 } : insn
  })
  const entry = elf.code(SECTIONS[programTypeName(type)] ?? '', encode(linked.slice(0, end)))
  elf.function(RAW_PROGRAM, entry, 0, end * 8)
  const text = starts.length === 0 ? undefined : elf.code('.text', encode(linked.slice(end)))
  const symbols = new Map(
    starts.map((start, i) => {
      const size = ((starts[i + 1] ?? instructions.length) - start) * 8
      return [start, elf.function(`sub${i}`, text ?? 0, (start - end) * 8, size)]
    }),
  )
  for (const { slot, target } of calls.filter((call) => call.slot < end))
    elf.relocate(entry, { offset: slot * 8, symbol: symbols.get(target) ?? 0, type: R_BPF.R_64_32 })
  if (maps.length === 0) return elf.finish()
  const variables = addMaps(elf, maps)
  for (const { slot, map } of references) {
    const [section, offset] = slot < end || text === undefined ? [entry, slot] : [text, slot - end]
    elf.relocate(section, { offset: offset * 8, symbol: variables[map] ?? 0, type: R_BPF.R_64_64 })
  }
  return elf.finish()
}

/** @returns the symbol of each */
function addMaps(elf: ElfBuilder, maps: readonly ProgramMap[]): readonly number[] {
  const btf = new BtfBuilder()
  const int = btf.int('int', 4, { signed: true })
  const definitions = maps.map((map) => {
    const fields = Object.entries({
      type: map.type,
      max_entries: map.maxEntries,
      map_flags: map.flags,
      ...(map.keySize > 0 && { key_size: map.keySize }),
      ...(map.valueSize > 0 && { value_size: map.valueSize }),
    })
    const members = fields.map(
      ([name, value], i) => [name, btf.ptr(btf.array(int, value)), i * MEMBER] as const,
    )
    const size = fields.length * MEMBER
    const struct = btf.struct('', members, size)
    const variable = btf.add({ kind: 'var', name: map.name, type: struct, linkage: 1 })
    return { name: map.name, size, variable }
  })
  const total = definitions.reduce((sum, { size }) => sum + size, 0)
  const section = elf.section({ name: '.maps', flags: SHF.ALLOC | SHF.WRITE, data: new Uint8Array(total) })
  btf.add({
    kind: 'datasec',
    name: '.maps',
    size: 0,
    variables: definitions.map(({ variable, size }) => ({ type: variable, offset: 0, size })),
  })
  elf.section({ name: '.BTF', flags: 0, data: btf.finish() })
  let at = 0
  return definitions.map(({ name, size }) => {
    const symbol = elf.symbol({ name, section, value: at, size, type: 1 })
    at += size
    return symbol
  })
}
