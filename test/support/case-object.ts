/** A case as an object file: how it comes to run. Its functions come behind the entry; global ones, and places in values, have no object. */
import { BtfBuilder } from '../../lib/btf/builder.js'
import type { BtfType } from '../../lib/btf/types.js'
import { R_BPF, SHF } from '../../lib/elf/types.js'
import { encode } from '../../lib/isa/instruction.js'
import { OP, PSEUDO_CALL, PSEUDO_LDDW } from '../../lib/isa/opcodes.js'
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
/** Linkage of a function. */
const STATIC = 0
/** Bytes in front of .BTF.ext, without the part on relocations. */
const EXT_HEADER = 24

/** Whether {@link caseObject} can write it. */
export function hasObject({ functions, btf, references, type }: CaseProgram): boolean {
  return (
    functions.slice(1).every(({ type: id }) => isStatic(btf?.types[id])) &&
    references.every(({ valueOffset }) => valueOffset === undefined) &&
    SECTIONS[programTypeName(type)] !== undefined
  )
}

const isStatic = (type: BtfType | undefined): boolean => type?.kind === 'func' && type.linkage === STATIC

/** The program's name is {@link RAW_PROGRAM}; its maps have their own. */
export function caseObject({
  instructions,
  type,
  maps,
  references,
  license,
  functions,
}: CaseProgram): Uint8Array {
  const elf = new ElfBuilder()
  elf.section({ name: 'license', data: new TextEncoder().encode(`${license}\0`) })
  const calls = instructions.flatMap(({ opcode, src, imm }, slot) =>
    opcode === OP.CALL && src === PSEUDO_CALL.LOCAL ? [{ slot, target: slot + 1 + imm }] : [],
  )
  const addresses = instructions.flatMap(({ opcode, src, imm }, slot) =>
    opcode === OP.LDDW && src === PSEUDO_LDDW.FUNC ? [{ slot, target: slot + 1 + imm }] : [],
  )
  const starts = [...new Set([...calls, ...addresses].map(({ target }) => target))].sort((a, b) => a - b)
  const end = starts[0] ?? instructions.length
  const relocated = new Set([...references, ...addresses].map(({ slot }) => slot))
  const linked = instructions.map((insn, slot) => {
    if (relocated.has(slot)) return { ...insn, src: 0, imm: 0 }
    return slot < end && calls.some((call) => call.slot === slot) ? { ...insn, imm: -1 } : insn
  })
  const section = SECTIONS[programTypeName(type)] ?? ''
  const entry = elf.code(section, encode(linked.slice(0, end)))
  elf.function(RAW_PROGRAM, entry, 0, end * 8)
  const text = starts.length === 0 ? entry : elf.code('.text', encode(linked.slice(end)))
  /** Where an instruction of the case lies. */
  const placeOf = (slot: number): readonly [section: number, offset: number] =>
    slot < end ? [entry, slot * 8] : [text, (slot - end) * 8]
  const relocate = (slot: number, symbol: number | undefined, kind: number): void => {
    const [where, offset] = placeOf(slot)
    elf.relocate(where, { offset, symbol: symbol ?? 0, type: kind })
  }
  const symbols = new Map(
    starts.map((start, i) => {
      const size = ((starts[i + 1] ?? instructions.length) - start) * 8
      return [start, elf.function(`sub${i}`, text, (start - end) * 8, size)]
    }),
  )
  for (const { slot, target } of calls.filter((call) => call.slot < end))
    relocate(slot, symbols.get(target), R_BPF.R_64_32)
  for (const { slot, target } of addresses) relocate(slot, symbols.get(target), R_BPF.R_64_64)
  if (maps.length === 0 && functions.length === 0) return elf.finish()
  const btf = new BtfBuilder()
  if (functions.length > 0) addFunctions(elf, btf, section, [0, ...starts.map((start) => placeOf(start)[1])])
  const variables = maps.length === 0 ? [] : addMaps(elf, btf, maps)
  elf.section({ name: '.BTF', flags: 0, data: btf.finish() })
  for (const { slot, map } of references) relocate(slot, variables[map], R_BPF.R_64_64)
  return elf.finish()
}

/**
 * What says that functions are static, as callbacks must be. Those are judged where they are called: what types they have is of no account.
 *
 * @param offsets of the entry in its section, then of each other one in .text
 */
function addFunctions(elf: ElfBuilder, btf: BtfBuilder, section: string, offsets: readonly number[]): void {
  const proto = btf.add({
    kind: 'func_proto',
    type: btf.int('int', 4, { signed: true }),
    params: [],
  })
  const infos = offsets.map((offset, i) => [
    offset,
    btf.add({
      kind: 'func',
      name: i === 0 ? RAW_PROGRAM : `sub${i - 1}`,
      type: proto,
      linkage: i === 0 ? 1 : STATIC,
    }),
  ])
  const [entry = [], ...others] = infos
  const words = [8, btf.string(section), 1, ...entry]
  if (others.length > 0) words.push(btf.string('.text'), others.length, ...others.flat())
  const size = words.length * 4
  const ext = [0xeb9f | (1 << 16), EXT_HEADER, 0, size, size, 0, ...words]
  elf.section({ name: '.BTF.ext', flags: 0, data: new Uint8Array(Uint32Array.from(ext).buffer) })
}

/** @returns the symbol of each */
function addMaps(elf: ElfBuilder, btf: BtfBuilder, maps: readonly ProgramMap[]): readonly number[] {
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
  let at = 0
  return definitions.map(({ name, size }) => {
    const symbol = elf.symbol({ name, section, value: at, size, type: 1 })
    at += size
    return symbol
  })
}
