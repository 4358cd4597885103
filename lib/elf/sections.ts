/** The section table: each section in the file, named, and none over another. */
import { badObject, StringTable, u64, viewOf } from './reader.js'
import { SHF, SHT } from './types.js'
import type { ElfSection } from './types.js'

const SECTION_HEADER_SIZE = 64
const INSTRUCTION_SIZE = 8

/** Sum of the NOBITS sections: they cost nothing in the file but memory once they are read. */
const MAX_NOBITS = 256 * 1024 * 1024

/** Where the section headers are. All of it has been checked to lie in the file. */
export interface SectionTable {
  readonly offset: number
  readonly count: number
  /** Index of the section that holds the sections' names. */
  readonly names: number
}

/** A section before its relocations are known. */
export type RawSection = Omit<ElfSection, 'relocations'>

/** Fixed entry sizes that readers rely on. */
const ENTRY_SIZES: Readonly<Record<number, number>> = { [SHT.SYMTAB]: 24, [SHT.REL]: 16 }

/** Section types that no BPF object has and that would give other sections another meaning. */
const REFUSED_TYPES: Readonly<Record<number, string>> = {
  [SHT.RELA]: 'relocations with addends (RELA), which BPF does not use',
  [SHT.DYNSYM]: 'dynamic symbols, which relocatable objects do not have',
  [SHT.SYMTAB_SHNDX]: 'extended section indexes: the object has too many sections',
}

export function readSections(image: Uint8Array, view: DataView, table: SectionTable): readonly RawSection[] {
  const unnamed = Array.from({ length: table.count }, (_, index) =>
    readSection(image, view, table.offset + index * SECTION_HEADER_SIZE, index),
  )
  const nameSection = unnamed[table.names]
  if (nameSection === undefined || nameSection.type !== SHT.STRTAB) {
    throw badObject(`Section ${table.names} should hold the section names, but is no string table`)
  }
  const names = new StringTable(nameSection.data, `of the section names (section ${table.names})`)
  const sections = unnamed.map(({ nameOffset, ...section }) => ({
    ...section,
    name: names.at(nameOffset, `section ${section.index}`),
  }))
  for (const section of sections) checkSection(section, sections.length)
  checkOverlaps(sections, table)
  return sections
}

type UnnamedSection = Omit<RawSection, 'name'> & { readonly nameOffset: number }

function readSection(image: Uint8Array, view: DataView, at: number, index: number): UnnamedSection {
  const type = view.getUint32(at + 4, true)
  const offset = u64(view, at + 24)
  const size = u64(view, at + 32)
  const what = `Section ${index}`
  const inFile = type !== SHT.NOBITS && type !== SHT.NULL
  if (inFile && (offset > image.length || size > image.length - offset)) {
    throw badObject(
      `${what} lies outside of the file: ${size} bytes at ${offset}, but the file has ${image.length}`,
      'The file seems to be truncated',
    )
  }
  const alignment = u64(view, at + 48)
  if (alignment > 0x1_0000 || (alignment & (alignment - 1)) !== 0) {
    throw badObject(`${what} has a bad alignment: ${alignment}`)
  }
  if (inFile && alignment > 1 && offset % alignment !== 0) {
    throw badObject(`${what} is not aligned: it lies at ${offset}, but asks for ${alignment}`)
  }
  return {
    index,
    nameOffset: view.getUint32(at, true),
    type,
    flags: view.getUint32(at + 8, true),
    offset,
    size,
    link: view.getUint32(at + 40, true),
    info: view.getUint32(at + 44, true),
    alignment,
    entrySize: u64(view, at + 56),
    data: inFile ? image.subarray(offset, offset + size) : new Uint8Array(0),
  }
}

function checkSection(section: RawSection, count: number): void {
  const what = `Section ${section.index} ('${section.name}')`
  if (section.index === 0) {
    if (section.type !== SHT.NULL || section.size !== 0) throw badObject('Section 0 is not the null section')
    return
  }
  const refused = REFUSED_TYPES[section.type]
  if (refused !== undefined) throw badObject(`${what} has ${refused}`)
  if ((section.flags & SHF.COMPRESSED) !== 0) throw badObject(`${what} is compressed`, 'Compile without -gz')
  if (section.link >= count)
    throw badObject(`${what} links to section ${section.link}, but there are ${count}`)
  const entrySize = ENTRY_SIZES[section.type]
  if (entrySize !== undefined) {
    if (section.entrySize !== entrySize) throw badObject(`${what} has a bad entry size: ${section.entrySize}`)
    if (section.size % entrySize !== 0) throw badObject(`${what} ends within an entry`)
    if (section.offset % 8 !== 0) throw badObject(`${what} is not aligned to 8 bytes`)
  }
  // A string table that nobody uses is checked as well: a reader in C may still open it.
  if (section.type === SHT.STRTAB)
    void new StringTable(section.data, `${section.name} (section ${section.index})`)
  if ((section.flags & SHF.EXECINSTR) !== 0) checkCode(section, what)
}

function checkCode(section: RawSection, what: string): void {
  if (section.type !== SHT.PROGBITS) throw badObject(`${what} should hold code, but has type ${section.type}`)
  if (section.size % INSTRUCTION_SIZE !== 0) throw badObject(`${what} ends within an instruction`)
  if (section.offset % INSTRUCTION_SIZE !== 0)
    throw badObject(`${what} holds code, but is not aligned to 8 bytes`)
}

function checkOverlaps(sections: readonly RawSection[], table: SectionTable): void {
  const extents = sections
    .filter((section) => section.data.length > 0)
    .map((section) => ({
      start: section.offset,
      end: section.offset + section.size,
      what: `section ${section.index} ('${section.name}')`,
    }))
  extents.push({ start: 0, end: 64, what: 'the ELF header' })
  extents.push({
    start: table.offset,
    end: table.offset + table.count * SECTION_HEADER_SIZE,
    what: 'the section table',
  })
  extents.sort((a, b) => a.start - b.start)
  let last: (typeof extents)[number] | undefined
  for (const extent of extents) {
    if (last !== undefined && extent.start < last.end)
      throw badObject(`In the file, ${extent.what} overlaps ${last.what}`)
    last = extent
  }
  const nobits = sections.reduce((sum, section) => sum + (section.type === SHT.NOBITS ? section.size : 0), 0)
  if (nobits > MAX_NOBITS) {
    throw badObject(
      `The object's .bss sections have ${nobits} bytes; ${MAX_NOBITS} is the most`,
      'Use a map for data of this size',
    )
  }
}

/** A section's bytes for reading numbers. */
export function sectionView(section: RawSection): DataView {
  return viewOf(section.data)
}
