/** The maps of `.maps`: one a variable, with what its initializer puts into it. */
import { findMember, resolveType } from '../btf/query.js'
import type { Btf } from '../btf/types.js'
import { R_BPF, SHF, SHT, STB, STT } from '../elf/types.js'
import type { ElfFile, ElfRelocation, ElfSection } from '../elf/types.js'
import { BpfError } from '../errors.js'
import { isMapOfMaps } from '../linux/map-types.js'
import { badObject, findDataSection, isCode, sectionNamed, variablesOf } from './context.js'
import type { ObjectContext, SectionVariable } from './context.js'
import { readMapDefinition } from './map-definition.js'
import type { MapDefinition } from './types.js'

const MAPS = '.maps'
const LINKAGE_GLOBAL = 1
const POINTER_SIZE = 8

export function readMaps({ elf, btf }: ObjectContext): readonly MapDefinition[] {
  const section = sectionNamed(elf, MAPS)
  if (section === undefined || section.size === 0) return []
  if (section.type !== SHT.PROGBITS || (section.flags & SHF.EXECINSTR) !== 0) {
    throw badObject(`Section '${MAPS}' is not of the type that its name promises`)
  }
  if (btf === undefined) {
    throw new BpfError(
      'NO_BTF',
      'The object defines maps, but has no type information to tell what they are',
      {
        hint: 'Compile with -g; if you strip the object, use llvm-strip -g, which keeps .BTF',
      },
    )
  }
  const variables = mapVariables(btf)
  if (variables.length === 0) throw badObject(`The type information does not describe section '${MAPS}'`)
  const definitions = variables.map((variable) => {
    if (variable.linkage !== LINKAGE_GLOBAL) {
      throw badObject(
        `Map '${variable.name}' is static or hidden; maps must be global`,
        `Remove 'static' or '__hidden' from its definition`,
      )
    }
    return readMapDefinition(btf, variable.name, variable.valueType)
  })
  const scope: MapsScope = {
    elf,
    btf,
    section,
    offsets: new Map(variables.map(({ name, offset }) => [name, offset])),
  }
  const slots = definitions.map((): Slot[] => [])
  // Both relocations and variables are sorted by offset.
  let index = 0
  for (const relocation of section.relocations) {
    while (relocation.offset >= endOf(variables[index])) index++
    const [variable, definition] = [variables[index], definitions[index]]
    if (variable === undefined || definition === undefined || relocation.offset < variable.offset) {
      throw badObject(`A relocation of '${MAPS}' belongs to no map (offset ${relocation.offset})`)
    }
    slots[index]?.push(readSlot(scope, variable, definition, relocation))
  }
  return definitions.map((definition, i) => ({ ...definition, slots: slots[i] ?? [] }))
}

/** The variables of `.maps`, by ascending offset. */
export function mapVariables(btf: Btf): readonly SectionVariable[] {
  const section = findDataSection(btf, MAPS)
  return section === undefined ? [] : variablesOf(btf, section.type)
}

type Slot = MapDefinition['slots'][number]

function endOf(variable: SectionVariable | undefined): number {
  return variable === undefined ? Number.POSITIVE_INFINITY : variable.offset + variable.size
}

interface MapsScope {
  readonly elf: ElfFile
  readonly btf: Btf
  readonly section: ElfSection
  /** Of the maps, by name. */
  readonly offsets: ReadonlyMap<string, number>
}

function readSlot(
  { elf, btf, section, offsets }: MapsScope,
  variable: SectionVariable,
  definition: MapDefinition,
  { offset, type, symbol }: ElfRelocation,
): Slot {
  const what = `Map '${variable.name}'`
  if (type !== R_BPF.R_64_64 && type !== R_BPF.R_64_ABS64)
    throw badObject(`${what}: unknown relocation type ${type}`)
  const struct = resolveType(btf, variable.valueType)
  const values = struct.kind === 'struct' ? findMember(btf, struct, 'values') : undefined
  const inValues = values === undefined ? -1 : offset - variable.offset - values.bitOffset / 8
  if (inValues < 0 || inValues % POINTER_SIZE !== 0) {
    throw badObject(`${what}: only its field 'values' can have an initializer`)
  }
  if (offset + POINTER_SIZE > variable.offset + variable.size)
    throw badObject(`${what}: an initial value is cut off`)
  const index = inValues / POINTER_SIZE
  if (isMapOfMaps(definition.type)) {
    if (symbol.section !== section.index || offsets.get(symbol.name) !== symbol.value) {
      throw badObject(`${what}: initial value ${index} is '${symbol.name}', which is no map`)
    }
    return { index, symbol: symbol.name }
  }
  const code = elf.sections[symbol.section]
  if (symbol.type !== STT.FUNC || symbol.binding === STB.LOCAL || code === undefined || !isCode(code)) {
    throw badObject(
      `${what}: initial value ${index} is '${symbol.name}', which is no program`,
      'Programs in prog arrays must be global functions in a section of their own',
    )
  }
  return { index, symbol: symbol.name }
}
