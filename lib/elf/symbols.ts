/** The symbol table, and the relocations that use it. */
import { badObject, StringTable, u64 } from './reader.js'
import { sectionView } from './sections.js'
import type { RawSection } from './sections.js'
import { SHF, SHN, SHT, STB, STT, STV } from './types.js'
import type { ElfRelocation, ElfSection, ElfSymbol } from './types.js'

const SYMBOL_SIZE = 24
const RELOCATION_SIZE = 16
const INSTRUCTION_SIZE = 8

export function readSymbols(sections: readonly RawSection[]): readonly ElfSymbol[] {
  const tables = sections.filter((section) => section.type === SHT.SYMTAB)
  const table = tables[0]
  if (table === undefined) return []
  if (tables.length > 1) throw badObject(`The object has ${tables.length} symbol tables; one is the most`)
  const nameSection = sections[table.link]
  if (nameSection === undefined || nameSection.type !== SHT.STRTAB) {
    throw badObject(`The symbol table links to section ${table.link}, which is no string table`)
  }
  const names = new StringTable(nameSection.data, nameSection.name)
  const view = sectionView(table)
  const count = table.size / SYMBOL_SIZE
  if (table.info > count)
    throw badObject(`The symbol table's first global symbol is ${table.info}, but it has ${count}`)
  return Array.from({ length: count }, (_, index) => {
    const symbol = readSymbol(view, index, names)
    checkSymbol(symbol, sections)
    return symbol
  })
}

function readSymbol(view: DataView, index: number, names: StringTable): ElfSymbol {
  const at = index * SYMBOL_SIZE
  const info = view.getUint8(at + 4)
  return {
    index,
    name: names.at(view.getUint32(at, true), `symbol ${index}`),
    value: u64(view, at + 8),
    size: u64(view, at + 16),
    type: info & 0xf,
    binding: info >> 4,
    visibility: view.getUint8(at + 5) & 3,
    section: view.getUint16(at + 6, true),
  }
}

function checkSymbol(symbol: ElfSymbol, sections: readonly RawSection[]): void {
  const what = `Symbol ${symbol.index} ('${symbol.name}')`
  if (symbol.index === 0) {
    if (symbol.section !== SHN.UNDEF || symbol.name !== '' || symbol.type !== STT.NOTYPE) {
      throw badObject('Symbol 0 is not the null symbol')
    }
    return
  }
  if (symbol.type > STT.TLS) throw badObject(`${what} has an unknown type: ${symbol.type}`)
  if (symbol.binding > STB.WEAK) throw badObject(`${what} has an unknown binding: ${symbol.binding}`)
  if (symbol.section >= SHN.LORESERVE) {
    if (symbol.section === SHN.XINDEX) throw badObject(`${what} has an extended section index`)
    if (symbol.section === SHN.COMMON) {
      throw badObject(`${what} is a common symbol`, 'Compile with -fno-common, or give the variable a value')
    }
    if (symbol.section !== SHN.ABS) throw badObject(`${what} has a bad section index: ${symbol.section}`)
    if (symbol.type === STT.FUNC) throw badObject(`${what} is a function outside of any section`)
    return
  }
  if (symbol.section === SHN.UNDEF) return
  const section = sections[symbol.section]
  if (section === undefined)
    throw badObject(`${what} is in section ${symbol.section}, but there are ${sections.length}`)
  if (symbol.value > section.size || symbol.size > section.size - symbol.value) {
    throw badObject(
      `${what} lies outside of its section '${section.name}': ${symbol.size} bytes at ${symbol.value} of ${section.size}`,
    )
  }
  if (symbol.type === STT.SECTION && symbol.value !== 0)
    throw badObject(`${what} is a section that does not start at 0`)
  if (symbol.type === STT.FUNC) checkFunction(symbol, section, what)
}

function checkFunction(symbol: ElfSymbol, section: RawSection, what: string): void {
  if ((section.flags & SHF.EXECINSTR) === 0)
    throw badObject(`${what} is a function in '${section.name}', which is no code`)
  if (symbol.name === '') throw badObject(`${what} is a function without a name`)
  if (symbol.value % INSTRUCTION_SIZE !== 0)
    throw badObject(`${what} starts within an instruction, at ${symbol.value}`)
  if (symbol.size === 0 || symbol.size % INSTRUCTION_SIZE !== 0) {
    throw badObject(`${what} has a bad size for a function: ${symbol.size} bytes`)
  }
  if (symbol.visibility === STV.INTERNAL)
    throw badObject(`${what} has internal visibility, which BPF does not know`)
}

/** Gives each section the relocations that apply to it. */
export function readRelocations(
  raw: readonly RawSection[],
  symbols: readonly ElfSymbol[],
): readonly ElfSection[] {
  const byTarget = new Map<number, readonly ElfRelocation[]>()
  for (const section of raw) {
    if (section.type !== SHT.REL) continue
    const what = `Section ${section.index} ('${section.name}')`
    const target = raw[section.info]
    if (target === undefined || section.info === 0 || section.info === section.index) {
      throw badObject(`${what} relocates section ${section.info}, but there are ${raw.length}`)
    }
    if (target.type !== SHT.PROGBITS)
      throw badObject(`${what} relocates '${target.name}', which has no contents of its own`)
    if (raw[section.link]?.type !== SHT.SYMTAB) throw badObject(`${what} does not link to the symbol table`)
    if (byTarget.has(target.index)) throw badObject(`'${target.name}' has more than one relocation section`)
    byTarget.set(target.index, readEntries(section, target, symbols, what))
  }
  return raw.map((section) => ({ ...section, relocations: byTarget.get(section.index) ?? [] }))
}

function readEntries(
  section: RawSection,
  target: RawSection,
  symbols: readonly ElfSymbol[],
  what: string,
): readonly ElfRelocation[] {
  const view = sectionView(section)
  const entries = Array.from({ length: section.size / RELOCATION_SIZE }, (_, index): ElfRelocation => {
    const at = index * RELOCATION_SIZE
    const offset = u64(view, at)
    const type = view.getUint32(at + 8, true)
    const symbolIndex = view.getUint32(at + 12, true)
    const symbol = symbols[symbolIndex]
    if (symbol === undefined) {
      throw badObject(
        `${what}: relocation ${index} uses symbol ${symbolIndex}, but there are ${symbols.length}`,
      )
    }
    if (offset >= target.size) {
      throw badObject(
        `${what}: relocation ${index} lies outside of '${target.name}': ${offset} of ${target.size}`,
      )
    }
    return { offset, type, symbol }
  })
  return entries.sort((a, b) => a.offset - b.offset)
}
