/** What the parts of the object-file parser share: the ELF file, its BTF, and look-ups in both. */
import { BpfError } from '../errors.js'
import type { Btf, BtfType, BtfVarSecInfo, TypeId } from '../btf/types.js'
import { SHF, SHT } from '../elf/types.js'
import type { ElfFile, ElfSection } from '../elf/types.js'
import type { GlobalData } from './types.js'

export interface ObjectContext {
  readonly elf: ElfFile
  readonly btf: Btf | undefined
}

export const INSTRUCTION_SIZE = 8

export function badObject(message: string, hint?: string): BpfError {
  return new BpfError('BAD_OBJECT', message, hint === undefined ? {} : { hint })
}

/** The section of this name, if it is there and has contents. */
export function sectionNamed(elf: ElfFile, name: string): ElfSection | undefined {
  return elf.sections.find((section) => section.name === name && section.type !== SHT.NULL)
}

export function isCode(section: ElfSection): boolean {
  return section.type === SHT.PROGBITS && (section.flags & SHF.EXECINSTR) !== 0
}

const DATA_SECTIONS: readonly {
  readonly kind: GlobalData['kind']
  readonly name: string
  readonly type: number
}[] = [
  { kind: 'rodata', name: '.rodata', type: SHT.PROGBITS },
  { kind: 'data', name: '.data', type: SHT.PROGBITS },
  { kind: 'bss', name: '.bss', type: SHT.NOBITS },
]

/** Which global data a section holds; undefined if it holds none. Empty sections hold none. */
export function dataKind(section: ElfSection): GlobalData['kind'] | undefined {
  if (section.size === 0 || (section.flags & SHF.EXECINSTR) !== 0) return undefined
  const found = DATA_SECTIONS.find(
    ({ name, type }) =>
      section.type === type && (section.name === name || section.name.startsWith(`${name}.`)),
  )
  return found?.kind
}

/** Sections whose names mean something to a loader: two of the same name would be ambiguous. */
export function checkUniqueNames(elf: ElfFile): void {
  const special = new Set([
    'license',
    'version',
    'maps',
    '.maps',
    '.BTF',
    '.BTF.ext',
    ...STRUCT_OPS_SECTIONS.keys(),
  ])
  const seen = new Set<string>()
  for (const section of elf.sections) {
    if (!special.has(section.name) && !isCode(section) && dataKind(section) === undefined) continue
    if (seen.has(section.name)) throw badObject(`The object has two sections '${section.name}'`)
    seen.add(section.name)
  }
}

/** Sections of struct_ops variables. */
export const STRUCT_OPS_SECTIONS: ReadonlyMap<
  string,
  { readonly link: boolean; readonly autocreate: boolean }
> = new Map([
  ['.struct_ops', { link: false, autocreate: true }],
  ['.struct_ops.link', { link: true, autocreate: true }],
  ['?.struct_ops', { link: false, autocreate: false }],
  ['?.struct_ops.link', { link: true, autocreate: false }],
])

export type DataSection = Extract<BtfType, { kind: 'datasec' }>

/** The DATASEC of a section. */
export function findDataSection(
  btf: Btf | undefined,
  name: string,
): { readonly id: TypeId; readonly type: DataSection } | undefined {
  if (btf === undefined) return undefined
  for (const id of btf.find(name)) {
    const type = btf.types[id]
    if (type?.kind === 'datasec') return { id, type }
  }
  return undefined
}

/** A variable of a DATASEC with what is known of it. */
export interface SectionVariable extends BtfVarSecInfo {
  readonly name: string
  /** Of the variable's value. */
  readonly valueType: TypeId
  readonly linkage: number
}

/** The variables of a DATASEC, in its order; functions (in `.ksyms`) are left out. */
export function variablesOf(btf: Btf, section: DataSection): readonly SectionVariable[] {
  return section.variables.flatMap((entry) => {
    const variable = btf.types[entry.type]
    if (variable?.kind !== 'var') return []
    return [{ ...entry, name: variable.name, valueType: variable.type, linkage: variable.linkage }]
  })
}

/** A view of bytes for reading numbers. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
