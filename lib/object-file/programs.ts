/** Entry programs: the functions of sections that have a name of their own, each with its slice of what is known. */
import { STB, STT } from '../elf/types.js'
import type { ElfFile } from '../elf/types.js'
import { resolveSection } from '../linux/sections.js'
import type { IndexedCode } from './code.js'
import { badObject, INSTRUCTION_SIZE, viewOf } from './context.js'
import type { CodeSection, FunctionSymbol, ProgramDefinition } from './types.js'

const TEXT = '.text'
const LDDW = 0x18

export interface Programs {
  readonly programs: readonly ProgramDefinition[]
  readonly text: CodeSection | undefined
}

export function readPrograms(elf: ElfFile, sections: readonly IndexedCode[]): Programs {
  refuseStaticPrograms(elf, sections)
  const textSection = sections.find((section) => section.name === TEXT && section.functions.length > 0)
  const programs = sections
    .filter((section) => section.name !== TEXT)
    .flatMap((section) => section.functions.map((symbol) => readProgram(section, symbol)))
  checkNames(programs)
  if (textSection === undefined) return { programs, text: undefined }
  const [only, ...others] = textSection.functions
  for (const { offset, size } of textSection.functions) {
    checkLastInstruction(textSection, textSection.code.subarray(offset, offset + size), offset)
  }
  const text = slice(textSection, TEXT, 0, textSection.code.length)
  // As in libbpf: a function without SEC() is a program if it is all that there is.
  if (programs.length === 0 && only !== undefined && others.length === 0) {
    return { programs: [readProgram(textSection, only)], text }
  }
  return { programs, text }
}

function refuseStaticPrograms(elf: ElfFile, sections: readonly IndexedCode[]): void {
  const names = new Map(sections.map(({ name, section }) => [section.index, name]))
  for (const symbol of elf.symbols) {
    const section = symbol.type === STT.FUNC ? names.get(symbol.section) : undefined
    if (section === undefined || section === TEXT || symbol.binding !== STB.LOCAL) continue
    throw badObject(
      `Function '${symbol.name}' is static, but in section '${section}' like a program`,
      `Remove 'static' from it if it is a program, or SEC() if it is none`,
    )
  }
}

function readProgram(section: IndexedCode, symbol: FunctionSymbol): ProgramDefinition {
  const autoload = !section.name.startsWith('?')
  const name = autoload ? section.name : section.name.slice(1)
  const resolved = resolveSection(name)
  return {
    name: symbol.name,
    section: name,
    type: resolved?.type,
    expectedAttachType: resolved?.expectedAttachType ?? 0,
    target: resolved?.target ?? '',
    sleepable: resolved?.sleepable ?? false,
    autoload,
    code: slice(section, name, symbol.offset, symbol.offset + symbol.size),
  }
}

function slice(section: IndexedCode, name: string, start: number, end: number): CodeSection {
  const code = section.code.subarray(start, end)
  checkLastInstruction(section, code, start)
  const cut = <T extends { readonly offset: number }>(records: readonly T[]): readonly T[] =>
    records
      .slice(lowerBound(records, start), lowerBound(records, end))
      .map((record) => ({ ...record, offset: record.offset - start }))
  return {
    name,
    code,
    functions: cut(section.functions),
    relocations: cut(section.relocations),
    coreRelocations: cut(section.coreRelocations),
    lines: cut(section.lines),
    funcInfo: cut(section.funcInfo),
  }
}

/** Index of the first record at or behind an offset; records are sorted by offset. */
function lowerBound(records: readonly { readonly offset: number }[], offset: number): number {
  let [low, high] = [0, records.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((records[middle]?.offset ?? 0) < offset) low = middle + 1
    else high = middle
  }
  return low
}

/** An LDDW takes two slots: the second must not be that of another function, which would be patched with it. */
function checkLastInstruction(section: IndexedCode, code: Uint8Array, start: number): void {
  const view = viewOf(code)
  let offset = 0
  while (offset < code.length)
    offset += view.getUint8(offset) === LDDW ? 2 * INSTRUCTION_SIZE : INSTRUCTION_SIZE
  if (offset > code.length) {
    const index = (start + code.length) / INSTRUCTION_SIZE - 1
    throw badObject(`Instruction ${index} of section '${section.name}' is half an LDDW`)
  }
}

function checkNames(programs: readonly ProgramDefinition[]): void {
  const seen = new Set<string>()
  for (const { name } of programs) {
    if (seen.has(name)) throw badObject(`The object has two programs '${name}'`)
    seen.add(name)
  }
}
