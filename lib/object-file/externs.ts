/** Externs: kernel symbols and functions (`__ksym`), and configuration values (`__kconfig`). */
import { resolveType, sizeOf } from '../btf/query.js'
import type { Btf, BtfType, TypeId } from '../btf/types.js'
import { BpfError } from '../errors.js'
import { SHN, STB, STT } from '../elf/types.js'
import type { ElfSymbol } from '../elf/types.js'
import { badObject, findDataSection } from './context.js'
import type { ObjectContext } from './context.js'
import { dataMap } from './data.js'
import type { ExternDefinition, MapDefinition, Variable } from './types.js'

const LINKAGE_EXTERN = 2

export interface Externs {
  readonly externs: readonly ExternDefinition[]
  /** The map `.kconfig`, if there are values of that kind; its variables say where each one lies. */
  readonly kconfig: MapDefinition | undefined
}

export function readExterns({ elf, btf }: ObjectContext): Externs {
  const symbols = elf.symbols.filter(isExtern)
  if (symbols.length === 0) return { externs: [], kconfig: undefined }
  const declared = btf === undefined ? new Map<string, Declaration>() : declarations(btf)
  const externs: ExternDefinition[] = []
  const seen = new Set<string>()
  for (const symbol of symbols) {
    if (seen.has(symbol.name)) throw badObject(`Symbol '${symbol.name}' is undefined twice`)
    seen.add(symbol.name)
    const declaration = declared.get(symbol.name)
    if (declaration === undefined) throw undefinedSymbol(symbol.name, btf !== undefined)
    externs.push({ name: symbol.name, weak: symbol.binding === STB.WEAK, ...declaration })
  }
  return { externs, kconfig: btf === undefined ? undefined : kconfigMap(btf, externs) }
}

/** As libbpf has it: undefined, not local, without a type. */
export function isExtern(symbol: ElfSymbol): boolean {
  return (
    symbol.section === SHN.UNDEF &&
    symbol.name !== '' &&
    symbol.type === STT.NOTYPE &&
    (symbol.binding === STB.GLOBAL || symbol.binding === STB.WEAK)
  )
}

function undefinedSymbol(name: string, hasBtf: boolean): BpfError {
  if (!hasBtf) {
    return new BpfError(
      'NO_BTF',
      `Symbol '${name}' is undefined, and the object has no type information to tell what it is`,
      {
        hint: 'Compile with -g',
      },
    )
  }
  return badObject(
    `Symbol '${name}' is undefined`,
    'Declare what is in the kernel with __ksym or __kconfig; link what is in another object with bpftool gen object',
  )
}

type Declaration = Pick<ExternDefinition, 'kind' | 'type'>

function declarations(btf: Btf): Map<string, Declaration> {
  const declared = new Map<string, Declaration>()
  for (const [section, kind] of [['.ksyms', 'ksym'] as const, ['.kconfig', 'kconfig'] as const]) {
    const found = findDataSection(btf, section)
    if (found === undefined) continue
    for (const entry of found.type.variables) {
      const type = btf.types[entry.type]
      if ((type?.kind !== 'var' && type?.kind !== 'func') || type.linkage !== LINKAGE_EXTERN) continue
      if (type.kind === 'func' && kind === 'kconfig')
        throw badObject(`'${type.name}' is a function, but declared __kconfig`)
      if (declared.has(type.name)) throw badObject(`'${type.name}' is declared __ksym or __kconfig twice`)
      declared.set(type.name, { kind: type.kind === 'func' ? 'kfunc' : kind, type: type.type })
    }
  }
  return declared
}

interface KconfigValue {
  readonly name: string
  readonly type: TypeId
  readonly size: number
  readonly alignment: number
}

/** Lays the values out as libbpf does: largest alignment first, then by size, then by name. */
function kconfigMap(btf: Btf, externs: readonly ExternDefinition[]): MapDefinition | undefined {
  const values = externs
    .filter((extern) => extern.kind === 'kconfig')
    .map((extern): KconfigValue => {
      checkKconfigType(btf, extern)
      return {
        name: extern.name,
        type: extern.type,
        size: sizeOf(btf, extern.type),
        alignment: alignmentOf(btf, extern.type),
      }
    })
  if (values.length === 0) return undefined
  values.sort((a, b) => b.alignment - a.alignment || a.size - b.size || (a.name < b.name ? -1 : 1))
  let end = 0
  const variables = values.map(({ name, type, size, alignment }): Variable => {
    const offset = Math.ceil(end / alignment) * alignment
    end = offset + size
    return { name, type, offset, size }
  })
  const map = dataMap('.kconfig', 'kconfig', new Uint8Array(end), btf)
  return { ...map, data: { kind: 'kconfig', initial: new Uint8Array(end), variables } }
}

const KCONFIG_TYPES =
  'bool, char, an integer of 1, 2, 4 or 8 bytes, enum libbpf_tristate, or an array of char'
/** Kconfig strings are file names at most. */
const MAX_KCONFIG_SIZE = 4096

function checkKconfigType(btf: Btf, extern: ExternDefinition): void {
  const type = resolveType(btf, extern.type)
  if (isKconfigType(btf, type)) return
  throw badObject(`'${extern.name}' is declared __kconfig, but a value of that kind is ${KCONFIG_TYPES}`)
}

function isKconfigType(btf: Btf, type: BtfType): boolean {
  switch (type.kind) {
    case 'int':
      return type.size <= 8
    case 'enum':
      return type.name === 'libbpf_tristate' && type.size === 4
    case 'array': {
      const element = resolveType(btf, type.type)
      return (
        element.kind === 'int' && element.size === 1 && type.length > 0 && type.length <= MAX_KCONFIG_SIZE
      )
    }
    default:
      return false
  }
}

function alignmentOf(btf: Btf, id: TypeId): number {
  const type = resolveType(btf, id)
  return type.kind === 'int' || type.kind === 'enum' ? type.size : 1
}
