/**
 * Completes DATASECs. A compiler leaves the size of a section and the offsets of its global variables to the linker; as
 * BPF objects are loaded without being linked, a loader has to fill them in from sections and symbols, as libbpf does.
 */
import { sizeOf } from '../btf/query.js'
import type { Btf, BtfType, BtfVarSecInfo } from '../btf/types.js'
import { STB, STT, STV } from '../elf/types.js'
import type { ElfFile, ElfSection, ElfSymbol } from '../elf/types.js'
import { badObject } from './context.js'
import type { DataSection } from './context.js'

/** Sections of externs: they exist in BTF only. */
const VIRTUAL_SECTIONS: ReadonlySet<string> = new Set(['.kconfig', '.ksyms'])
const VAR_STATIC = 0

/** The same BTF with complete DATASECs, their variables by ascending offset. `bytes` stays what the file says. */
export function completeDataSections(btf: Btf, elf: ElfFile): Btf {
  const types: BtfType[] = [...btf.types]
  const seen = new Set<string>()
  const scope: Scope = {
    btf,
    sections: new Map(elf.sections.filter(({ size }) => size > 0).map((section) => [section.name, section])),
    symbols: new Map(elf.symbols.filter(isGlobalVariable).map((symbol) => [symbol.name, symbol])),
  }
  types.forEach((type, id) => {
    if (type.kind !== 'datasec') return
    if (seen.has(type.name)) throw badObject(`The type information has two data sections '${type.name}'`)
    seen.add(type.name)
    if (VIRTUAL_SECTIONS.has(type.name)) return
    types[id] = complete(scope, type)
    // As in libbpf: what is hidden from other objects is hidden from user space as well.
    for (const { type: variableId } of type.variables) {
      const variable = btf.types[variableId]
      if (variable?.kind !== 'var' || !isHidden(scope.symbols.get(variable.name))) continue
      types[variableId] = { ...variable, linkage: VAR_STATIC }
    }
  })
  return { types, bytes: btf.bytes, string: (offset) => btf.string(offset), find: (name) => btf.find(name) }
}

interface Scope {
  readonly btf: Btf
  readonly sections: ReadonlyMap<string, ElfSection>
  /** Global variables. */
  readonly symbols: ReadonlyMap<string, ElfSymbol>
}

function isGlobalVariable({ type, binding }: ElfSymbol): boolean {
  return type === STT.OBJECT && binding !== STB.LOCAL
}

function isHidden(symbol: ElfSymbol | undefined): boolean {
  return symbol?.visibility === STV.HIDDEN || symbol?.visibility === STV.INTERNAL
}

function complete({ btf, sections, symbols }: Scope, type: DataSection): DataSection {
  const section = sections.get(type.name)
  if (section === undefined) {
    throw badObject(`The type information describes a section '${type.name}', which the object does not have`)
  }
  const filled = type.size !== 0
  const variables = type.variables.map((entry) => {
    const offset = filled ? entry.offset : offsetOf(btf, symbols, section, entry)
    return checkVariable(btf, section, { ...entry, offset })
  })
  variables.sort((a, b) => a.offset - b.offset)
  let end = 0
  for (const variable of variables) {
    if (variable.offset < end)
      throw badObject(`Variables of section '${type.name}' overlap at ${variable.offset}`)
    end = variable.offset + variable.size
  }
  return { ...type, size: section.size, variables }
}

function offsetOf(btf: Btf, symbols: Scope['symbols'], section: ElfSection, entry: BtfVarSecInfo): number {
  const variable = btf.types[entry.type]
  if (variable?.kind !== 'var') throw badObject(`Section '${section.name}' should hold variables only`)
  // Static variables have no symbol that a linker could move; their offsets are final.
  if (variable.linkage === VAR_STATIC) return entry.offset
  const symbol = symbols.get(variable.name)
  if (symbol === undefined || symbol.section !== section.index) {
    throw badObject(`Variable '${variable.name}' of section '${section.name}' has no symbol`)
  }
  return symbol.value
}

function checkVariable(btf: Btf, section: ElfSection, entry: BtfVarSecInfo): BtfVarSecInfo {
  const variable = btf.types[entry.type]
  if (variable?.kind !== 'var') throw badObject(`Section '${section.name}' should hold variables only`)
  if (entry.offset + entry.size > section.size) {
    throw badObject(
      `Variable '${variable.name}' lies outside of its section '${section.name}': ` +
        `${entry.size} bytes at ${entry.offset} of ${section.size}`,
    )
  }
  const size = sizeOf(btf, variable.type)
  // A flexible array at the end of a variable makes it larger than its type.
  if (size > entry.size) {
    throw badObject(`Variable '${variable.name}' has ${entry.size} bytes, but its type has ${size}`)
  }
  return entry
}
