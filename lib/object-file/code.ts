/** Sections of code: functions, what the type information says of them, and what is to be patched into them. */
import type { BtfExt } from '../btf/ext.js'
import { STB, STT, STV } from '../elf/types.js'
import type { ElfFile, ElfSection } from '../elf/types.js'
import { badObject, isCode } from './context.js'
import type { ObjectContext } from './context.js'
import { RelocationReader } from './relocations.js'
import type { FunctionsBySection } from './relocations.js'
import type { CodeSection, ExternDefinition, FunctionSymbol, MapDefinition } from './types.js'

export interface CodeParts {
  readonly ext: BtfExt | undefined
  readonly maps: readonly MapDefinition[]
  readonly externs: readonly ExternDefinition[]
}

/** A code section and where it is in the file. */
export interface IndexedCode extends CodeSection {
  readonly section: ElfSection
}

export function readCode(context: ObjectContext, parts: CodeParts): readonly IndexedCode[] {
  const sections = context.elf.sections.filter((section) => isCode(section) && section.size > 0)
  const functions = readFunctions(context.elf, sections)
  const relocations = new RelocationReader(context, parts.externs, functions)
  return sections.map((section) => {
    const { name, size } = section
    const within = <T extends { readonly offset: number }>(
      records: readonly T[] | undefined,
      what: string,
    ): readonly T[] => {
      const outside = records?.find((record) => record.offset >= size)
      if (outside !== undefined) {
        throw badObject(
          `BTF.ext: ${what} of '${name}' points outside of the section: ${outside.offset} of ${size}`,
        )
      }
      return records ?? []
    }
    return {
      name,
      section,
      code: section.data,
      functions: functions.get(section.index) ?? [],
      relocations: relocations.read(section),
      coreRelocations: within(parts.ext?.coreRelocations.get(name), 'a CO-RE relocation'),
      lines: within(parts.ext?.lines.get(name), 'line information'),
      funcInfo: within(parts.ext?.functions.get(name), 'function information'),
    }
  })
}

function readFunctions(elf: ElfFile, sections: readonly ElfSection[]): FunctionsBySection {
  const functions = new Map<number, FunctionSymbol[]>(sections.map((section) => [section.index, []]))
  for (const symbol of elf.symbols) {
    if (symbol.type !== STT.FUNC) continue
    functions.get(symbol.section)?.push({
      name: symbol.name,
      offset: symbol.value,
      size: symbol.size,
      global: symbol.binding !== STB.LOCAL && symbol.visibility !== STV.HIDDEN,
      weak: symbol.binding === STB.WEAK,
    })
  }
  for (const section of sections) checkFunctions(section, functions.get(section.index) ?? [])
  return functions
}

function checkFunctions(section: ElfSection, functions: FunctionSymbol[]): void {
  functions.sort((a, b) => a.offset - b.offset)
  let last: FunctionSymbol | undefined
  for (const symbol of functions) {
    if (last !== undefined && symbol.offset < last.offset + last.size) {
      throw badObject(`Functions '${last.name}' and '${symbol.name}' overlap in section '${section.name}'`)
    }
    last = symbol
  }
}
