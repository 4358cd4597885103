/** struct_ops: variables in `.struct_ops` whose function pointers are programs. Linux 5.6; by link, 6.4. */
import { resolveType } from '../btf/query.js'
import { R_BPF, STT } from '../elf/types.js'
import type { ElfSection } from '../elf/types.js'
import { BpfError } from '../errors.js'
import { BPF_MAP_FLAGS, BPF_MAP_TYPE } from '../linux/map-types.js'
import { BPF_PROG_TYPE } from '../linux/program-types.js'
import { resolveSection } from '../linux/sections.js'
import { badObject, findDataSection, isCode, STRUCT_OPS_SECTIONS, variablesOf, viewOf } from './context.js'
import type { ObjectContext, SectionVariable } from './context.js'
import type { MapDefinition, StructOps } from './types.js'

const POINTER_SIZE = 8

function isStructOps(section: string): boolean {
  return resolveSection(section)?.type === BPF_PROG_TYPE.STRUCT_OPS
}

export function readStructOps(context: ObjectContext): readonly MapDefinition[] {
  return context.elf.sections.flatMap((section) => {
    const kind = STRUCT_OPS_SECTIONS.get(section.name)
    if (kind === undefined || section.data.length === 0) return []
    const { btf } = context
    if (btf === undefined) {
      throw new BpfError('NO_BTF', `Section '${section.name}' needs type information`, {
        hint: 'Compile with -g',
      })
    }
    const described = findDataSection(btf, section.name)
    if (described === undefined)
      throw badObject(`The type information does not describe section '${section.name}'`)
    const variables = variablesOf(btf, described.type)
    checkRelocations(section, variables)
    return variables.map((variable) => readVariable(context, section, variable, kind))
  })
}

function checkRelocations(section: ElfSection, variables: readonly SectionVariable[]): void {
  for (const { offset } of section.relocations) {
    if (
      !variables.some((variable) => offset >= variable.offset && offset < variable.offset + variable.size)
    ) {
      throw badObject(`A relocation of '${section.name}' belongs to no variable (offset ${offset})`)
    }
  }
}

function readVariable(
  { elf, btf }: ObjectContext,
  section: ElfSection,
  variable: SectionVariable,
  kind: Pick<StructOps, 'link' | 'autocreate'>,
): MapDefinition {
  const type = btf === undefined ? undefined : resolveType(btf, variable.valueType)
  if (type?.kind !== 'struct' || type.name === '') {
    throw badObject(`'${variable.name}' in '${section.name}' is not of a struct type that has a name`)
  }
  // A copy: addends in place of the pointers are meant for a linker.
  const initial = section.data.slice(variable.offset, variable.offset + type.size)
  const programs: StructOps['programs'][number][] = []
  for (const { offset, type: relocationType, symbol } of section.relocations) {
    const at = offset - variable.offset
    if (at < 0 || at >= variable.size) continue
    const what = `'${variable.name}' in '${section.name}': the pointer at ${at}`
    if (relocationType !== R_BPF.R_64_64 && relocationType !== R_BPF.R_64_ABS64) {
      throw badObject(`${what} has unknown relocation type ${relocationType}`)
    }
    const code = elf.sections[symbol.section]
    if (symbol.type !== STT.FUNC || code === undefined || !isCode(code) || !isStructOps(code.name)) {
      throw badObject(
        `${what} is '${symbol.name}', which is no struct_ops program`,
        'Put the function into SEC("struct_ops/NAME") or SEC("struct_ops")',
      )
    }
    const isMember = type.members.some((member) => member.bitOffset === at * 8)
    if (!isMember || at + POINTER_SIZE > initial.length)
      throw badObject(`${what} is no member of struct ${type.name}`)
    viewOf(initial).setBigUint64(at, 0n, true)
    programs.push({ offset: at, program: symbol.name })
  }
  return {
    name: variable.name,
    type: BPF_MAP_TYPE.STRUCT_OPS,
    keySize: 4,
    valueSize: type.size,
    maxEntries: 1,
    flags: kind.link ? BPF_MAP_FLAGS.BPF_F_LINK : 0,
    pinning: 0,
    mapExtra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: variable.valueType,
    inner: undefined,
    slots: [],
    data: undefined,
    structOps: { type: variable.valueType, initial, programs, link: kind.link, autocreate: kind.autocreate },
  }
}
